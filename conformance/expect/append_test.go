package expect_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

func report() *suite.Report {
	return &suite.Report{Strict: true, Results: []suite.Result{
		{ID: "IMDS-02", Level: suite.Must, Title: "the header", Verdict: suite.Pass},
		{ID: "IMDS-10", Level: suite.Should, Title: "redirects", Why: "a \"b\"\n\x1b[1mc", Verdict: suite.Warn, Cases: []suite.CaseResult{
			in(first, suite.Warn, unmet("trap")), in(second, suite.Warn, unmet("trap"), met("outcome")),
		}},
		{ID: "IMDS-03", Level: suite.Must, Title: "selectors", Why: "why", Verdict: suite.Fail, Cases: []suite.CaseResult{
			in("", suite.Fail, unmet("a"), unmet("b")),
		}},
		{ID: "IMDS-04", Level: suite.Must, Title: "crash", Why: "why", Verdict: suite.Error, Cases: []suite.CaseResult{in("", suite.Error)}},
		{ID: "IMDS-07", Level: suite.Must, Title: "several", Why: "crash", Verdict: suite.Error, Cases: []suite.CaseResult{
			in(first, suite.Error), in(second, suite.Fail, suite.Condition{ID: "IMDS-07.selector"}),
			in("skipped", suite.Skip), in("known", suite.XFail, suite.Condition{ID: "IMDS-07.outcome"}),
		}},
		{ID: "IMDS-05", Level: suite.Must, Verdict: suite.XFail, Expected: &suite.Expected{Was: suite.Fail}},
		{ID: "IMDS-06", Level: suite.Must, Verdict: suite.XPass, Expected: &suite.Expected{Was: suite.Pass}},
	}}
}

const added = `
# SHOULD: redirects -- a "b" [1mc
[[expect]]
check = "IMDS-10"
assert = "IMDS-10.trap"
outcome = "warn"
reason = ""

# MUST: selectors -- why
[[expect]]
check = "IMDS-03"
outcome = "fail"
reason = ""

# MUST: crash -- why
[[expect]]
check = "IMDS-04"
outcome = "error"
reason = ""

# MUST: several -- crash
[[expect]]
check = "IMDS-07"
outcome = "error"
reason = ""

# MUST: several -- as it was
[[expect]]
check = "IMDS-07"
assert = "IMDS-07.selector"
outcome = "fail"
reason = ""
`

func TestWhatFailsIsAddedWithoutReasons(t *testing.T) {
	name := filepath.Join(t.TempDir(), expect.FileName)
	n, err := expect.Append(name, report())
	if n != 5 || err != nil {
		t.Fatalf("added %d: %v", n, err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const header = `# What the client is known not to meet, and why. It is refused to have no reason,
# and to be met after all: https://github.com/fakeentra/fakeentra
suite = ">=1.0"
`
	if diff := cmp.Diff(header+added, string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	if got := problems(t, name); len(got) != 5 {
		t.Errorf("a list without reasons is used: %q", got)
	}
}

// A check that is met in one run and skipped in another one has no verdict, and no case
// that could be expected to fail.
func TestNothingIsAddedForWhatNoCaseFails(t *testing.T) {
	name := filepath.Join(t.TempDir(), expect.FileName)
	r := &suite.Report{Results: []suite.Result{{ID: "IMDS-02", Level: suite.Must, Verdict: suite.Inconclusive, Cases: []suite.CaseResult{in("", suite.Pass)}}}}
	if n, err := expect.Append(name, r); n != 0 || err != nil {
		t.Errorf("added %d: %v", n, err)
	}
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestWhatAFileHasIsLeftAsItIs(t *testing.T) {
	const old = "# mine\n[[expect]] # first\nreason = 'because'\ncheck = \"IMDS-12\"\n# end"
	name := written(t, old)
	if n, err := expect.Append(name, report()); n != 5 || err != nil {
		t.Fatalf("added %d: %v", n, err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(old+"\n"+added, string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestAFileThatCannotBeAddedToStaysAsItIs(t *testing.T) {
	const old = "expect = [{check = \"IMDS-12\", reason = \"x\"}]\n"
	name := written(t, old)
	if n, err := expect.Append(name, report()); n != 0 || err == nil {
		t.Fatalf("added %d: %v", n, err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != old {
		t.Errorf("the file is %q, %v", got, err)
	}
}

func TestNoFileIsMadeForNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), expect.FileName)
	if n, err := expect.Append(name, &suite.Report{}); n != 0 || err != nil {
		t.Errorf("added %d: %v", n, err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("there is a file")
	}
}
