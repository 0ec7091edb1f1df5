package conformance

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// An Option changes how [Run] runs.
type Option func(*options)

type options struct {
	selection suite.Selection
	strict    bool
	realTime  bool
	expected  []expectation
	files     []string
}

type expectation struct{ check, reason string }

// Only runs the checks whose IDs match one of patterns, such as IMDS-* (see
// [path.Match]).
func Only(patterns ...string) Option {
	return func(o *options) { o.selection.IDs = append(o.selection.IDs, patterns...) }
}

// Without leaves out the checks whose IDs match one of patterns.
func Without(patterns ...string) Option {
	return func(o *options) { o.selection.Skip = append(o.selection.Skip, patterns...) }
}

// Strict makes a test fail where the client does not do what it only should.
func Strict() Option { return func(o *options) { o.strict = true } }

// RealTime lets time pass as it does. Without it, each check runs in a bubble of
// package [testing/synctest], in which waiting takes no time: a client that uses
// goroutines or channels from outside of it, such as those of a package variable,
// cannot run there. Checks with several callers at once always take real time,
// since a bubble does not see that callers wait who wait at a mutex.
func RealTime() Option { return func(o *options) { o.realTime = true } }

// Expect says that a client is known not to meet a check, and why. The test then
// fails if it does meet it, so that the expectation is taken away.
func Expect(id, reason string) Option {
	return func(o *options) { o.expected = append(o.expected, expectation{id, reason}) }
}

// ExpectFile does what [Expect] does for all that a file says (see package expect),
// which may be the one that "fakeentra conform run" uses for the same client.
func ExpectFile(name string) Option {
	return func(o *options) { o.files = append(o.files, name) }
}

// runs counts the runs of this process, so that their identifiers differ: some
// clients keep a cache for the whole process.
var runs atomic.Int64

// Run puts a client in Go to the checks, each in a subtest with its ID. The client
// needs no socket: it is led to the suite by the transport in its configuration.
// Checks that need a process of its own, such as those that look for files, are
// skipped; "fakeentra conform run" has them.
//
// A check that is not met fails its test if it is a MUST, and is logged if not,
// unless [Strict]. Variables of the environment are set while a check runs, so
// that the test must not be parallel.
func Run(t *testing.T, d driver.Driver, opts ...Option) {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	checks, err := suite.Select(o.selection)
	if err != nil {
		t.Fatalf("conformance: %v", err)
	}
	known := o.known(t)
	seed := fmt.Sprintf("%s %d", suite.DefaultSeed, runs.Add(1))
	temp := t.TempDir()
	target := suite.WithEnvironment(suite.InProcess(d, temp))
	for _, c := range checks {
		t.Run(c.ID, func(t *testing.T) {
			var got suite.Result
			run := func(t *testing.T) {
				report, err := suite.Run(t.Context(), target, suite.Options{Checks: []*suite.Check{c}, Strict: o.strict, Seed: seed, Expected: known})
				if err != nil {
					t.Fatal(err)
				}
				got = report.Results[0]
			}
			if o.realTime || c.Uses(driver.Concurrency) {
				run(t)
			} else {
				synctest.Test(t, run)
			}
			o.conclude(t, c, got)
		})
	}
	for _, stale := range known.Stale() {
		t.Errorf("conformance: %s", stale)
	}
}

// known returns what the client is known not to meet.
func (o *options) known(t *testing.T) *expect.Set {
	t.Helper()
	known := &expect.Set{}
	for _, e := range o.expected {
		if err := known.Add(fmt.Sprintf("conformance.Expect(%q)", e.check), e.check, e.reason); err != nil {
			t.Error(err)
		}
	}
	for _, name := range o.files {
		set, err := expect.Read(name, time.Now())
		if err != nil {
			t.Fatalf("conformance: %v", err)
		}
		known.Join(set)
	}
	return known
}

// conclude turns a verdict into the end of a test.
func (o *options) conclude(t *testing.T, c *suite.Check, got suite.Result) {
	t.Helper()
	switch {
	case got.Verdict == suite.XFail:
		t.Skipf("%s (%s)", got.Why, got.Expected.Reason)
	case got.Verdict == suite.XPass:
		t.Errorf("%s: %s", c.ID, got.Why)
	case got.Verdict == suite.Skip:
		t.Skip(got.Why)
	case got.Verdict == suite.Warn && !o.strict, got.Verdict == suite.Info:
		t.Logf("%s %s is not met: %s", c.Level, c.Title, explained(c, got))
	case got.Verdict != suite.Pass:
		t.Errorf("%s %s: %s", c.Level, c.Title, explained(c, got))
	}
}

// explained says what a check wants and what was seen.
func explained(c *suite.Check, got suite.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  requirement: %s\n", got.Why, c.Requirement)
	for _, k := range got.Cases {
		for _, condition := range k.Conditions {
			if !condition.Met {
				fmt.Fprintf(&b, "  %s %s\n    expected: %s\n    actual:   %s\n", condition.ID, k.Name, condition.Expected, condition.Actual)
			}
		}
		if k.Verdict == suite.Pass || k.Verdict == suite.Skip {
			continue
		}
		for _, x := range k.Exchanges {
			fmt.Fprintf(&b, "    %d %s %s %s %d\n", x.Seq, x.Op, x.Method, x.URL, x.Status)
		}
	}
	fmt.Fprintf(&b, "  sources: %s\n", strings.Join(c.Sources, ", "))
	return b.String()
}
