package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Merge joins the reports of shards: parts of one run, of the same client and the
// same catalogue, which ran to their end, and of which none overlaps and none is
// missing. It fails when they do not belong together, and names the first two that
// do not. A whole report of another catalogue than this program's is returned as it is,
// and parts of one are refused; see [Foreign].
func Merge(reports ...*suite.Report) (*suite.Report, error) {
	if len(reports) == 0 {
		return nil, errors.New("there is nothing to merge")
	}
	merged := *reports[0]
	if len(reports) == 1 && merged.Shard == "" && Foreign(&merged) {
		return &merged, nil
	}
	merged.Shard = ""
	merged.Results, merged.Stale, merged.Partial = []suite.Result{}, nil, nil
	from := map[string]int{}
	for i, r := range reports {
		if err := belongs(reports[0], r); err != nil {
			return nil, fmt.Errorf("report %d does not belong to report 1: %w", i+1, err)
		}
		if Foreign(r) {
			return nil, fmt.Errorf("report %d is a part of a run of the catalogue %q, and this version of fakeentra has %q; expected the version that ran it", i+1, r.Suite.Digest, suite.Digest())
		}
		if r.Incomplete != "" && (len(reports) > 1 || r.Shard != "") {
			return nil, fmt.Errorf("report %d is not whole: %s", i+1, r.Incomplete)
		}
		for _, result := range r.Results {
			if before, twice := from[result.ID]; twice {
				return nil, fmt.Errorf("reports %d and %d both have %s; expected shards that do not overlap", before, i+1, result.ID)
			}
			from[result.ID] = i + 1
			merged.Results = append(merged.Results, result)
		}
		merged.Took = max(merged.Took, r.Took)
		if r.Started.Before(merged.Started) {
			merged.Started = r.Started
		}
	}
	slices.SortStableFunc(merged.Results, inOrder)
	merged.Uncovered, merged.PartlyUncovered = suite.Uncovered(merged.Results)
	merged.Standings = suite.Standings(&merged)
	conclude(&merged, reports)
	return &merged, missing(reports)
}

// number is where a check stands in the catalogue; -1 if it has none.
func number(id string) int {
	return slices.IndexFunc(suite.Checks(), func(c *suite.Check) bool { return c.ID == id })
}

// belongs says why two reports are not parts of one run.
func belongs(a, b *suite.Report) error {
	for _, m := range []struct{ what, a, b string }{
		{"catalogue", a.Suite.Digest, b.Suite.Digest},
		{"version of the suite", a.Suite.Version, b.Suite.Version},
		{"seed", a.Seed, b.Seed},
		{"chaos", a.Chaos, b.Chaos},
		{"client", client(a), client(b)},
		{"language", a.Driver.Implementation.Language, b.Driver.Implementation.Language},
		{"runtime", a.Driver.Implementation.Runtime, b.Driver.Implementation.Runtime},
		{"wiring", a.Wiring, b.Wiring},
		{"dependencies", fmt.Sprint(a.Driver.Dependencies), fmt.Sprint(b.Driver.Dependencies)},
		{"capabilities", fmt.Sprint(a.Driver.Capabilities), fmt.Sprint(b.Driver.Capabilities)},
		{"strictness", fmt.Sprint(a.Strict, a.XPassWarns), fmt.Sprint(b.Strict, b.XPassWarns)},
	} {
		if m.a != m.b {
			return fmt.Errorf("its %s is %q, and not %q", m.what, m.b, m.a)
		}
	}
	return nil
}

// missing fails when shards are named and one is not there, or something else is.
func missing(reports []*suite.Report) error {
	var n int
	there := map[int]bool{}
	for at, r := range reports {
		var part Shard
		if r.Shard != "" {
			var err error
			if part, err = ParseShard(r.Shard); err != nil {
				return fmt.Errorf("report %d is of the shard %q; %w", at+1, r.Shard, err)
			}
		}
		if at > 0 && (part.Of == 0) != (n == 0) {
			return fmt.Errorf("reports 1 and %d are not both of shards; expected those of one run", at+1)
		}
		if n != 0 && part.Of != n {
			return fmt.Errorf("there are shards of %d and of %d; expected those of one run", n, part.Of)
		}
		n, there[part.Number] = part.Of, true
	}
	var gone []string
	for i := 1; i <= n; i++ {
		if !there[i] {
			gone = append(gone, Shard{i, n}.String())
		}
	}
	const most = 20
	if more := len(gone) - most; more > 0 {
		gone = append(gone[:most], fmt.Sprintf("and %d more", more))
	}
	if len(gone) > 0 {
		return fmt.Errorf("the shards %s are missing", strings.Join(gone, ", "))
	}
	return nil
}

// conclude says which expectations came to nothing, now that more is known than in
// each part.
func conclude(merged *suite.Report, parts []*suite.Report) {
	var partial []suite.Partial
	for _, r := range parts {
		for _, stale := range r.Stale {
			if !slices.Contains(merged.Stale, stale) { // what is said of the client, each part says
				merged.Stale = append(merged.Stale, stale)
			}
		}
		for _, p := range r.Partial {
			i := slices.IndexFunc(partial, func(other suite.Partial) bool { return other.Where == p.Where })
			switch {
			case i < 0:
				partial = append(partial, p)
			case p.Idle == "":
				partial[i].Idle = ""
			}
		}
	}
	for _, p := range partial {
		switch {
		case !hasAll(merged, p.Check):
			merged.Partial = append(merged.Partial, p)
		case p.Idle != "":
			merged.Stale = append(merged.Stale, p.Where+": "+p.Idle)
		}
	}
}

// hasAll reports whether a report has every check whose ID matches a pattern.
func hasAll(r *suite.Report, pattern string) bool {
	checks, err := suite.Select(suite.Selection{IDs: []string{pattern}})
	return err == nil && !slices.ContainsFunc(checks, func(c *suite.Check) bool {
		return !slices.ContainsFunc(r.Results, func(result suite.Result) bool { return result.ID == c.ID })
	})
}
