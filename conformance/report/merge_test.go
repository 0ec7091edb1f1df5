package report_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// part is the report on a shard whose checks all passed.
func part(shard string, ids ...string) *suite.Report {
	r := &suite.Report{
		Schema: suite.Schema, Suite: suite.Suite{Version: suite.Version, Digest: suite.Digest(), Checks: len(suite.Checks())}, Seed: "s", Wiring: "netns", Shard: shard,
		Driver: driver.Hello{
			Implementation: driver.Implementation{Name: "a", Version: "1", Language: "go", Runtime: "go1"},
			Dependencies:   []driver.Dependency{{Name: "b", Version: "1"}}, Capabilities: []driver.Capability{driver.IMDS},
		},
	}
	for _, id := range ids {
		c := suite.Find(id)
		r.Results = append(r.Results, suite.Result{ID: id, Level: c.Level, Title: c.Title, Tags: c.Tags, Verdict: suite.Pass})
	}
	return r
}

func TestShardsAreJoinedInTheOrderOfTheCatalogue(t *testing.T) {
	merged, err := report.Merge(part("2/2", "IMDS-10", "AST-01"), part("1/2", "IMDS-02"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range merged.Results {
		ids = append(ids, r.ID)
	}
	if strings.Join(ids, " ") != "IMDS-02 IMDS-10 AST-01" || merged.Shard != "" || merged.Standings != nil {
		t.Errorf("merged %q, shard %q, standings %v", ids, merged.Shard, merged.Standings)
	}
	var all []string
	for _, c := range suite.Checks() {
		all = append(all, c.ID)
	}
	if merged, err = report.Merge(part("1/2", all[:9]...), part("2/2", all[9:]...)); err != nil || len(merged.Standings) == 0 {
		t.Errorf("the whole catalogue has the standings %v, %v", merged.Standings, err)
	}
}

func TestMergeRefusesWhatDoesNotBelongTogether(t *testing.T) {
	change := func(do func(*suite.Report)) []*suite.Report {
		r := part("2/2", "IMDS-10")
		do(r)
		return []*suite.Report{part("1/2", "IMDS-02"), r}
	}
	for name, c := range map[string]struct {
		reports []*suite.Report
		want    string
	}{
		"no reports":                 {nil, "there is nothing to merge"},
		"the same check twice":       {[]*suite.Report{part("1/2", "IMDS-02"), part("2/2", "IMDS-02")}, "reports 1 and 2 both have IMDS-02; expected shards that do not overlap"},
		"the same shard twice":       {[]*suite.Report{part("1/2", "IMDS-02"), part("1/2", "IMDS-10")}, "the shards 2/2 are missing"},
		"a shard that is missing":    {[]*suite.Report{part("1/4", "IMDS-02"), part("3/4", "IMDS-10")}, "the shards 2/4, 4/4 are missing"},
		"one shard alone":            {[]*suite.Report{part("1/2", "IMDS-02")}, "the shards 2/2 are missing"},
		"shards of two runs":         {[]*suite.Report{part("1/2", "IMDS-02"), part("2/3", "IMDS-10")}, "there are shards of 2 and of 3; expected those of one run"},
		"a shard and a whole run":    {[]*suite.Report{part("1/1", "IMDS-02"), part("", "IMDS-10")}, "reports 1 and 2 are not both of shards; expected those of one run"},
		"a whole run and a shard":    {[]*suite.Report{part("", "IMDS-02"), part("1/1", "IMDS-10")}, "reports 1 and 2 are not both of shards; expected those of one run"},
		"a shard that is none":       {[]*suite.Report{part("first", "IMDS-02")}, `report 1 is of the shard "first"; expected a number and how many there are, such as 2/5, and 10000 at most`},
		"a shard below none":         {[]*suite.Report{part("-1/-5", "IMDS-02")}, `report 1 is of the shard "-1/-5"; expected a number and how many there are, such as 2/5, and 10000 at most`},
		"a shard and something else": {[]*suite.Report{part("2/5x", "IMDS-02")}, `report 1 is of the shard "2/5x"; expected a number and how many there are, such as 2/5, and 10000 at most`},
		"a shard of too many":        {[]*suite.Report{part("1/10001", "IMDS-02")}, `report 1 is of the shard "1/10001"; expected a number and how many there are, such as 2/5, and 10000 at most`},
		"one of very many shards": {[]*suite.Report{part("1/10000", "IMDS-02")},
			"the shards 2/10000, 3/10000, 4/10000, 5/10000, 6/10000, 7/10000, 8/10000, 9/10000, 10/10000, 11/10000, 12/10000, 13/10000, 14/10000, 15/10000, 16/10000, 17/10000, 18/10000, 19/10000, 20/10000, 21/10000, and 9979 more are missing"},
		"parts of another catalogue":   {[]*suite.Report{foreign(part("1/2", "IMDS-02")), foreign(part("2/2", "IMDS-10"))}, `report 1 is a part of a run of the catalogue "older", and this version of fakeentra has "` + suite.Digest() + `"; expected the version that ran it`},
		"a shard of another catalogue": {[]*suite.Report{foreign(part("1/1", "IMDS-02"))}, `report 1 is a part of a run of the catalogue "older", and this version of fakeentra has "` + suite.Digest() + `"; expected the version that ran it`},
		"another catalogue":            {change(func(r *suite.Report) { r.Suite.Digest = "other" }), `report 2 does not belong to report 1: its catalogue is "other", and not "` + suite.Digest() + `"`},
		"another version of the suite": {change(func(r *suite.Report) { r.Suite.Version = "0.9" }), `report 2 does not belong to report 1: its version of the suite is "0.9", and not "` + suite.Version + `"`},
		"another seed":                 {change(func(r *suite.Report) { r.Seed = "t" }), `report 2 does not belong to report 1: its seed is "t", and not "s"`},
		"other noise":                  {change(func(r *suite.Report) { r.Chaos = "c" }), `report 2 does not belong to report 1: its chaos is "c", and not ""`},
		"another client":               {change(func(r *suite.Report) { r.Driver.Implementation.Version = "2" }), `report 2 does not belong to report 1: its client is "a 2", and not "a 1"`},
		"another language":             {change(func(r *suite.Report) { r.Driver.Implementation.Language = "sh" }), `report 2 does not belong to report 1: its language is "sh", and not "go"`},
		"another runtime":              {change(func(r *suite.Report) { r.Driver.Implementation.Runtime = "go2" }), `report 2 does not belong to report 1: its runtime is "go2", and not "go1"`},
		"another wiring":               {change(func(r *suite.Report) { r.Wiring = "memory" }), `report 2 does not belong to report 1: its wiring is "memory", and not "netns"`},
		"another dependency":           {change(func(r *suite.Report) { r.Driver.Dependencies[0].Version = "2" }), `report 2 does not belong to report 1: its dependencies is "[{b 2}]", and not "[{b 1}]"`},
		"another capability":           {change(func(r *suite.Report) { r.Driver.Capabilities[0] = driver.Arc }), `report 2 does not belong to report 1: its capabilities is "[arc]", and not "[imds]"`},
		"another strictness":           {change(func(r *suite.Report) { r.Strict = true }), `report 2 does not belong to report 1: its strictness is "true false", and not "false false"`},
		"a run that was interrupted":   {change(func(r *suite.Report) { r.Incomplete = "the run ended" }), "report 2 is not whole: the run ended"},
	} {
		if _, err := report.Merge(c.reports...); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", name, err, c.want)
		}
	}
}

// foreign makes a report one of another catalogue.
func foreign(r *suite.Report) *suite.Report {
	r.Suite.Digest = "older"
	return r
}

// What is concluded from verdicts is concluded by the catalogue that they are of.
func TestAReportOfAnotherCatalogueStaysAsItIs(t *testing.T) {
	r := foreign(part("", "IMDS-10", "IMDS-02"))
	r.Suite.Checks = 2
	r.Results[0].ID = "IMDS-99"
	r.Standings = []suite.Standing{{Level: "core", Checks: 2}}
	r.Uncovered, r.PartlyUncovered, r.Stale = []string{"IMDS-99"}, []string{"IMDS-02"}, []string{"x:1: idle"}
	r.Partial = []suite.Partial{{Where: "x:2", Check: "IMDS-02", Idle: "idle"}}
	merged, err := report.Merge(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, merged); diff != "" {
		t.Errorf("(-report +merged):\n%s", diff)
	}
}

func TestWhetherAnExpectationIsStaleIsDecidedWhereAllItsChecksAre(t *testing.T) {
	const pattern = "IMDS-1[03]"
	with := func(shard, id string, stale []string, partial ...suite.Partial) *suite.Report {
		r := part(shard, id)
		r.Stale, r.Partial = stale, partial
		return r
	}
	idle, needed := suite.Partial{Where: "x:1", Check: pattern, Idle: "it came to nothing"}, suite.Partial{Where: "x:1", Check: pattern}
	for name, c := range map[string]struct {
		first, second *suite.Report
		stale         []string
		partial       []suite.Partial
	}{
		"it came to nothing in all shards": {with("1/2", "IMDS-10", nil, idle), with("2/2", "IMDS-13", nil, idle), []string{"x:1: it came to nothing"}, nil},
		"the first shard needed it":        {with("1/2", "IMDS-10", nil, needed), with("2/2", "IMDS-13", nil, idle), nil, nil},
		"the second shard needed it":       {with("1/2", "IMDS-10", nil, idle), with("2/2", "IMDS-13", nil, needed), nil, nil},
		"a check of it ran in no shard":    {with("1/2", "IMDS-10", nil, idle), with("2/2", "IMDS-02", nil), nil, []suite.Partial{idle}},
		"each shard says so of the client": {with("1/2", "IMDS-10", []string{"x:1: no such dependency"}), with("2/2", "IMDS-13", []string{"x:1: no such dependency"}), []string{"x:1: no such dependency"}, nil},
		"a shard is sure":                  {with("1/2", "IMDS-10", []string{"x:2: idle"}), with("2/2", "IMDS-13", nil), []string{"x:2: idle"}, nil},
	} {
		merged, err := report.Merge(c.first, c.second)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.stale, merged.Stale); diff != "" {
			t.Errorf("%s: stale (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.partial, merged.Partial); diff != "" {
			t.Errorf("%s: partial (-want +got):\n%s", name, diff)
		}
	}
}
