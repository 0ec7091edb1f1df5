package report_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// run returns the report on a client, of checks that all are fast.
func run(t *testing.T, bug string, ids ...string) *suite.Report {
	t.Helper()
	return trial.Run(t, reference.New(reference.FindBug(bug)), suite.Options{Checks: trial.Checks(t, ids...)})
}

func TestReportsAreReadAsTheyWereWritten(t *testing.T) {
	r := run(t, "IMDS-10", "IMDS-02", "IMDS-10")
	var b bytes.Buffer
	if err := report.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	back, err := report.Read(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Results) != 2 || back.Results[1].Verdict != suite.Warn || len(back.Results[1].Cases) != 3 || len(back.Results[1].Cases[0].Exchanges) == 0 {
		t.Errorf("read back %+v", back.Results)
	}
	two := b.String() + b.String()
	for _, wrong := range []string{"", "[]", `{"schema":"other/v1"}`, two} {
		if _, err := report.Read(strings.NewReader(wrong)); err == nil {
			t.Errorf("%q was read as a report", wrong)
		}
	}
}

func TestReportsSayWhatTheWiringCannotHave(t *testing.T) {
	part := func(shard string, results ...suite.Result) *suite.Report {
		all, some := suite.Uncovered(results)
		return &suite.Report{Suite: suite.Suite{Digest: suite.Digest()}, Wiring: suite.Explicit, Shard: shard, Results: results, Uncovered: all, PartlyUncovered: some}
	}
	uncovered, covered := suite.CaseResult{Verdict: suite.Skip, Uncovered: true}, suite.CaseResult{Verdict: suite.Pass}
	merged, err := report.Merge(
		part("1/2", suite.Result{ID: "IMDS-02", Verdict: suite.Pass, Cases: []suite.CaseResult{covered}}, suite.Result{ID: "SRC-04", Verdict: suite.Pass, Cases: []suite.CaseResult{covered, uncovered}}),
		part("2/2", suite.Result{ID: "IMDS-10", Verdict: suite.Skip, Cases: []suite.CaseResult{uncovered, uncovered}}),
	)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(merged.Uncovered, " ")+", "+strings.Join(merged.PartlyUncovered, " "), "IMDS-10, SRC-04"; got != want {
		t.Errorf("the wiring cannot have %s, want %s", got, want)
	}
	const want = "wiring explicit (which cannot have 1 of the checks)"
	var summary, junit bytes.Buffer
	if err := errors.Join(report.Summary(&summary, merged), report.JUnit(&junit, merged)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(summary.String(), want) || !strings.Contains(junit.String(), `name="wiring" value="explicit (which cannot have 1 of the checks)"`) {
		t.Errorf("not said: %s\n%s\n%s", want, summary.String(), junit.String())
	}
}

func TestNoReportHoldsASecret(t *testing.T) {
	var b bytes.Buffer
	if err := report.Write(&b, run(t, "IMDS-10", "IMDS-10")); err != nil {
		t.Fatal(err)
	}
	if i := strings.Index(b.String(), "eyJ"); i >= 0 {
		t.Errorf("the report has a token: %s", b.String()[i:min(i+80, b.Len())])
	}
}

// Where one case is expected and another one is not, it is the other one that fails.
func TestWhatIsKnownIsNotWhatFailsARun(t *testing.T) {
	condition := suite.Condition{ID: "IMDS-07.selector", Expected: "one", Actual: "none"}
	r := part("", "IMDS-07")
	r.Results[0].Level, r.Results[0].Verdict, r.Results[0].Why = suite.Must, suite.Fail, "IMDS-07.selector: expected one, got none"
	r.Results[0].Cases = []suite.CaseResult{
		{Name: "client_id", Verdict: suite.XFail, Conditions: []suite.Condition{condition}},
		{Name: "object_id", Verdict: suite.Fail, Conditions: []suite.Condition{condition}},
	}
	var annotations, junit bytes.Buffer
	if err := errors.Join(report.Annotations(&annotations, "driver.sh", r), report.JUnit(&junit, r)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"annotations": annotations.String(), "JUnit": junit.String()} {
		if strings.Contains(text, "client_id") || !strings.Contains(text, "object_id: IMDS-07.selector") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestJUnitCountsWhatIsNotMet(t *testing.T) {
	r := run(t, "IMDS-02", "IMDS-02", "IMDS-10")
	var b bytes.Buffer
	if err := report.JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 2 || got.Failures != 1 || len(got.Suites) != 1 || len(got.Suites[0].Cases) != 2 || got.Suites[0].Cases[0].Failure == nil || got.Suites[0].Cases[1].Failure != nil {
		t.Errorf("JUnit says %+v\n%s", got, b.String())
	}
	b.Reset()
	empty := *r
	empty.Results = nil
	if err := report.JUnit(&b, &empty); err != nil || strings.Contains(b.String(), "testcase") {
		t.Errorf("a report of nothing: %v\n%s", err, b.String())
	}
}

// Areas may come again, as those of checks that the catalogue does not have do.
func TestJUnitHasEachCheckOnce(t *testing.T) {
	r := part("", "IMDS-02", "AST-04", "IMDS-10")
	var b bytes.Buffer
	if err := report.JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	countsAreRight(t, b.Bytes(), []*suite.Report{r})
	if n := strings.Count(b.String(), "<testsuite "); n != 2 {
		t.Errorf("there are %d suites:\n%s", n, b.String())
	}
}

// A check that the catalogue does not have is told by what its report says.
func TestFormsHaveChecksOfAnotherCatalogue(t *testing.T) {
	r := foreign(part("", "IMDS-10", "AST-04", "IMDS-02"))
	old := &r.Results[2]
	old.ID, old.Title, old.Tags, old.Verdict = "IMDS-99", "what was checked once", []string{"sec"}, suite.Fail
	old.Cases = []suite.CaseResult{{Verdict: suite.Fail, Conditions: []suite.Condition{{ID: "IMDS-99.once", Expected: "a", Actual: "b"}}}}
	var page, sarif, summary bytes.Buffer
	if err := errors.Join(report.HTML(&page, nil, r), report.SARIF(&sarif, "d.py", r), report.Summary(&summary, r)); err != nil {
		t.Fatal(err)
	}
	_, packed, _ := strings.Cut(page.String(), `<script type="text/plain" id="data">`)
	packed, _, _ = strings.Cut(packed, "<")
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(strings.TrimSpace(packed))))
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		Checks []struct {
			ID, Title, Requirement string
			Tags, Sources          []string
		}
		Digest string
	}
	if err := json.NewDecoder(z).Decode(&data); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range data.Checks {
		ids = append(ids, c.ID)
		if c.Sources == nil || c.Tags == nil {
			t.Errorf("%s has no list of sources or tags, which the page wants", c.ID)
		}
	}
	if got := strings.Join(ids, " "); got != "IMDS-10 IMDS-99 AST-04" || data.Checks[1].Title != old.Title || data.Checks[1].Requirement != old.Title || data.Digest != suite.Digest() {
		t.Errorf("the page has the checks %s: %+v", got, data)
	}
	if want := `"text": "a 1: IMDS-99.once: expected a, got b"`; !strings.Contains(sarif.String(), want) {
		t.Errorf("SARIF does not have %s:\n%s", want, sarif.String())
	}
	for _, want := range []string{
		"The catalogue of checks was another one than that of this version of fakeentra (older, and not " + suite.Digest() + "): what is required may have changed since.\n",
		"| IMDS-99 | fail | MUST what was checked once |",
	} {
		if !strings.Contains(summary.String(), want) {
			t.Errorf("the summary does not have %s:\n%s", want, summary.String())
		}
	}
}

