package suite_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestTheReferenceClientPassesInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	want := map[string]suite.Verdict{}
	for _, id := range handful {
		want[id] = suite.Pass
	}
	for name, args := range map[string][]string{
		"one process for many cases":  {asReference},
		"a process for each case":     {asHostile, "not at all"},
		"a process for each question": {asScript, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := run(t, program(args...), suite.Options{Checks: selected(t, suite.Selection{IDs: handful}), Jobs: 2, Scale: 4})
			if err != nil {
				t.Fatal(err)
			}
			if report.Wiring != "netns" {
				t.Errorf("the wiring is %s", report.Wiring)
			}
			if diff := cmp.Diff(want, verdicts(report)); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}

// handful are checks of which each asks a client for one token.
var handful = []string{"IMDS-01", "IMDS-10", "IMDS-11", "AST-01", "AST-13", "NET-01", "SEC-04"}

func TestBugsAreSeenInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, id := range handful {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			checks := selected(t, suite.Selection{IDs: []string{id, "IMDS-03"}})
			report, err := run(t, program(asReference, id), suite.Options{Checks: checks, Jobs: 1, Scale: 4})
			if err != nil {
				t.Fatal(err)
			}
			got := verdicts(report)
			if v := got[id]; v != suite.Fail && v != suite.Warn {
				t.Errorf("the verdict is %s", v)
			}
			if bug := reference.FindBug(id); bug.Everything == "" && !slices.Contains(bug.Also, "IMDS-03") && got["IMDS-03"] != suite.Pass {
				t.Errorf("the verdict on IMDS-03 is %s", got["IMDS-03"])
			}
		})
	}
}

// TestHowManyCasesRunAtOnceChangesNoVerdict takes a part of the fast checks, and all
// of them in CI.
func TestHowManyCasesRunAtOnceChangesNoVerdict(t *testing.T) {
	t.Parallel()
	checks := selected(t, suite.Selection{Costs: []suite.Cost{suite.Fast}})
	if !toolchain.Required() {
		const nth = 4
		i := 0
		checks = slices.DeleteFunc(checks, func(*suite.Check) bool { i++; return i%nth != 0 })
	}
	all := map[int]map[string]suite.Verdict{}
	var mu sync.Mutex
	t.Run("runs", func(t *testing.T) {
		for _, jobs := range []int{1, 8} {
			t.Run(strconv.Itoa(jobs), func(t *testing.T) {
				t.Parallel()
				report, err := run(t, program(asReference), suite.Options{Checks: checks, Jobs: jobs, Scale: 4})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range report.Results {
					if r.Verdict != suite.Pass {
						t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
					}
				}
				if len(report.Results) != len(checks) {
					t.Errorf("%d verdicts on %d checks", len(report.Results), len(checks))
				}
				mu.Lock()
				defer mu.Unlock()
				all[jobs] = verdicts(report)
			})
		}
	})
	if diff := cmp.Diff(all[1], all[8]); diff != "" {
		t.Errorf("verdicts (-1 job +8 jobs):\n%s", diff)
	}
}

func TestADriverThatCannotBeReusedHasAProcessForEachCase(t *testing.T) {
	h := withoutReset{reference.New(nil)}.Hello()
	if slices.Contains(h.Capabilities, driver.Reset) || !slices.Contains(h.Capabilities, driver.SetEnv) {
		t.Errorf("its capabilities are %q", h.Capabilities)
	}
}
