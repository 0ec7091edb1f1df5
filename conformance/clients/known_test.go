package clients_test

import (
	"flag"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

var (
	whole   = flag.Bool("whole", false, "put every SDK to the suite, but for its slow checks, which takes minutes")
	slow    = flag.Bool("slow", false, "put every SDK to the slow checks, all SDKs at once unless -whole is given, too: they mostly wait")
	jobs    = flag.Int("jobs", min(32, 12*runtime.NumCPU()), "with -whole or -slow, run so many cases of an SDK at once")
	shuffle = flag.String("shuffle-cases", "", "with -whole or -slow, run cases in an order that this text decides on")
)

// known reads what an SDK is known not to meet.
func (s sdk) known(t *testing.T) *expect.Set {
	t.Helper()
	set, err := expect.Read(filepath.Join(s.folder, expect.FileName), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// What an SDK does not meet is in the file beside its driver, whatever the level of
// the check, and nothing else is.
func TestSDKsDoWhatIsKnownOfThem(t *testing.T) {
	if !*whole && !*slow {
		t.Skip("it takes minutes; -whole and -slow run it, as CI does")
	}
	var selection suite.Selection
	if *whole {
		selection.Costs = append(selection.Costs, suite.Fast, suite.Timed)
	}
	if *slow {
		selection.Costs = append(selection.Costs, suite.Slow)
	}
	checks, err := suite.Select(selection)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(sdks, others[0]) {
		t.Run(s.name, func(t *testing.T) {
			if !*whole {
				t.Parallel()
			}
			report := s.run(t, suite.Options{Checks: checks, Jobs: *jobs, Shuffle: *shuffle, Expected: s.known(t)})
			for _, stale := range report.Stale {
				t.Error(stale)
			}
			t.Logf("%d checks in %v", len(report.Results), time.Duration(report.Took)*time.Millisecond)
			odd := unexpected(report)
			if len(odd) == 0 {
				return
			}
			// A machine that is too busy for all of them may not be for these. That it
			// is may leave a check without a verdict, but not give it another one.
			for _, r := range odd {
				switch r.Verdict {
				case suite.Error, suite.Timeout, suite.Inconclusive:
					t.Logf("once: %s: %s: %s", r.ID, r.Verdict, r.Why)
				default:
					t.Errorf("once: %s: %s: %s", r.ID, r.Verdict, r.Why)
				}
			}
			again := s.run(t, suite.Options{Checks: checksOf(odd), Jobs: runtime.NumCPU(), Expected: s.known(t)})
			for _, r := range unexpected(again) {
				t.Errorf("twice: %s: %s: %s", r.ID, r.Verdict, r.Why)
			}
		})
	}
}

// unexpected are the results that nothing which is known of a client explains.
func unexpected(report *suite.Report) []suite.Result {
	return slices.DeleteFunc(slices.Clone(report.Results), func(r suite.Result) bool {
		return r.Verdict == suite.Pass || r.Verdict == suite.XFail || r.Verdict == suite.Skip
	})
}

func checksOf(results []suite.Result) []*suite.Check {
	var checks []*suite.Check
	for _, r := range results {
		checks = append(checks, suite.Find(r.ID))
	}
	return checks
}

func TestEveryExpectationIsInOrder(t *testing.T) {
	for _, s := range append(sdks, others[0]) {
		t.Run(s.name, func(t *testing.T) {
			if s.known(t).Len() == 0 {
				t.Error("nothing is known of it")
			}
		})
	}
}
