// Package report writes what a run of the conformance suite found in the forms that
// people and programs read. All of them are derived from [suite.Report].
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Read reads a report in JSON, or one in JSON Lines, as [Lines] writes it. One of a run
// that was killed is incomplete. It fails for what is no report, for one of another
// version, and for several.
func Read(r io.Reader) (*suite.Report, error) {
	d := json.NewDecoder(r)
	var first struct {
		suite.Report
		Begin *suite.Report `json:"begin"`
	}
	if err := d.Decode(&first); err != nil {
		return nil, fmt.Errorf("it is not a report in JSON: %w", err)
	}
	report, err := &first.Report, error(nil)
	if first.Begin != nil {
		report, err = readLines(d, first.Begin)
	} else if d.More() {
		err = errMore
	}
	if err == nil && report.Schema != suite.Schema {
		err = fmt.Errorf("its schema is %q; expected %q, as fakeentra conform run --report writes it", report.Schema, suite.Schema)
	}
	if err != nil {
		return nil, err
	}
	return report, nil
}

var errMore = errors.New("something follows the report; expected the report of one run")

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
// to.
func findings(r suite.Result) []finding {
	var all []finding
	for _, k := range r.Cases {
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
		if k.Verdict == suite.Pass || k.Verdict == suite.Skip {
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
