package imds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryOperationIsListedWithItsGradeAndSource(t *testing.T) {
	got := map[string]string{}
	for _, route := range newWorld(t).Routes() {
		got[route.Path] = string(route.Op) + " " + string(route.Fidelity)
		if route.Source == "" || route.Do == nil {
			t.Errorf("%s %q has no source or does nothing", route.Op, route.Path)
		}
	}
	want := map[string]string{
		"/metadata/identity/oauth2/token":        "imds.token faithful",
		"/metadata/versions":                     "imds.versions faithful",
		"/metadata/identity/info":                "imds.identity-info faithful",
		"/metadata/identity/getplatformmetadata": "imds.platform-metadata approximate",
		"/metadata/identity/issuecredential":     "imds.platform-metadata approximate",
		"/metadata/attested/document":            "imds.attested faithful",
		"/metadata/instance/{path...}":           "imds.instance approximate",
		"":                                       "imds.unknown approximate",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}
