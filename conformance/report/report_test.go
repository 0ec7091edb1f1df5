package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// run returns the report on a client, of checks that all are fast.
func run(t *testing.T, bug string, ids ...string) *suite.Report {
	t.Helper()
	checks, err := suite.Select(suite.Selection{IDs: ids})
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	var r *suite.Report
	synctest.Test(t, func(t *testing.T) {
		r, err = suite.Run(t.Context(), suite.InProcess(reference.New(reference.FindBug(bug)), temp), suite.Options{Checks: checks})
		if err != nil {
			t.Fatal(err)
		}
	})
	return r
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
	for _, wrong := range []string{"", "[]", `{"schema":"other/v1"}`} {
		if _, err := report.Read(strings.NewReader(wrong)); err == nil {
			t.Errorf("%q was read as a report", wrong)
		}
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

func TestMergeRefusesWhatDoesNotBelongTogether(t *testing.T) {
	a, b := run(t, "", "IMDS-02"), run(t, "", "IMDS-10")
	a.Shard, b.Shard = "1/2", "2/2"
	merged, err := report.Merge(b, a)
	if err != nil || len(merged.Results) != 2 || merged.Results[0].ID != "IMDS-02" || merged.Shard != "" {
		t.Fatalf("merged %+v, %v", merged, err)
	}
	if _, err := report.Merge(a, a); err == nil || !strings.Contains(err.Error(), "both have IMDS-02") {
		t.Errorf("the same shard twice: %v", err)
	}
	for what, change := range map[string]func(*suite.Report){
		"seed":      func(r *suite.Report) { r.Seed = "other" },
		"catalogue": func(r *suite.Report) { r.Suite.Digest = "other" },
		"client":    func(r *suite.Report) { r.Driver.Implementation.Version = "2" },
	} {
		other := *b
		change(&other)
		if _, err := report.Merge(a, &other); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("another %s: %v", what, err)
		}
	}
	a.Shard, b.Shard = "1/3", "2/3"
	if _, err := report.Merge(a, b); err == nil || !strings.Contains(err.Error(), "3/3") {
		t.Errorf("a shard that is missing: %v", err)
	}
}

func TestThePageLoadsNothing(t *testing.T) {
	var b bytes.Buffer
	good, bad := run(t, "", "IMDS-*"), run(t, "IMDS-10", "IMDS-*")
	bad.Results[0].Why = "</script><script>alert(1)</script>"
	if err := report.HTML(&b, []*suite.Report{good}, good, bad); err != nil {
		t.Fatal(err)
	}
	for _, loads := range []string{"src=", "@import", "url(", "<link", "</script><script>alert"} {
		if strings.Contains(b.String(), loads) {
			t.Errorf("the page has %s", loads)
		}
	}
	if file := os.Getenv("FAKEENTRA_PAGE"); file != "" { // to look at it
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
