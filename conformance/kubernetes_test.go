package conformance_test

import (
	"os"
	"strings"
	"testing"

	batch "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"
)

func TestTheJobForKubernetesHasItsShardsFromItsIndex(t *testing.T) {
	manifest, err := os.ReadFile("kubernetes/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var job batch.Job
	if err := yaml.UnmarshalStrict(manifest, &job); err != nil {
		t.Fatal(err)
	}
	if job.APIVersion != "batch/v1" || job.Kind != "Job" || *job.Spec.CompletionMode != batch.IndexedCompletion || *job.Spec.Completions != 5 {
		t.Errorf("it is a %s %s in mode %v with %d completions", job.APIVersion, job.Kind, *job.Spec.CompletionMode, *job.Spec.Completions)
	}
	run := job.Spec.Template.Spec.InitContainers[0].Args[0]
	if want := `--shard "$((JOB_COMPLETION_INDEX + 1))/5"`; !strings.Contains(run, want) {
		t.Errorf("%q does not have %s", run, want)
	}
}
