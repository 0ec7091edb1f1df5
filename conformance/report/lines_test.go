package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/report"
)

func TestLinesAreReadAsTheReport(t *testing.T) {
	want := run(t, "IMDS-10", "IMDS-02", "IMDS-10")
	var whole, lines bytes.Buffer
	if err := report.Write(&whole, want); err != nil {
		t.Fatal(err)
	}
	if err := report.NewLines(&lines).All(want); err != nil {
		t.Fatal(err)
	}
	got, err := report.Read(&lines)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := report.Write(&again, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole.String(), again.String()); diff != "" {
		t.Errorf("read from lines (-want +got):\n%s", diff)
	}
}

// Checks end in any order.
func TestLinesOfARunThatWasKilledAreRead(t *testing.T) {
	r := run(t, "IMDS-10", "IMDS-02", "IMDS-10")
	var b bytes.Buffer
	lines := report.NewLines(&b)
	for _, write := range []func() error{
		func() error { return lines.Begin(r) },
		func() error { return lines.Result(r.Results[1]) },
		func() error { return lines.Result(r.Results[0]) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	for name, end := range map[string]string{"whole": "", "half": `{"result":{"id":"IM`} {
		t.Run(name, func(t *testing.T) {
			got, err := report.Read(strings.NewReader(b.String() + end))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Results) != 2 || got.Results[0].ID != "IMDS-02" || got.Incomplete != "the run was killed; verdicts until then: 2" {
				t.Errorf("%d results, incomplete: %q", len(got.Results), got.Incomplete)
			}
		})
	}
}

func TestLinesThatAreNoReportAreRefused(t *testing.T) {
	r := run(t, "", "IMDS-02")
	var b bytes.Buffer
	if err := report.NewLines(&b).All(r); err != nil {
		t.Fatal(err)
	}
	whole := b.String()
	begin, _, _ := strings.Cut(whole, "\n")
	for wrong, want := range map[string]string{
		whole + "}":          "something follows the report; expected the report of one run",
		whole + whole:        "something follows the report; expected the report of one run",
		begin + "\n" + begin: "line 2 is neither a result nor the end of the run; expected the report of one run",
		begin + "\n<":        "it is not a report in JSON Lines: invalid character '<' looking for beginning of value",
		`{"begin":[]}`:       `its schema is ""; expected "fakeentra-conformance/v1", as fakeentra conform run --report writes it`,
		`{"begin":{}}`:       `its schema is ""; expected "fakeentra-conformance/v1", as fakeentra conform run --report writes it`,
	} {
		if _, err := report.Read(strings.NewReader(wrong)); err == nil || err.Error() != want {
			t.Errorf("%.40q... is refused with %v; want %s", wrong, err, want)
		}
	}
}