func TestSARIFHasTheFindingsOfSecurityChecks(t *testing.T) {
	var b bytes.Buffer
	if err := report.SARIF(&b, "driver.py", run(t, "IMDS-10", "IMDS-02", "IMDS-10")); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				Level     string
				Locations []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	run := got.Runs[0]
	if got.Version != "2.1.0" || len(run.Tool.Driver.Rules) != 1 || len(run.Results) < 3 || run.Results[0].RuleID != "IMDS-10" || run.Results[0].Level != "warning" || run.Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI != "driver.py" {
		t.Errorf("SARIF says %+v", got)
	}
}

func TestAnnotationsAreEscaped(t *testing.T) {
	r := run(t, "IMDS-02", "IMDS-02")
	r.Results[0].Title = "a, b: c"
	var b bytes.Buffer
	if err := report.Annotations(&b, "a:b.py", r); err != nil {
		t.Fatal(err)
	}
	if want := "::error file=a%3Ab.py,title=IMDS-02 a%2C b%3A c::"; !strings.HasPrefix(b.String(), want) || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%q does not begin with %q", b.String(), want)
	}
}

func TestWhatFailsARunAsAWholeIsTold(t *testing.T) {
	r := part("", "IMDS-02")
	r.Incomplete, r.Stale = "it was interrupted", []string{"x/xfail.toml:4: it came to nothing"}
	r.Results[0].Verdict, r.Results[0].Why, r.Results[0].Expected = suite.XPass, "it is met", &suite.Expected{Where: "x/xfail.toml:9"}
	for name, c := range map[string]struct {
		write func(*bytes.Buffer) error
		want  []string
	}{
		"annotations": {func(b *bytes.Buffer) error { return report.Annotations(b, "d.py", r) }, []string{
			"::error file=x/xfail.toml,line=9,title=IMDS-02 the header Metadata%3A true::a 1: it is met\n",
			"::error file=d.py,title=not all checks ran::a 1: it was interrupted\n",
			"::error file=x/xfail.toml,line=4,title=expectation without effect::a 1: it came to nothing\n",
		}},
		"summary": {func(b *bytes.Buffer) error { return report.Summary(b, r) }, []string{
			"Not all checks ran: it was interrupted.\n", "Expectation without effect: x/xfail.toml:4: it came to nothing\n",
		}},
		"JUnit": {func(b *bytes.Buffer) error { return report.JUnit(b, r) }, []string{
			`tests="3" failures="2" errors="1"`, `<testcase classname="fakeentra.run" name="the expectation of x/xfail.toml:4"`, `<error message="it was interrupted" type="incomplete">`,
		}},
	} {
		var b bytes.Buffer
		if err := c.write(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("the %s does not have %q:\n%s", name, want, b.String())
			}
		}
	}
}

func TestThePageLoadsNothing(t *testing.T) {
	var b bytes.Buffer
	good, bad := run(t, "", "IMDS-*"), run(t, "IMDS-10", "IMDS-*")
	bad.Results[0].Why = "</script><script>alert(1)</script>"
	if err := report.HTML(&b, []*suite.Report{good}, good, bad); err != nil {
		t.Fatal(err)
	}
	page := strings.Replace(b.String(), `<link rel="icon" href="data:,">`, "", 1) // which asks for nothing
	for _, loads := range []string{"src=", "@import", "url(", "<link", "fetch(", "XMLHttpRequest", "</script><script>alert"} {
		if strings.Contains(page, loads) {
			t.Errorf("the page has %s", loads)
		}
	}
	if n := strings.Count(page, "</script>"); n != 2 {
		t.Errorf("the page has the ends of %d scripts", n)
	}
}
