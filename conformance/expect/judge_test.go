package expect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// a case of IMDS-10 with a verdict, and conditions that are met or not.
func in(name string, v suite.Verdict, conditions ...suite.Condition) suite.CaseResult {
	return suite.CaseResult{Name: name, Verdict: v, Conditions: conditions, Why: "as it was"}
}

func met(id string) suite.Condition { return suite.Condition{ID: "IMDS-10." + id, Met: true} }

func unmet(id string) suite.Condition {
	return suite.Condition{ID: "IMDS-10." + id, Expected: "one", Actual: "two"}
}

// beyond is a case that the wiring cannot have.
func beyond(name string) suite.CaseResult {
	return suite.CaseResult{Name: name, Verdict: suite.Skip, Uncovered: true}
}

const first, second = "302 Found to http", "307 Temporary Redirect to https"

func TestVerdictsUnderExpectations(t *testing.T) {
	const head = "[[expect]]\ncheck = \"IMDS-10\"\nreason = \"it follows\"\n"
	failed := []suite.CaseResult{in(first, suite.Warn, unmet("trap"), met("outcome")), in(second, suite.Pass, met("trap"), met("outcome"))}
	passed := []suite.CaseResult{in(first, suite.Pass, met("trap")), in(second, suite.Pass, met("trap"))}
	for name, c := range map[string]struct {
		text  string
		found suite.Verdict
		cases []suite.CaseResult
		want  suite.Verdict
		stale []string
	}{
		"nothing is known":                     {"", suite.Warn, failed, suite.Warn, nil},
		"it fails, as is known":                {head, suite.Warn, failed, suite.XFail, nil},
		"by a pattern":                         {"[[expect]]\ncheck = \"IMDS-1*\"\nreason = \"x\"", suite.Warn, failed, suite.XFail, nil},
		"another check":                        {"[[expect]]\ncheck = \"IMDS-02\"\nreason = \"x\"", suite.Warn, failed, suite.Warn, nil},
		"it passes, unexpectedly":              {head, suite.Pass, passed, suite.XPass, nil},
		"it passes, as it does by chance":      {head + "sometimes = true", suite.Pass, passed, suite.Pass, nil},
		"it fails, as it does by chance":       {head + "sometimes = true", suite.Warn, failed, suite.XFail, nil},
		"the condition that is known":          {head + "assert = \"IMDS-10.trap\"", suite.Warn, failed, suite.XFail, nil},
		"another condition, too":               {head + "assert = \"IMDS-10.trap\"", suite.Warn, []suite.CaseResult{in(first, suite.Warn, unmet("trap"), unmet("outcome"))}, suite.Warn, nil},
		"another condition, which is met":      {head + "assert = \"IMDS-10.outcome\"\n" + head + "assert = \"IMDS-10.trap\"", suite.Warn, failed, suite.XPass, nil},
		"a condition that was not come to":     {head + "assert = \"IMDS-10.other\"", suite.Pass, passed, suite.Pass, []string{":1: it expects IMDS-10 to be unmet, but the run did not come to the condition IMDS-10.other"}},
		"the case that is known":               {head + "case = \"" + first + "\"", suite.Warn, failed, suite.XFail, nil},
		"another case":                         {head + "case = \"" + second + "\"", suite.Warn, failed, suite.Warn, nil},
		"the verdict that is known":            {head + "outcome = \"warn\"", suite.Warn, failed, suite.XFail, nil},
		"another verdict":                      {head + "outcome = \"fail\"", suite.Warn, failed, suite.Warn, nil},
		"a crash is not a failure":             {head, suite.Error, []suite.CaseResult{in(first, suite.Error)}, suite.Error, nil},
		"a crash that is known":                {head + "outcome = \"error\"", suite.Error, []suite.CaseResult{in(first, suite.Error)}, suite.XFail, nil},
		"inconclusive, as is known":            {head + "outcome = \"inconclusive\"", suite.Inconclusive, []suite.CaseResult{in(first, suite.Inconclusive)}, suite.XFail, nil},
		"skipped, as is known":                 {head + "outcome = \"skip\"", suite.Skip, []suite.CaseResult{in(first, suite.Skip)}, suite.XFail, nil},
		"skipped where it should have failed":  {head, suite.Skip, []suite.CaseResult{in(first, suite.Skip)}, suite.Skip, []string{":1: it expects IMDS-10 to be unmet, but it was skipped: as it was"}},
		"the wiring cannot have it":            {head, suite.Skip, []suite.CaseResult{beyond(first), beyond(second)}, suite.Skip, nil},
		"the wiring cannot have that case":     {head, suite.Pass, []suite.CaseResult{beyond(first), in(second, suite.Pass, met("trap"))}, suite.Pass, nil},
		"the wiring has the case":              {head + "case = \"" + second + "\"", suite.Pass, []suite.CaseResult{beyond(first), in(second, suite.Pass, met("trap"))}, suite.XPass, nil},
		"a skipped case beside one that fails": {head, suite.Warn, []suite.CaseResult{in(first, suite.Skip), in(second, suite.Warn, unmet("trap"))}, suite.XFail, nil},
		"another wiring":                       {head + "when = { wiring = \"memory\" }", suite.Warn, failed, suite.Warn, nil},
		"this wiring":                          {head + "when = { wiring = \"netns\" }", suite.Warn, failed, suite.XFail, nil},
		"a newer dependency":                   {head + "when = { \"dependency:core\" = \"<1.20\" }", suite.Warn, failed, suite.Warn, nil},
		"this dependency":                      {head + "when = { \"dependency:core\" = \">=1.20, <1.21\" }", suite.Warn, failed, suite.XFail, nil},
		"this version":                         {head + "when = { version = \">=3.2, <3.3\" }", suite.Warn, failed, suite.XFail, nil},
		"a dependency that is not there":       {head + "when = { \"dependency:cora\" = \"<2\" }", suite.Warn, failed, suite.Warn, []string{":1: the driver names no dependency \"cora\"; expected one of core, odd"}},
		"a version that is none":               {head + "when = { \"dependency:odd\" = \"<2\" }", suite.Warn, failed, suite.Warn, []string{":1: the version of odd is \"main\", which cannot be compared with \"<2\""}},
	} {
		t.Run(name, func(t *testing.T) {
			file := written(t, c.text)
			set, err := expect.Read(file, today)
			if err != nil {
				t.Fatal(err)
			}
			set.Meet(&suite.Report{Wiring: "netns", Driver: driver.Hello{
				Implementation: driver.Implementation{Version: "3.2.1"},
				Dependencies:   []driver.Dependency{{Name: "core", Version: "v1.20.0b3"}, {Name: "odd", Version: "main"}},
			}})
			r := suite.Result{ID: "IMDS-10", Verdict: c.found, Why: "as it was", Cases: append([]suite.CaseResult(nil), c.cases...)}
			set.Judge(&r)
			if r.Verdict != c.want {
				t.Errorf("%s: %s, want %s", r.Verdict, r.Why, c.want)
			}
			if changed := r.Verdict != c.found; changed != (r.Expected != nil) || changed && r.Expected.Was != c.found {
				t.Errorf("the expectation is %+v", r.Expected)
			}
			if r.Found() != c.found {
				t.Errorf("it was found to be %s, want %s", r.Found(), c.found)
			}
			var want []string
			for _, s := range c.stale {
				want = append(want, file+s)
			}
			if diff := cmp.Diff(want, set.Stale()); diff != "" {
				t.Errorf("stale (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotExpectedIsTold(t *testing.T) {
	set := &expect.Set{}
	if err := set.Add("here", "IMDS-10", "x"); err != nil {
		t.Fatal(err)
	}
	if err := set.Add("here", "IMDS-99", "x"); err == nil {
		t.Error("a check that there is not was accepted")
	}
	if err := set.Add("here", "IMDS-10", ""); err == nil {
		t.Error("no reason was accepted")
	}
	r := suite.Result{ID: "IMDS-10", Verdict: suite.Error, Why: "the driver crashed", Cases: []suite.CaseResult{
		in(first, suite.Warn, unmet("trap")), {Name: second, Verdict: suite.Error, Why: "the driver crashed"},
	}}
	set.Judge(&r)
	if r.Verdict != suite.Error || r.Why != "the driver crashed" || r.Cases[0].Verdict != suite.XFail || r.Cases[1].Verdict != suite.Error {
		t.Errorf("%s: %s, cases %s and %s", r.Verdict, r.Why, r.Cases[0].Verdict, r.Cases[1].Verdict)
	}
}

func TestWhatASetIsAbout(t *testing.T) {
	set := &expect.Set{}
	if err := set.Add("here", "IMDS-1*", "x"); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"IMDS-10": true, "IMDS-02": false} {
		if set.About(id) != want {
			t.Errorf("it is about %s: %v", id, !want)
		}
	}
}
