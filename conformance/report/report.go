// Package report writes what a run of the conformance suite found in the forms that
// people and programs read. All of them are derived from [suite.Report].
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/schema"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Read reads a report in JSON, or one in JSON Lines, as [Lines] writes it. One of a run
// that was killed is incomplete. It fails for what is no report, for one of another
// version, and for several: what is read is as package schema has it, has no check
// twice, and none that its catalogue does not have, if that is the one of this program.
// One of another catalogue is read, too; see [Foreign].
func Read(r io.Reader) (*suite.Report, error) {
	d := json.NewDecoder(r)
	var text json.RawMessage
	if err := d.Decode(&text); err != nil {
		return nil, fmt.Errorf("it is not a report in JSON: %w", err)
	}
	var kind struct {
		Schema any             `json:"schema"`
		Begin  json.RawMessage `json:"begin"`
	}
	if json.Unmarshal(text, &kind) != nil {
		return nil, errors.New("it is not a report in JSON; expected an object, as fakeentra conform run --report writes it")
	}
	if kind.Begin != nil {
		var begin struct {
			Schema any `json:"schema"`
		}
		_ = json.Unmarshal(kind.Begin, &begin) // one that is no object has no schema
		kind.Schema = begin.Schema
	}
	if kind.Schema != suite.Schema {
		return nil, fmt.Errorf("its schema is %q; expected %q, as fakeentra conform run --report writes it", orEmpty(kind.Schema), suite.Schema)
	}
	if kind.Begin != nil {
		return readLines(d, text)
	}
	if follows(d) {
		return nil, errMore
	}
	var report suite.Report
	if err := unmarshal(text, schema.Report, &report); err != nil {
		return nil, fmt.Errorf("it is not a report: %w", err)
	}
	seen := newSeen(&report)
	for i, result := range report.Results {
		if err := seen.add(result.ID); err != nil {
			return nil, fmt.Errorf("it is not a report: at %q: %w", fmt.Sprintf("/results/%d/id", i), err)
		}
	}
	return &report, nil
}

var errMore = errors.New("something follows the report; expected the report of one run")

// follows is whether anything does, other than white space. A brace alone is nothing
// to Decoder.More.
func follows(d *json.Decoder) bool {
	_, err := d.Token()
	return !errors.Is(err, io.EOF)
}

// orEmpty is what stands where a text should.
func orEmpty(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// unmarshal reads what is as a schema has it.
func unmarshal(text []byte, check func([]byte) error, into any) error {
	if err := check(text); err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// seen are the checks that a report has.
type seen struct {
	ids     map[string]bool
	foreign bool
}

func newSeen(r *suite.Report) seen { return seen{map[string]bool{}, Foreign(r)} }

// checkID is what checks are called, in any catalogue: files are called after them.
var checkID = regexp.MustCompile(`^[A-Z][A-Z0-9]*-[0-9]+$`)

// add says why there can be no result of a check.
func (s seen) add(id string) error {
	switch {
	case !checkID.MatchString(id):
		return fmt.Errorf("expected the ID of a check, such as IMDS-02, got %q", id)
	case !s.foreign && suite.Find(id) == nil:
		return fmt.Errorf("the catalogue that it names has no check %q", id)
	case s.ids[id]:
		return fmt.Errorf("expected each check once, got %s twice", id)
	}
	s.ids[id] = true
	return nil
}

// Foreign reports whether a report is of another catalogue of checks than the one of
// this program. Its verdicts, levels and expectations are what they were there; nothing
// can be concluded from them anew.
func Foreign(r *suite.Report) bool { return r.Suite.Digest != suite.Digest() }

// checkOf is the check that a result is of. Of one that the catalogue does not have, it
// is as much as the result says.
func checkOf(r suite.Result) *suite.Check {
	if c := suite.Find(r.ID); c != nil {
		return c
	}
	return &suite.Check{ID: r.ID, Level: r.Level, Title: r.Title, Tags: r.Tags, Requirement: r.Title, Sources: []string{}}
}

// Write writes a report in JSON.
func Write(w io.Writer, report *suite.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	return e.Encode(report)
}

// client names what a report is about.
func client(r *suite.Report) string {
	return strings.TrimSpace(r.Driver.Implementation.Name + " " + r.Driver.Implementation.Version)
}

// wiring is the one of a report, with how many checks it could not have.
func wiring(r *suite.Report) string {
	if n := len(r.Uncovered); n > 0 {
		return fmt.Sprintf("%s (which cannot have %d of the checks)", r.Wiring, n)
	}
	return r.Wiring
}

// count returns how many results have each verdict.
func count(results []suite.Result) map[suite.Verdict]int {
	n := map[suite.Verdict]int{}
	for _, r := range results {
		n[r.Verdict]++
	}
	return n
}

// unmet reports whether a verdict says that a requirement is not met.
func unmet(v suite.Verdict) bool {
	return v == suite.Fail || v == suite.Warn || v == suite.Info
}

// broken reports whether a verdict says that there is no verdict.
func broken(v suite.Verdict) bool {
	return v == suite.Error || v == suite.Timeout || v == suite.Inconclusive
}

// findings lists the conditions that were not met, with the case that they belong
// to. Of a result that is not expected, it leaves out the cases that are.
func findings(r suite.Result) []finding {
	var all []finding
	for _, k := range r.Cases {
		if k.Verdict == suite.XFail && r.Verdict != suite.XFail {
			continue
		}
		for _, c := range k.Conditions {
			if !c.Met {
				all = append(all, finding{k.Name, c})
			}
		}
	}
	return all
}

type finding struct {
	in string
	suite.Condition
}

func (f finding) String() string {
	text := fmt.Sprintf("%s: expected %s, got %s", f.ID, f.Expected, f.Actual)
	if f.in != "" {
		text = f.in + ": " + text
	}
	return text
}

// wire is the excerpt of what happened in the cases that did not pass.
func wire(r suite.Result) string {
	var b strings.Builder
	for _, k := range r.Cases {
		if k.Verdict == suite.Pass || k.Verdict == suite.Skip || k.Verdict == suite.XFail && r.Verdict != suite.XFail {
			continue
		}
		if k.Name != "" {
			fmt.Fprintf(&b, "%s:\n", k.Name)
		}
		for _, x := range k.Exchanges {
			fmt.Fprintf(&b, "  %d %7.3f s  %s  %s %s -> %s", x.Seq, float64(x.At)/1000, x.Op, x.Method, x.URL, answered(x))
			if x.Fault != "" {
				fmt.Fprintf(&b, "  (as the check has it)")
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func answered(x suite.Exchange) string {
	if x.Status == 0 {
		return "no answer"
	}
	return fmt.Sprint(x.Status)
}
