package expect

import (
	"fmt"
	"slices"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A finding is something that keeps a check from passing: a condition that is not
// met, or a case that has no verdict on conditions.
type finding struct {
	in        string // the name of the case
	condition string // its ID; empty if the case as a whole is meant
	verdict   suite.Verdict
	why       string
}

func findings(k suite.CaseResult) []finding {
	switch k.Verdict {
	case suite.Pass:
		return nil
	case suite.Fail, suite.Warn, suite.Info:
		var all []finding
		for _, c := range k.Conditions {
			if !c.Met {
				all = append(all, finding{k.Name, c.ID, k.Verdict, fmt.Sprintf("%s: expected %s, got %s", c.ID, c.Expected, c.Actual)})
			}
		}
		return all
	}
	return []finding{{k.Name, "", k.Verdict, k.Why}}
}

// Meet implements [suite.Expectations].
func (s *Set) Meet(r *suite.Report) {
	for _, e := range s.entries {
		e.meet(r.Driver, r.Wiring)
	}
}

// Judge implements [suite.Expectations].
func (s *Set) Judge(r *suite.Result) {
	if s.judged == nil {
		s.judged = map[string]bool{}
	}
	s.judged[r.ID] = true
	var about []*entry
	for _, e := range s.entries {
		if e.about(r.ID) {
			about = append(about, e)
		}
	}
	if len(about) == 0 {
		return
	}
	was := r.Verdict
	var open []finding // what nobody expects
	needed := map[*entry]bool{}
	var first *entry
	for i := range r.Cases {
		k := &r.Cases[i]
		covered := 0
		all := findings(*k)
		for _, f := range all {
			by := coveredBy(about, f)
			if by == nil {
				open = append(open, f)
				continue
			}
			covered++
			for _, e := range by {
				needed[e] = true
			}
			if first == nil {
				first = by[0]
			}
		}
		if covered > 0 && covered == len(all) && k.Verdict != suite.Skip {
			k.Verdict = suite.XFail
		}
	}
	open = slices.DeleteFunc(open, func(f finding) bool { return f.verdict == suite.Skip })
	var needless *entry
	for _, e := range about {
		switch {
		case needed[e]:
			e.used = true
		case slices.ContainsFunc(open, e.concerns): // the check itself tells
			e.used = true
		case e.uncovered(r): // in this wiring nobody can tell
			e.used = true
		case e.met(r):
			e.used = true
			if !e.Sometimes {
				needless = e
			}
		default:
			e.idle = fmt.Sprintf("it expects %s to be %s, but %s", r.ID, e.expected(), e.instead(r))
		}
	}
	switch {
	case len(open) > 0:
		worst := open[0]
		for _, f := range open {
			if suite.Worse(worst.verdict, f.verdict) != worst.verdict {
				worst = f
			}
		}
		r.Verdict, r.Why = worst.verdict, worst.why
	case needless != nil:
		r.Verdict, r.Expected = suite.XPass, needless.as(was)
		r.Why = fmt.Sprintf("it is met, although %s expects it not to be, because %s; take the expectation away", needless.where, needless.Reason)
	case first != nil && was != suite.Pass:
		r.Verdict, r.Expected = suite.XFail, first.as(was)
		r.Why = fmt.Sprintf("%s, as %s expects: %s", was, first.where, r.Why)
	}
}

func coveredBy(about []*entry, f finding) []*entry {
	var by []*entry
	for _, e := range about {
		if e.covers(f) {
			by = append(by, e)
		}
	}
	return by
}

// as is what a report says of the expectation.
func (e *entry) as(was suite.Verdict) *suite.Expected {
	return &suite.Expected{Where: e.where, Reason: e.Reason, Issue: e.Issue, Was: was}
}

// concerns reports whether something that nobody expects is in the part of a check
// that the expectation is about.
func (e *entry) concerns(f finding) bool {
	return (e.Case == "" || e.Case == f.in) && (e.Assert == "" || f.condition == "" || e.Assert == f.condition)
}

// uncovered reports whether the wiring could not have a case that the expectation may
// be about.
func (e *entry) uncovered(r *suite.Result) bool {
	return e.Outcome != suite.Skip && slices.ContainsFunc(r.Cases, func(k suite.CaseResult) bool {
		return k.Uncovered && (e.Case == "" || e.Case == k.Name)
	})
}

// met reports whether what is expected not to be met is.
func (e *entry) met(r *suite.Result) bool {
	met := false
	for _, k := range r.Cases {
		if e.Case != "" && e.Case != k.Name {
			continue
		}
		if e.Assert == "" {
			met = met || k.Verdict == suite.Pass
			continue
		}
		for _, c := range k.Conditions {
			if c.ID == e.Assert && !c.Met {
				return false
			}
			met = met || c.ID == e.Assert
		}
	}
	return met
}

// expected is what the expectation expects.
func (e *entry) expected() string {
	what := string(e.Outcome)
	if what == "" {
		what = "unmet"
	}
	if e.Case != "" {
		what += fmt.Sprintf(" in the case %q", e.Case)
	}
	return what
}

// instead says what there was of a check that an expectation came to nothing for.
func (e *entry) instead(r *suite.Result) string {
	if r.Found() == suite.Skip {
		return "it was skipped: " + r.Why
	}
	if e.Assert != "" {
		return fmt.Sprintf("the run did not come to the condition %s", e.Assert)
	}
	return "it came to nothing of that kind"
}

// Stale implements [suite.Expectations].
func (s *Set) Stale() []string {
	var all []string
	for _, e := range s.entries {
		switch {
		case e.strange != "":
			all = append(all, e.where+": "+e.strange)
		case e.idle != "" && !e.used && s.all(e):
			all = append(all, e.where+": "+e.idle)
		}
	}
	return all
}

// Partial implements [suite.Expectations].
func (s *Set) Partial() []suite.Partial {
	var all []suite.Partial
	for _, e := range s.entries {
		if !e.used && e.idle == "" || s.all(e) {
			continue
		}
		p := suite.Partial{Where: e.where, Check: e.Check}
		if !e.used {
			p.Idle = e.idle
		}
		all = append(all, p)
	}
	return all
}

// all reports whether every check that an expectation is about was judged.
func (s *Set) all(e *entry) bool {
	return !slices.ContainsFunc(e.checks, func(c *suite.Check) bool { return !s.judged[c.ID] })
}
