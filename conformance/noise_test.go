package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// All checks run if -matrix says so, as CI does, and else a part of them.
func TestNoiseChangesNoVerdict(t *testing.T) {
	const seeds, part = 3, 6
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			at := 2 * seed
			checks := slices.DeleteFunc(suite.Checks(), func(c *suite.Check) bool { at++; return c.Process || !*matrix && at%part != 0 })
			disturbed := 0
			for _, r := range trial.Run(t, reference.New(nil), suite.Options{Checks: checks, Chaos: fmt.Sprint(seed)}).Results {
				if r.Verdict != suite.Pass {
					t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
				}
				for _, k := range r.Cases {
					for _, x := range k.Exchanges {
						noise := strings.Contains(x.Answer, `"noise_`)
						if noise {
							disturbed++
						}
						if x.Op == "sts.token" && x.Status == 200 && x.Fault == "" && !noise {
							t.Errorf("%s, %s: the answer of exchange %d has no noise: %s", r.ID, k.Name, x.Seq, x.Answer)
						}
					}
				}
			}
			if disturbed < len(checks) {
				t.Errorf("%d answers to %d checks were disturbed", disturbed, len(checks))
			}
		})
	}
	for _, x := range trial.Run(t, reference.New(nil), suite.Options{Checks: trial.Checks(t, "AST-04")}).Results[0].Cases[0].Exchanges {
		if strings.Contains(x.Answer, `"noise_`) {
			t.Errorf("there is noise that nobody asked for: %s", x.Answer)
		}
	}
}
