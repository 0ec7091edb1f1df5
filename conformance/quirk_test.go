package conformance_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// processRuns counts runs of clients that keep a cache for the whole process, as the
// suite does in [conformance.Run]: identities of one run differ from those of others.
var processRuns atomic.Int64

// Each of these was seen of a released SDK, and would be a false alarm. All checks
// run if -matrix says so, as CI does, and else a part of them.
func TestClientsThatAreUnusualAndRightPassEveryCheck(t *testing.T) {
	const part = 8
	for i, q := range reference.Quirks() {
		t.Run(q.What, func(t *testing.T) {
			target := suite.InProcess(reference.NewQuirky(q), t.TempDir())
			seeds := []string{suite.DefaultSeed}
			if q.Process {
				target = suite.WithEnvironment(target) // as of clients that cannot be told their environment
				// What one run leaves in the process, the next one finds.
				seeds = []string{fmt.Sprint(processRuns.Add(1), " before"), fmt.Sprint(processRuns.Add(1), " after")}
			} else {
				t.Parallel()
			}
			checks := suite.Checks()
			at := i
			checks = slices.DeleteFunc(checks, func(c *suite.Check) bool {
				at++
				return c.Process || len(q.Only) > 0 && !slices.Contains(q.Only, c.ID) || len(q.Only) == 0 && !*matrix && at%part != 0 && !slices.Contains(q.Silent, c.ID) && !slices.Contains(q.Unmet, c.ID)
			})
			for _, seed := range seeds {
				for _, r := range trial.In(t, target, suite.Options{Checks: checks, Seed: seed}).Results {
					want := suite.Pass
					switch {
					case slices.Contains(q.Silent, r.ID):
						want = suite.Skip
					case slices.Contains(q.Unmet, r.ID):
						want = suite.Warn
					case q.Process && r.Verdict == suite.Skip:
						want = suite.Skip
					}
					if r.Verdict != want {
						t.Errorf("%s of a client that %s, as %s, in the run %s: %s, want %s: %s", r.ID, q.What, q.Of, seed, r.Verdict, want, r.Why)
					}
				}
			}
		})
	}
}
