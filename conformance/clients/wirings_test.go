package clients_test

import (
	"flag"
	"slices"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

var wirings = flag.Bool("wirings", false, "compare the wirings by all checks that take no two minutes, and for every driver")

// TestContainersJudgeAsNetnsDoes puts SDKs to the suite in both wirings, which cover
// the same. Without -wirings it is two SDKs, and a few checks.
func TestContainersJudgeAsNetnsDoes(t *testing.T) {
	toolchain.DockerEngine().In(t)
	selection := suite.Selection{IDs: []string{"IMDS-01", "AST-01", "NET-01", "SRC-17", "SEC-05"}}
	if *wirings {
		selection = suite.Selection{Costs: []suite.Cost{suite.Fast, suite.Timed}}
	}
	checks, err := suite.Select(selection)
	if err != nil {
		t.Fatal(err)
	}
	reference := sdk{name: "the reference client", folder: "reference"}
	for _, s := range slices.Concat(sdks, others, []sdk{reference}) {
		// Every Java would write to one file below /tmp.
		if *wirings || s.folder == "python-azure-identity" || s.folder == "java-msal4j" {
			least := len(checks) / 2
			if s.folder == others[0].folder && *wirings {
				least = len(checks) / 3 // it is called anew for each request, which many checks are not for
			}
			t.Run(s.name, func(t *testing.T) { compare(t, checks, s.start(t), least) })
		}
	}
}

// compare runs checks in both wirings, of which so many have to be met.
func compare(t *testing.T, checks []*suite.Check, c suite.Command, least int) {
	t.Helper()
	run := func(wiring string) *suite.Report {
		c.Wiring = wiring
		report, err := suite.Run(t.Context(), suite.Process(c), suite.Options{Checks: checks, Jobs: 4, Scale: scale})
		if wiring == suite.Netns && suite.IsUnavailable(err) {
			toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
		}
		if err != nil {
			t.Fatalf("%s: %v", wiring, err)
		}
		return report
	}
	netns, docker := run(suite.Netns), run(suite.Docker)
	if len(netns.Results) != len(checks) || len(docker.Results) != len(checks) || docker.Wiring != suite.Docker {
		t.Fatalf("%d checks have %d verdicts in %s, and %d in %s", len(checks), len(netns.Results), netns.Wiring, len(docker.Results), docker.Wiring)
	}
	met := 0
	for i, there := range netns.Results {
		here := docker.Results[i]
		if there.Verdict != here.Verdict {
			t.Errorf("%s: %s in netns (%s), %s in docker (%s)", there.ID, there.Verdict, there.Why, here.Verdict, here.Why)
		}
		if here.Verdict == suite.Pass {
			met++
		}
	}
	if met < least {
		t.Errorf("only %d of %d checks are met", met, len(checks))
	}
	t.Logf("%d checks: %v in netns, %v in docker", len(checks), netns.Took, docker.Took)
}
