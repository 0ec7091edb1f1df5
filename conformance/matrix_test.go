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

// judge runs a check against the reference client, or one with a bug, in no real
// time.
func judge(t *testing.T, bug *reference.Bug, c *suite.Check) suite.Result {
	t.Helper()
	return trial.Run(t, reference.New(bug), suite.Options{Checks: []*suite.Check{c}}).Results[0]
}

func TestTheReferenceClientPassesEveryCheck(t *testing.T) {
	for _, c := range suite.Checks() {
		t.Run(c.ID, func(t *testing.T) {
			inMemory(t, c)
			got := judge(t, nil, c)
			if got.Verdict != suite.Pass {
				t.Errorf("%s: %s", got.Verdict, got.Why)
			}
			for _, k := range got.Cases {
				if k.Verdict != suite.Pass {
					t.Errorf("case %q: %s: %s\n%s", k.Name, k.Verdict, k.Why, k.Output)
				}
			}
		})
	}
}

// inMemory leaves out the checks that are about processes.
func inMemory(t *testing.T, c *suite.Check) {
	t.Helper()
	if c.Process {
		t.Skip("it looks at a process; another test has it")
	}
}

// unmet reports whether a verdict says that a client does not meet a requirement.
func unmet(v suite.Verdict) bool {
	return slices.Contains([]suite.Verdict{suite.Fail, suite.Warn, suite.Info}, v)
}

func TestEachBugFailsItsCheck(t *testing.T) {
	for _, bug := range reference.Bugs() {
		t.Run(bug.Check, func(t *testing.T) {
			for _, id := range append([]string{bug.Check}, bug.Also...) {
				c := suite.Find(id)
				if c == nil {
					t.Fatalf("there is no check %q", id)
				}
				inMemory(t, c)
				if got := judge(t, bug, c); !unmet(got.Verdict) {
					t.Errorf("%s of a client that %s: %s: %s", id, bug.What, got.Verdict, got.Why)
				}
			}
		})
	}
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
func wanted(bug, check int, c *suite.Check) bool {
	const part = 41
	if !*matrix {
		return (bug+check)%part == 0
	}
	return *columns == "" || slices.Contains(strings.Split(*columns, ","), c.ID)
}

// TestNoBugFailsOtherChecks runs every check against every bug if -matrix says so,
// as CI does, and else a part of them.
func TestNoBugFailsOtherChecks(t *testing.T) {
	for i, bug := range reference.Bugs() {
		if bug.Everything != "" {
			continue
		}
		t.Run(bug.Check, func(t *testing.T) {
			t.Parallel()
			for j, c := range suite.Checks() {
				if c.Process || c.ID == bug.Check || slices.Contains(bug.Also, c.ID) || !wanted(i, j, c) {
					continue
				}
				if got := judge(t, bug, c); got.Verdict != suite.Pass {
					t.Errorf("a client that %s also has %s at %s: %s", bug.What, got.Verdict, c.ID, got.Why)
				}
			}
		})
	}
}
