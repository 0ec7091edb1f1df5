// Package fault breaks things on purpose and on schedule.
//
// What commonly goes wrong with the endpoint of a managed identity, as it is
// written in a scenario file; op: imds.token and the like comes on top. The
// control plane takes the same in JSON, and in Go they are fields and actions of
// a [Rule].
//
//	it is being updated, up to 70 s   refuse: updating-410, for: 70s (or updating-404)
//	it throttles                      refuse: throttled, times: 3 (rate-limits: true of a host counts)
//	the token service is unavailable  refuse: unavailable, times: 2
//	the host is restarting            refuse: restarting (500 of IIS, in plain text)
//	it is slow                        delay: 5s
//	it hangs                          hang: true (until the client gives up)
//	it closes the connection          hangup: true
//	the connection breaks             reset: true (TCP RST)
//	a captive portal answers          refuse: captive-portal (200 with HTML)
//	a proxy cannot reach it           refuse: bad-gateway or gateway-timeout (502, 504 with HTML)
//	Docker Desktop answers            refuse: docker-desktop (403 in plain text)
//	aad-pod-identity answers          refuse: pod-identity (500 in plain text)
package fault

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/emulator/journal"
)

// A Rule makes matching requests fail. Rules count; they never roll dice.
type Rule struct {
	Name  string                     // for the journal; defaults to the action
	Op    journal.Op                 // which operation
	When  func(journal.Request) bool // nil means always; the body may be missing
	After int                        // let this many matching requests pass first
	Times int                        // then act on this many; 0 means on all
	// For limits the time on the cloud's clock in which the rule acts, from the
	// first request that it acts on; 0 means no limit.
	For time.Duration
	Do  Action
}

// An Action is what happens instead of, or besides, the normal answer.
type Action interface{ action() string }

// Respond answers without asking the service.
type Respond struct {
	Status int
	Header http.Header
	Body   string
}

// Refuse answers with the service's own refusal of a code, such as
// "AADSTS90033" or "ServerBusy". It is an error to name a code that the
// service has no row for.
type Refuse string

// Delay waits on the host's clock, then goes on as usual. It ends early when
// the client gives up.
type Delay time.Duration

// Hang never answers. It ends when the client gives up.
type Hang struct{}

// Hangup closes the connection without an answer.
type Hangup struct{}

// Reset breaks the connection with a TCP reset, where the client has a connection
// of its own to the door; a stream of HTTP/2 is reset alone.
type Reset struct{}

// Rewrite edits the normal answer.
type Rewrite func(*journal.Response)

func (r Respond) action() string { return fmt.Sprintf("respond %d", r.Status) }
func (r Refuse) action() string  { return "refuse " + string(r) }
func (d Delay) action() string   { return "delay " + time.Duration(d).String() }
func (Hang) action() string      { return "hang" }
func (Hangup) action() string    { return "hangup" }
func (Reset) action() string     { return "reset" }
func (Rewrite) action() string   { return "rewrite" }

// Throttle answers 429 with Retry-After the first n times op is asked, in the
// plain text that the token service uses.
func Throttle(op journal.Op, n int, retryAfter time.Duration) Rule {
	return Rule{
		Name: "throttle", Op: op, Times: n,
		Do: Respond{
			Status: http.StatusTooManyRequests,
			Header: http.Header{"Retry-After": {fmt.Sprint(int(retryAfter.Round(time.Second).Seconds()))}, "Content-Type": {"text/plain"}},
			Body:   "Too Many Requests",
		},
	}
}

