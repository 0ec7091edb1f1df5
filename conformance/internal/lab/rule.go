package lab

import (
	"slices"
	"sync"
)

// An Act answers a request in its own way. next returns the answer that there
// would be without it.
type Act func(x *Exchange, next func() *Answer) *Answer

// A Rule makes some requests be answered in another way. Rules count; they never
// roll dice.
type Rule struct {
	Name  string
	Ops   []Op
	When  func(*Exchange) bool // nil means always
	Skip  int                  // let this many matching requests pass first
	Times int                  // then act on this many; 0 means on all
	Do    Act

	lab         *Lab
	seen, fired int
}

// Fired returns how many requests the rule acted on so far.
func (r *Rule) Fired() int {
	r.lab.rules.mu.Lock()
	defer r.lab.rules.mu.Unlock()
	return r.fired
}

type rules struct {
	mu  sync.Mutex
	all []*Rule
}

// Arm adds a rule. Of several rules for one request, the first whose turn it is
// acts.
func (l *Lab) Arm(r *Rule) *Rule {
	r.lab = l
	l.rules.mu.Lock()
	defer l.rules.mu.Unlock()
	l.rules.all = append(l.rules.all, r)
	return r
}

// Disarm takes a rule away.
func (l *Lab) Disarm(r *Rule) {
	l.rules.mu.Lock()
	defer l.rules.mu.Unlock()
	l.rules.all = slices.DeleteFunc(l.rules.all, func(other *Rule) bool { return other == r })
}

// turn returns the rule that acts on a request, or nil.
func (l *Lab) turn(x *Exchange) *Rule {
	l.rules.mu.Lock()
	defer l.rules.mu.Unlock()
	var acts *Rule
	for _, r := range l.rules.all {
		if !slices.Contains(r.Ops, x.Op) || r.When != nil && !r.When(x) {
			continue
		}
		r.seen++
		if acts != nil || r.seen <= r.Skip || r.Times > 0 && r.seen > r.Skip+r.Times {
			continue
		}
		r.fired++
		acts = r
	}
	return acts
}
