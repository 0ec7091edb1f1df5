package suite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
)

// A task is a case that is to be run. Cases of one check may run at the same time,
// and between those of others: each has a cloud of its own.
type task struct {
	check, number int // of the run's checks, and of the check's cases
	round         int // how often it has been handed out with this
}

// A progress is how far a check is.
type progress struct {
	open   int // cases of this round that have no verdict
	round  int // how often it has run
	cases  []CaseResult
	result *Result // of the rounds before
}

// A schedule hands out the cases of a run to those who run them.
type schedule struct {
	*runner
	mu      sync.Mutex
	changed sync.Cond
	waiting []task
	open    int // checks without a verdict
	checks  []progress
	results []Result
}

// all runs the checks, several cases at once, and returns their results in order.
func (r *runner) all(ctx context.Context) []Result {
	s := &schedule{runner: r, open: len(r.Checks), checks: make([]progress, len(r.Checks)), results: make([]Result, len(r.Checks))}
	s.changed.L = &s.mu
	for i := range r.Checks {
		s.begin(i)
	}
	s.sort()
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})()
	var group sync.WaitGroup
	jobs := min(max(r.Jobs, 1), len(s.waiting)) // no round has more cases
	if r.target.Wiring() == Attach {            // there is one driver
		jobs = 1
	}
	for range jobs {
		group.Go(func() { s.work(ctx) })
	}
	group.Wait()
	return slices.DeleteFunc(s.results, func(r Result) bool { return r.ID == "" })
}

// begin adds a round of a check.
func (s *schedule) begin(check int) {
	p, n := &s.checks[check], len(s.Checks[check].Cases)
	p.round++
	p.open, p.cases = n, make([]CaseResult, n)
	for number := range n {
		s.waiting = append(s.waiting, task{check, number, p.round})
	}
}

// sort puts the cases in the order in which they begin.
func (s *schedule) sort() {
	switch {
	case s.Shuffle != "":
		slices.SortStableFunc(s.waiting, func(a, b task) int { return cmp.Compare(s.chance(a), s.chance(b)) })
	case s.Jobs > 1:
		slices.SortStableFunc(s.waiting, func(a, b task) int {
			return cmp.Compare(limits[s.Checks[b.check].Takes()], limits[s.Checks[a.check].Takes()])
		})
	}
}

// chance is the place of a case in an order by chance.
func (s *schedule) chance(t task) string {
	c := s.Checks[t.check]
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s", s.Shuffle, c.ID, c.Cases[t.number].Name))
	return string(sum[:])
}

// work runs cases until none is left, or ctx is done.
func (s *schedule) work(ctx context.Context) {
	for {
		t, ok := s.next(ctx)
		if !ok {
			return
		}
		c := s.Checks[t.check]
		got := s.attempt(ctx, c, c.Cases[t.number], t.round)
		if ctx.Err() == nil { // else it was interrupted, and says nothing
			s.done(t, got)
		}
	}
}

// next waits for a case: the last one of a check may bring about another round.
func (s *schedule) next(ctx context.Context) (task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && s.open > 0 && ctx.Err() == nil {
		s.changed.Wait()
	}
	if len(s.waiting) == 0 || ctx.Err() != nil {
		return task{}, false
	}
	t := s.waiting[0]
	s.waiting = s.waiting[1:]
	return t, true
}

// done takes the verdict on a case, and tells that on its check if it was the last.
func (s *schedule) done(t task, got CaseResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.checks[t.check]
	p.cases[t.number] = got
	if p.open--; p.open > 0 {
		return
	}
	result, differs := p.conclude(concluded(s.Checks[t.check], p.cases))
	if p.round < s.Repeat && !differs {
		p.result = &result
		s.begin(t.check)
		s.changed.Broadcast()
		return
	}
	if s.Expected != nil {
		s.Expected.Judge(&result)
	}
	s.results[t.check] = result
	if s.Done != nil {
		s.Done(result)
	}
	s.open--
	s.changed.Broadcast()
}

// conclude joins the result of a round with that of the rounds before, and reports
// whether they differ, which is no verdict.
func (p *progress) conclude(again Result) (Result, bool) {
	if p.result == nil {
		return again, false
	}
	first := *p.result
	first.Took += again.Took
	if again.Verdict == first.Verdict {
		return first, false
	}
	worse := again
	if Worse(first.Verdict, again.Verdict) == first.Verdict {
		worse = first
	}
	worse.Took, worse.Verdict = first.Took, Worse(worse.Verdict, Inconclusive)
	worse.Why = fmt.Sprintf("the verdict was %s in the first run, and %s in run %d", first.Verdict, again.Verdict, p.round)
	if why := cmp.Or(first.Why, again.Why); why != "" {
		worse.Why += ": " + why
	}
	return worse, true
}

// concluded is the verdict on a check by those on its cases.
func concluded(c *Check, cases []CaseResult) Result {
	result := Result{ID: c.ID, Level: c.Level, Title: c.Title, Tags: c.Tags, Verdict: Skip, Cases: cases}
	for _, got := range cases {
		result.Took += got.Took
		if worst := Worse(result.Verdict, got.Verdict); worst != result.Verdict || result.Why == "" {
			result.Verdict = worst
			if got.Verdict == worst {
				result.Why = got.Why
			}
		}
	}
	return result
}
