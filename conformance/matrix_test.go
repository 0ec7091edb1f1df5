package conformance_test

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// wirings are the ways in which a client of this process can be led to the suite: by
// production's names, and by URLs of loopback.
var wirings = map[string]func(suite.Target) suite.Target{
	suite.Memory:   func(t suite.Target) suite.Target { return t },
	suite.Explicit: suite.WithURLs,
}

// inWirings runs a test in each of wirings.
func inWirings(t *testing.T, test func(t *testing.T, wiring string)) {
	for wiring := range wirings {
		t.Run(wiring, func(t *testing.T) { test(t, wiring) })
	}
}

// judge runs a check against the reference client, or one with a bug, in no real
// time.
func judge(t *testing.T, wiring string, bug *reference.Bug, c *suite.Check) suite.Result {
	t.Helper()
	target := wirings[wiring](suite.InProcess(reference.New(bug), t.TempDir()))
	return trial.In(t, target, suite.Options{Checks: []*suite.Check{c}}).Results[0]
}

func TestTheReferenceClientPassesEveryCheck(t *testing.T) {
	inWirings(t, func(t *testing.T, wiring string) {
		for _, c := range suite.Covered(wiring) {
			t.Run(c.ID, func(t *testing.T) {
				got := judge(t, wiring, nil, c)
				if got.Verdict != suite.Pass {
					t.Errorf("%s: %s", got.Verdict, got.Why)
				}
				for _, k := range got.Cases {
					if k.Verdict != suite.Pass && !k.Uncovered && !older(c.ID, k) {
						t.Errorf("case %q: %s: %s\n%s", k.Name, k.Verdict, k.Why, k.Output)
					}
				}
			})
		}
	})
}

// older reports whether a case says nothing of the reference client since it is about
// a version of App Service's protocol that this does not speak. A quirk does.
func older(id string, k suite.CaseResult) bool {
	return id == "MIT-04" && strings.HasPrefix(k.Name, "appservice ") && k.Verdict == suite.Skip
}

// covers reports whether a wiring has a check.
func covers(t *testing.T, wiring, id string) bool {
	t.Helper()
	c := suite.Find(id)
	if c == nil {
		t.Fatalf("there is no check %q", id)
	}
	return slices.Contains(suite.Covered(wiring), c)
}

// unmet reports whether a verdict says that a client does not meet a requirement.
func unmet(v suite.Verdict) bool {
	return slices.Contains([]suite.Verdict{suite.Fail, suite.Warn, suite.Info}, v)
}

func TestEachBugFailsItsCheck(t *testing.T) {
	inWirings(t, func(t *testing.T, wiring string) {
		for _, bug := range reference.Bugs() {
			if wiring == suite.Explicit && bug.Check == lostCheck {
				continue
			}
			t.Run(bug.Check, func(t *testing.T) {
				for _, id := range append([]string{bug.Check}, bug.Also...) {
					if !covers(t, wiring, id) {
						continue
					}
					if got := judge(t, wiring, bug, suite.Find(id)); !unmet(got.Verdict) {
						t.Errorf("%s of a client that %s: %s: %s", id, bug.What, got.Verdict, got.Why)
					}
				}
			})
		}
	})
}

func TestEveryCheckHasABugThatFailsIt(t *testing.T) {
	for _, c := range suite.Checks() {
		if reference.FindBug(c.ID) == nil {
			t.Errorf("no bug of the reference client fails %s: a check that cannot fail says nothing", c.ID)
		}
	}
}

var (
	matrix  = flag.Bool("matrix", false, "run every check against every bug, which takes minutes, not a part of them")
	columns = flag.String("checks", "", "with -matrix, run the checks alone whose IDs these are, separated by commas: those that were changed")
)

// wanted reports whether a bug is tried with a check, by their numbers.
func wanted(wiring string, bug, check int, c *suite.Check) bool {
	part := map[string]int{suite.Memory: 41, suite.Explicit: 41 * 8} // the latter differs in no check
	if !*matrix {
		return (bug+check)%part[wiring] == 0
	}
	return *columns == "" || slices.Contains(strings.Split(*columns, ","), c.ID)
}

// alsoByURLs are checks that fail for a bug, too, where URLs lead to one cloud alone:
// what is sent to another one gets no token.
var alsoByURLs = map[string][]string{"AUT-11": {"IMDS-04"}}

// TestNoBugFailsOtherChecks runs every check against every bug if -matrix says so,
// as CI does, and else a part of them.
func TestNoBugFailsOtherChecks(t *testing.T) {
	inWirings(t, func(t *testing.T, wiring string) {
		for i, bug := range reference.Bugs() {
			if bug.Everything != "" || wiring == suite.Explicit && bug.Check == lostCheck {
				continue
			}
			t.Run(bug.Check, func(t *testing.T) {
				t.Parallel()
				for j, c := range suite.Covered(wiring) {
					if c.ID == bug.Check || slices.Contains(bug.Also, c.ID) || wiring == suite.Explicit && slices.Contains(alsoByURLs[bug.Check], c.ID) || !wanted(wiring, i, j, c) {
						continue
					}
					want := suite.Pass
					if slices.Contains(bug.Silent, c.ID) {
						want = suite.Inconclusive
					}
					if got := judge(t, wiring, bug, c); got.Verdict != want {
						t.Errorf("a client that %s also has %s at %s, and not %s: %s", bug.What, got.Verdict, c.ID, want, got.Why)
					}
				}
			})
		}
	})
}
