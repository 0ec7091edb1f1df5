package expect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Of a pattern, the checks that did not run may be what it is for.
func TestAPatternIsStaleWhenAllItsChecksRan(t *testing.T) {
	const pattern = "IMDS-1[03]"
	skipped := func(id string) suite.Result {
		return suite.Result{ID: id, Verdict: suite.Skip, Why: "no", Cases: []suite.CaseResult{in("", suite.Skip)}}
	}
	failed := func(id string) suite.Result {
		return suite.Result{ID: id, Verdict: suite.Warn, Cases: []suite.CaseResult{in("", suite.Warn, unmet("trap"))}}
	}
	const idle = "it expects IMDS-10 to be unmet, but it was skipped: no"
	for name, c := range map[string]struct {
		ran     []suite.Result
		stale   []string
		partial []suite.Partial
	}{
		"none of them ran":               {[]suite.Result{failed("IMDS-02")}, nil, nil},
		"one ran, and came to nothing":   {[]suite.Result{skipped("IMDS-10")}, nil, []suite.Partial{{Where: "here", Check: pattern, Idle: idle}}},
		"one ran, and needed it":         {[]suite.Result{failed("IMDS-10")}, nil, []suite.Partial{{Where: "here", Check: pattern}}},
		"all ran, and one needed it":     {[]suite.Result{skipped("IMDS-10"), failed("IMDS-13")}, nil, nil},
		"all ran, and none came to that": {[]suite.Result{skipped("IMDS-13"), skipped("IMDS-10")}, []string{"here: " + idle}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			set := &expect.Set{}
			if err := set.Add("here", pattern, "x"); err != nil {
				t.Fatal(err)
			}
			for i := range c.ran {
				set.Judge(&c.ran[i])
			}
			if diff := cmp.Diff(c.stale, set.Stale()); diff != "" {
				t.Errorf("stale (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.partial, set.Partial()); diff != "" {
				t.Errorf("partial (-want +got):\n%s", diff)
			}
		})
	}
}
