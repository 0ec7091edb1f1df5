package container

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compose returns a command of Docker Compose for a project of this test.
func compose(args ...string) []string {
	return append([]string{"docker", "compose", "--progress", "quiet", "--project-name", "fakeentra-" + tag}, args...)
}

func TestTheImageIsSmallAndWithoutRoot(t *testing.T) {
	buildImages(t)
	const format = "{{.Config.User}} {{.Os}} {{len .RootFS.Layers}} {{.Config.Healthcheck.Test}}"
	if diff := cmp.Diff("65532:65532 linux 2 [CMD /fakeentra health]\n", output(t, "docker", "image", "inspect", "--format", format, "fakeentra:"+tag)); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	if size := output(t, "docker", "image", "inspect", "--format", "{{if lt .Size 20000000}}small{{else}}{{.Size}}{{end}}", "fakeentra:"+tag); size != "small\n" {
		t.Errorf("the image has %s bytes, want less than 20 MB", strings.TrimSpace(size))
	}
	if version := output(t, "docker", "run", "--rm", "--network", "none", "fakeentra:"+tag, "version"); !strings.HasPrefix(version, "fakeentra ") {
		t.Errorf("its version is %q", version)
	}
}

func TestComposeLeadsAProgramToTheCloudAndLeavesTheMachineAlone(t *testing.T) {
	buildImages(t)
	machine := addresses(t)
	before := machine()
	afterwards(t, compose("down", "--volumes")...)
	output(t, compose("up", "--detach", "--wait", "fakeentra")...)
	if diff := cmp.Diff("2026/q1.csv\nq1.csv\nq2.csv\n", output(t, compose("run", "--rm", "-T", "client")...)); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if journal := output(t, compose("exec", "-T", "fakeentra", "/fakeentra", "journal")...); !strings.Contains(journal, " imds.token 200 vm1 build-agent ") || !strings.Contains(journal, " blob.list-blobs 200 ") {
		t.Errorf("the journal has no token of the managed identity, or no list of blobs:\n%s", journal)
	}
	if diff := cmp.Diff(before, machine()); diff != "" {
		t.Errorf("routes and addresses of the machine while the cloud is up (-want +got):\n%s", diff)
	}
	output(t, compose("down", "--volumes")...)
	if diff := cmp.Diff(before, machine()); diff != "" {
		t.Errorf("routes and addresses of the machine afterwards (-want +got):\n%s", diff)
	}
}
