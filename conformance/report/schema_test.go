package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/schema"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// An odd driver is that of the reference client with another way to get tokens.
type odd struct {
	driver.Driver
	token func(context.Context) (driver.Outcome, error)
}

func (o odd) Hello() driver.Hello {
	h := o.Driver.Hello()
	h.Capabilities = slices.DeleteFunc(h.Capabilities, func(c driver.Capability) bool { return c == driver.Arc })
	return h
}

func (o odd) Open(driver.Config) (driver.Client, error) { return o, nil }
func (o odd) Close() error                              { return nil }
func (o odd) Token(ctx context.Context, _ driver.TokenRequest) (driver.Outcome, error) {
	return o.token(ctx)
}

// tooLate says nothing until nobody waits for it any more.
func tooLate(ctx context.Context) (driver.Outcome, error) {
	<-ctx.Done()
	<-time.After(time.Second)
	return driver.Outcome{}, ctx.Err()
}

// everyVerdict are reports of runs that between them have each verdict but error,
// for which a process has to crash.
func everyVerdict(t *testing.T) []*suite.Report {
	t.Helper()
	checks := trial.Checks(t, "IMDS-02", "IMDS-10", "IMDS-14", "SRC-07")
	known := func(text string) *expect.Set {
		name := t.TempDir() + "/xfail.toml"
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := expect.ReadDraft(name)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	const head = "[[expect]]\nreason = \"x\"\nissue = \"https://example.com/1\"\n"
	right := reference.New(nil)
	var all []*suite.Report
	for _, r := range []struct {
		d driver.Driver
		o suite.Options
	}{
		{d: reference.New(reference.FindBug("IMDS-02"))},
		{d: reference.New(reference.FindBug("IMDS-10"))},
		{d: reference.New(reference.FindBug("IMDS-14")), o: suite.Options{Strict: true}},
		{d: reference.New(reference.FindBug("IMDS-10")), o: suite.Options{Expected: known(head + "check = \"IMDS-10\"\n" + head + "check = \"IMDS-02\"\n")}},
		{d: right, o: suite.Options{XPassWarns: true, Expected: known(head + "check = \"IMDS-*\"\nassert = \"IMDS-10.nothing\"\n" + head + "check = \"IMDS-10\"\nassert = \"IMDS-10.nothing\"\n")}},
		{d: odd{right, func(context.Context) (driver.Outcome, error) { return driver.Outcome{}, errors.New("no") }}},
		{d: odd{right, tooLate}},
	} {
		r.o.Checks = checks
		all = append(all, trial.Run(t, r.d, r.o))
	}
	return all
}

func TestReportsAreAsTheirSchemaHasThem(t *testing.T) {
	library := compiled(t)
	verdicts := map[suite.Verdict]bool{}
	reports := everyVerdict(t)
	interrupted := part("1/2", "IMDS-02")
	interrupted.Incomplete = "it was interrupted"
	reports = append(reports, interrupted)
	merged, err := report.Merge(part("1/2", "IMDS-02"), part("2/2", "IMDS-10"))
	if err != nil {
		t.Fatal(err)
	}
	var has struct{ stale, partial, incomplete, claims, faults, output bool }
	for _, r := range append(reports, merged) {
		for _, result := range r.Results {
			verdicts[result.Verdict] = true
			for _, k := range result.Cases {
				has.output = has.output || k.Output != ""
				for _, x := range k.Exchanges {
					has.claims, has.faults = has.claims || len(x.Claims) > 0, has.faults || x.Fault != ""
				}
			}
		}
		has.stale, has.partial, has.incomplete = has.stale || r.Stale != nil, has.partial || r.Partial != nil, has.incomplete || r.Incomplete != ""
		var b bytes.Buffer
		if err := report.Write(&b, r); err != nil {
			t.Fatal(err)
		}
		if err := schema.Report(b.Bytes()); err != nil {
			t.Errorf("the report is not as its schema has it: %v\n%s", err, b.String())
		}
		valid(t, library["report"], b.Bytes())
		b.Reset()
		if err := report.NewLines(&b).All(r); err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b.Bytes()) {
			if err := schema.Line(line); err != nil {
				t.Errorf("the line is not as its schema has it: %v\n%s", err, line)
			}
			valid(t, library["line"], line)
		}
	}
	for _, v := range suite.Verdicts() {
		if !verdicts[v] && v != suite.Error {
			t.Errorf("no report has the verdict %s", v)
		}
	}
	if !has.stale || !has.partial || !has.incomplete || !has.claims || !has.faults || !has.output {
		t.Errorf("no report has all of it: %+v", has)
	}
}

// compiled has the schema of reports as the library that knows all of JSON Schema
// reads it.
func compiled(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Text("report")))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	return map[string]*jsonschema.Schema{"report": c.MustCompile("report.json"), "line": c.MustCompile("report.json#/$defs/line")}
}

func valid(t *testing.T, s *jsonschema.Schema, text []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestLinesAreTheReport(t *testing.T) {
	r := run(t, "IMDS-10", "IMDS-02", "IMDS-10")
	var b bytes.Buffer
	if err := report.NewLines(&b).All(r); err != nil {
		t.Fatal(err)
	}
	var lines []map[string]json.RawMessage
	for line := range bytes.Lines(b.Bytes()) {
		var one map[string]json.RawMessage
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, one)
	}
	if len(lines) != 4 || lines[0]["begin"] == nil || lines[1]["result"] == nil || lines[2]["result"] == nil || lines[3]["end"] == nil {
		t.Fatalf("%d lines:\n%s", len(lines), b.String())
	}
	var result suite.Result
	if err := json.Unmarshal(lines[2]["result"], &result); err != nil || result.ID != "IMDS-10" || len(result.Cases) != len(r.Results[1].Cases) {
		t.Errorf("the second result is %s, %v", lines[2]["result"], err)
	}
}
