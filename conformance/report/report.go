// Package report writes what a run of the conformance suite found in the forms that
// people and programs read. All of them are derived from [suite.Report].
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Read reads a report in JSON. It fails for what is none, and for one of another
// version.
func Read(r io.Reader) (*suite.Report, error) {
	var report suite.Report
	d := json.NewDecoder(r)
	if err := d.Decode(&report); err != nil {
		return nil, fmt.Errorf("it is not a report in JSON: %w", err)
	}
	if report.Schema != suite.Schema {
		return nil, fmt.Errorf("its schema is %q; expected %q, as fakeentra conform run --report writes it", report.Schema, suite.Schema)
	}
	return &report, nil
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

// Merge joins the reports of shards: parts of one run, of the same client and the
// same catalogue, of which none overlaps. It fails when they do not belong
// together, and names the first two that do not.
func Merge(reports ...*suite.Report) (*suite.Report, error) {
	if len(reports) == 0 {
		return nil, errors.New("there is nothing to merge")
	}
	merged := *reports[0]
	merged.Shard = ""
	merged.Results, merged.Stale = nil, nil
	from := map[string]int{}
	for i, r := range reports {
		if err := belongs(reports[0], r); err != nil {
			return nil, fmt.Errorf("report %d does not belong to report 1: %w", i+1, err)
		}
		for _, result := range r.Results {
			if before, twice := from[result.ID]; twice {
				return nil, fmt.Errorf("reports %d and %d both have %s; expected shards that do not overlap", before, i+1, result.ID)
			}
			from[result.ID] = i + 1
			merged.Results = append(merged.Results, result)
		}
		merged.Stale = append(merged.Stale, r.Stale...)
		merged.Took = max(merged.Took, r.Took)
		if r.Started.Before(merged.Started) {
			merged.Started = r.Started
		}
	}
	slices.SortFunc(merged.Results, func(a, b suite.Result) int { return place(a.ID) - place(b.ID) })
	merged.Standings = suite.Standings(&merged)
	return &merged, missing(reports)
}

// place is where a check stands in the catalogue.
func place(id string) int {
	return slices.IndexFunc(suite.Checks(), func(c *suite.Check) bool { return c.ID == id })
}

// belongs says why two reports are not parts of one run.
func belongs(a, b *suite.Report) error {
	for _, m := range []struct{ what, a, b string }{
		{"catalogue", a.Suite.Digest, b.Suite.Digest},
		{"seed", a.Seed, b.Seed},
		{"client", client(a), client(b)},
		{"runtime", a.Driver.Implementation.Runtime, b.Driver.Implementation.Runtime},
		{"wiring", a.Wiring, b.Wiring},
		{"dependencies", fmt.Sprint(a.Driver.Dependencies), fmt.Sprint(b.Driver.Dependencies)},
	} {
		if m.a != m.b {
			return fmt.Errorf("its %s is %q, and not %q", m.what, m.b, m.a)
		}
	}
	return nil
}

// missing fails when shards are named and one is not there.
func missing(reports []*suite.Report) error {
	var n int
	there := map[int]bool{}
	for _, r := range reports {
		var i, of int
		if _, err := fmt.Sscanf(r.Shard, "%d/%d", &i, &of); err != nil {
			return nil // not made of shards
		}
		if n != 0 && of != n {
			return fmt.Errorf("there are shards of %d and of %d; expected those of one run", n, of)
		}
		n, there[i] = of, true
	}
	var gone []string
	for i := 1; i <= n; i++ {
		if !there[i] {
			gone = append(gone, fmt.Sprintf("%d/%d", i, n))
		}
	}
	if len(gone) > 0 {
		return fmt.Errorf("the shards %s are missing", strings.Join(gone, ", "))
	}
	return nil
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
