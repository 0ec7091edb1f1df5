package imds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryOperationIsListedWithItsGradeAndSource(t *testing.T) {
	got := map[string]string{}
	for _, route := range newWorld(t).Routes() {
		got[string(route.Op)+" "+route.Path] = string(route.Fidelity)
		if route.Source == "" || route.Do == nil {
			t.Errorf("%s %q has no source or does nothing", route.Op, route.Path)
		}
	}
	want := map[string]string{
		"imds.token /metadata/identity/oauth2/token":                    "faithful",
		"imds.versions /metadata/versions":                              "faithful",
		"imds.identity-info /metadata/identity/info":                    "faithful",
		"imds.platform-metadata /metadata/identity/getplatformmetadata": "approximate",
		"imds.issue-credential /metadata/identity/issuecredential":      "approximate",
		"imds.attested /metadata/attested/document":                     "faithful",
		"imds.instance /metadata/instance/{path...}":                    "approximate",
		"imds.scheduled-events /metadata/scheduledevents":               "approximate",
		"imds.start-events /metadata/scheduledevents":                   "approximate",
		"imds.load-balancer /metadata/loadbalancer":                     "stub",
		"imds.unknown ": "approximate",

		"appservice.token /msi/token":                         "faithful",
		"containerapps.token /msi/token":                      "faithful",
		"arc.token /metadata/identity/oauth2/token":           "approximate",
		"servicefabric.token /metadata/identity/oauth2/token": "faithful",
		"cloudshell.token /oauth2/token":                      "approximate",
		"cloudshell.token /metadata/identity/oauth2/token":    "approximate",
		"azureml.token /MSI/auth":                             "approximate",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}