// Check returns what is wrong with a rule, or nil. ops are the operations that
// exist.
func (r Rule) Check(ops func(journal.Op) bool) error {
	switch do := r.Do.(type) {
	case nil:
		return fmt.Errorf("fault %q: says nothing to do; expected respond, refuse, delay, hang, hangup, reset or rewrite", r.Name)
	case Respond:
		if do.Status < 200 || do.Status > 599 {
			return fmt.Errorf("fault %q: cannot respond with status %d; expected 200 to 599", r.Name, do.Status)
		}
	case Delay:
		if do < 0 {
			return fmt.Errorf("fault %q: cannot delay by %v", r.Name, time.Duration(do))
		}
	case Rewrite:
		if do == nil {
			return fmt.Errorf("fault %q: cannot rewrite without a function", r.Name)
		}
	}
	if r.After < 0 || r.Times < 0 {
		return fmt.Errorf("fault %q: after is %d and times is %d; neither can be negative", r.Name, r.After, r.Times)
	}
	if r.For < 0 {
		return fmt.Errorf("fault %q: cannot act for %v", r.Name, r.For)
	}
	if !ops(r.Op) {
		return fmt.Errorf("fault %q: there is no operation %q", r.Name, r.Op)
	}
	return nil
}

// A Plan holds the rules of a cloud. Its zero value is empty; its methods may
// be called from several goroutines.
type Plan struct {
	mu    sync.Mutex
	rules []*counted
}

type counted struct {
	Rule
	seen, turns int
	began       time.Time // when it first acted
}

// turn reports whether it is the rule's turn at the request that was seen last.
func (c *counted) turn(now time.Time) bool {
	if c.seen <= c.After || c.Times > 0 && c.seen > c.After+c.Times {
		return false
	}
	return c.For == 0 || c.began.IsZero() || now.Before(c.began.Add(c.For))
}

// Add arms rules. Rules are tried in the order they were added.
func (p *Plan) Add(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		if r.Name == "" && r.Do != nil {
			r.Name = r.Do.action()
		}
		p.rules = append(p.rules, &counted{Rule: r})
	}
}

// Reset disarms all rules.
func (p *Plan) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// Become disarms all rules and arms those of another plan, at once.
func (p *Plan) Become(other *Plan) {
	other.mu.Lock()
	rules := slices.Clone(other.rules)
	other.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = rules
}

// Next returns the action for a request at a time on the cloud's clock, and the
// name of the rule it comes from. Every rule that matches counts the request; the
// first one whose turn it is acts.
func (p *Plan) Next(now time.Time, op journal.Op, r journal.Request) (string, Action) {
	matching := p.matching(op, r)
	p.mu.Lock()
	defer p.mu.Unlock()
	var name string
	var do Action
	for _, c := range matching {
		c.seen++
		if !c.turn(now) {
			continue
		}
		c.turns++
		if c.began.IsZero() {
			c.began = now
		}
		if do == nil {
			name, do = c.Name, c.Do
		}
	}
	return name, do
}

// matching returns the rules for a request. It asks When without holding the
// lock, because When is the user's and may arm rules itself.
func (p *Plan) matching(op journal.Op, r journal.Request) []*counted {
	p.mu.Lock()
	rules := p.rules[:len(p.rules):len(p.rules)]
	p.mu.Unlock()
	var out []*counted
	for _, c := range rules {
		if c.Op == op && (c.When == nil || c.When(r)) {
			out = append(out, c)
		}
	}
	return out
}

// A Status tells how far a rule has come.
type Status struct {
	Name  string     `json:"name"`
	Op    journal.Op `json:"op"`
	Seen  int        `json:"seen"`           // matching requests so far
	Fired int        `json:"fired"`          // requests it acted on
	Left  int        `json:"left,omitempty"` // requests it will still act on; 0 with Open means no end
	Open  bool       `json:"open,omitempty"` // it acts without end
	Until time.Time  `json:"until,omitzero"` // it acts no more from then on; not known before it acts
}

// Status returns the state of every rule, in the order they were added.
func (p *Plan) Status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Status, 0, len(p.rules))
	for _, c := range p.rules {
		s := Status{Name: cmp.Or(c.Name, "fault"), Op: c.Op, Seen: c.seen, Fired: c.turns, Open: c.Times == 0 && c.For == 0}
		if c.Times > 0 {
			s.Left = c.Times - s.Fired
		}
		if c.For > 0 && !c.began.IsZero() {
			s.Until = c.began.Add(c.For)
		}
		out = append(out, s)
	}
	return out
}
