package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/sandbox"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// driverWord makes this program the driver of the reference client, or of the one
// with the bug that comes next.
const driverWord = "reference-driver"

func TestMain(m *testing.M) {
	sandbox.Child()
	if len(os.Args) > 1 && os.Args[1] == driverWord {
		var bug *reference.Bug
		if len(os.Args) > 2 {
			bug = reference.FindBug(os.Args[2])
		}
		driver.Main(reference.New(bug))
	}
	if len(os.Args) > 2 && os.Args[1] == lostWord {
		serveLost(os.Args[2])
	}
	os.Exit(m.Run())
}

// judgeProcess runs a check against the reference client in a process of its own,
// or one with a bug.
func judgeProcess(t *testing.T, c *suite.Check, bug ...string) suite.Result {
	t.Helper()
	target := suite.Process(suite.Command{Path: "/proc/self/exe", Args: append([]string{os.Args[0], driverWord}, bug...)})
	report, err := suite.Run(t.Context(), target, suite.Options{Checks: []*suite.Check{c}})
	if errors.Is(err, sandbox.ErrUnavailable) {
		toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
	}
	if err != nil {
		t.Fatal(err)
	}
	result := report.Results[0]
	if result.Verdict == suite.Skip {
		toolchain.Without(t, "what the check needs of a machine, such as IPv6", "see what is missing ("+result.Why+")")
	}
	return result
}

// processChecks are those that see more of a process, or nothing else.
func processChecks() []*suite.Check {
	checks, err := suite.Select(suite.Selection{IDs: []string{"NET-09", "NET-15"}})
	if err != nil {
		panic(err) // they are there
	}
	for _, c := range suite.Checks() {
		if c.Process {
			checks = append(checks, c)
		}
	}
	return checks
}

func TestTheReferenceClientPassesTheChecksOfProcesses(t *testing.T) {
	for _, c := range processChecks() {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			got := judgeProcess(t, c)
			for _, k := range got.Cases {
				if k.Verdict != suite.Pass {
					t.Errorf("case %q: %s: %s\n%s", k.Name, k.Verdict, k.Why, k.Output)
				}
			}
		})
	}
}

func TestEachBugOfAProcessFailsItsCheck(t *testing.T) {
	for _, c := range processChecks() {
		for _, bug := range bugsOf(c) {
			t.Run(bug, func(t *testing.T) {
				t.Parallel()
				if got := judgeProcess(t, c, bug); !unmet(got.Verdict) {
					t.Errorf("a client that %s: %s: %s", reference.FindBug(bug).What, got.Verdict, got.Why)
				}
			})
		}
	}
}

// bugsOf names all bugs of a check.
func bugsOf(c *suite.Check) []string {
	var names []string
	for _, b := range reference.Bugs() {
		if b.Check == c.ID {
			names = append(names, fmt.Sprintf("%s#%d", c.ID, len(names)+1))
		}
	}
	return names
}
