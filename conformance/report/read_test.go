package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// object is an object in JSON.
type object = map[string]any

// decoded is a report as an object.
func decoded(t *testing.T, r *suite.Report) object {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(b.Bytes(), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func first(o object) object { return o["results"].([]any)[0].(object) }

func TestWhatIsNoReportIsRefusedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		change func(object)
		want   string // of the report in JSON
		line   string // of it in JSON Lines; as the other one if empty
	}{
		"nothing but a schema": {func(o object) { clear(o); o["schema"] = suite.Schema }, `it is not a report: at "": expected a member "suite"`, `it is not a report in JSON Lines: line 1: at "/begin": expected a member "suite"`},
		"another schema":       {func(o object) { o["schema"] = "other/v1" }, `its schema is "other/v1"; expected "fakeentra-conformance/v1", as fakeentra conform run --report writes it`, ""},
		"a schema that is a number": {func(o object) { o["schema"] = 1 },
			`its schema is "1"; expected "fakeentra-conformance/v1", as fakeentra conform run --report writes it`, ""},
		"an unknown verdict": {func(o object) { first(o)["verdict"] = "failed" },
			`it is not a report: at "/results/0/verdict": expected one of [pass xfail info warn skip xpass inconclusive fail timeout error], got "failed"`,
			`it is not a report in JSON Lines: line 2: at "/result/verdict": expected one of [pass xfail info warn skip xpass inconclusive fail timeout error], got "failed"`},
		"a verdict in capitals": {func(o object) { first(o)["verdict"] = "PASS" },
			`it is not a report: at "/results/0/verdict": expected one of [pass xfail info warn skip xpass inconclusive fail timeout error], got "PASS"`,
			`it is not a report in JSON Lines: line 2: at "/result/verdict": expected one of [pass xfail info warn skip xpass inconclusive fail timeout error], got "PASS"`},
		"an unknown level": {func(o object) { first(o)["level"] = "MUSTN'T" },
			`it is not a report: at "/results/0/level": expected one of [MUST SHOULD MAY], got "MUSTN'T"`,
			`it is not a report in JSON Lines: line 2: at "/result/level": expected one of [MUST SHOULD MAY], got "MUSTN'T"`},
		"a time below none": {func(o object) { o["took_ms"] = -5 },
			`it is not a report: at "/took_ms": expected 0 or more, got -5`, `it is not a report in JSON Lines: line 1: at "/begin/took_ms": expected 0 or more, got -5`},
		"a check that there is not": {func(o object) { first(o)["id"] = "NOPE-1" },
			`it is not a report: at "/results/0/id": the catalogue that it names has no check "NOPE-1"`,
			`it is not a report in JSON Lines: line 2: at "/result/id": the catalogue that it names has no check "NOPE-1"`},
		"a check twice": {func(o object) { o["results"] = []any{first(o), first(o)} },
			`it is not a report: at "/results/1/id": expected each check once, got IMDS-02 twice`,
			`it is not a report in JSON Lines: line 3: at "/result/id": expected each check once, got IMDS-02 twice`},
		"the path of a file": {func(o object) { o["suite"].(object)["digest"] = "older"; first(o)["id"] = "../IMDS-02" },
			`it is not a report: at "/results/0/id": expected the ID of a check, such as IMDS-02, got "../IMDS-02"`,
			`it is not a report in JSON Lines: line 2: at "/result/id": expected the ID of a check, such as IMDS-02, got "../IMDS-02"`},
	} {
		t.Run(name, func(t *testing.T) {
			o := decoded(t, run(t, "", "IMDS-02"))
			c.change(o)
			results, _ := o["results"].([]any)
			refused(t, encoded(t, o), c.want)
			if o["results"] != nil {
				o["results"] = []any{}
			}
			lines := encoded(t, object{"begin": o})
			for _, r := range results {
				lines += "\n" + encoded(t, object{"result": r})
			}
			if c.line == "" {
				c.line = c.want
			}
			refused(t, lines+"\n"+encoded(t, object{"end": o}), c.line)
		})
	}
}

func refused(t *testing.T, text, want string) {
	t.Helper()
	if _, err := report.Read(strings.NewReader(text)); err == nil || err.Error() != want {
		t.Errorf("%.200s... is refused with\n     %v\nwant %s", text, err, want)
	}
}

func TestTheLinesOfTwoRunsAreRefused(t *testing.T) {
	o := decoded(t, part("", "IMDS-02"))
	o["results"] = []any{}
	begin := encoded(t, object{"begin": o})
	o["suite"].(object)["digest"] = "older"
	refused(t, begin+"\n"+encoded(t, object{"end": o}), `it is not a report in JSON Lines: line 2: at "/end/suite": expected what the first line has`)
}

// One may compare with what ran before a check was there, or when one still was.
func TestAReportOfAnotherCatalogueIsRead(t *testing.T) {
	o := decoded(t, part("", "IMDS-10", "IMDS-02", "AST-04"))
	o["suite"].(object)["digest"] = "older"
	first(o)["id"] = "IMDS-99"
	got, err := report.Read(strings.NewReader(encoded(t, o)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Results[0].ID != "IMDS-99" {
		t.Errorf("the first check is %s", got.Results[0].ID)
	}
	var lines bytes.Buffer
	if err := report.NewLines(&lines).All(got); err != nil {
		t.Fatal(err)
	}
	if got, err = report.Read(&lines); err != nil {
		t.Fatal(err)
	}
	if ids := got.Results[0].ID + " " + got.Results[1].ID + " " + got.Results[2].ID; ids != "IMDS-02 AST-04 IMDS-99" {
		t.Errorf("of lines, the checks are %s", ids)
	}
}

// A run may be interrupted before there is a verdict.
func TestAMergedReportOfNothingIsRead(t *testing.T) {
	r := part("")
	r.Incomplete = "it was interrupted"
	merged, err := report.Merge(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Read(strings.NewReader(encoded(t, merged))); err != nil {
		t.Error(err)
	}
}
