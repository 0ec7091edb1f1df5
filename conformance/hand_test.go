package conformance_test

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A person runs the reference client by hand.
type person struct {
	t       *testing.T
	bug     *reference.Bug
	mute    bool // nobody types
	silent  bool // the client sends nothing
	lines   chan string
	clients *driver.Dispatcher
	said    chan string // what the client came to
	seen    []string
	strays  []string
	asked   int
}

// run has a person put the client to checks.
func (p *person) run(checks []*suite.Check) (*suite.Report, error) {
	p.t.Helper()
	p.lines, p.said = make(chan string), make(chan string, 1)
	p.clients = driver.NewDispatcher(reference.New(p.bug))
	if p.mute {
		close(p.lines)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	by := suite.ByHand{
		Lines: p.lines, Settle: time.Minute, Place: p.place, Task: p.task,
		Seen:     func(op, _, _ string, _ int) { p.seen = append(p.seen, op) },
		Stray:    func(host string) { p.strays = append(p.strays, host) },
		Question: func(string) { p.asked++; go func() { p.lines <- <-p.said }() },
	}
	if p.mute {
		by.Settle, by.Wait = 20*time.Millisecond, 2*time.Second
	}
	if p.silent {
		by.Wait = time.Millisecond
	}
	return suite.Run(ctx, suite.Manually(by), suite.Options{Checks: checks, Steady: true, Scale: 1000})
}

// place configures a client as it is said.
func (p *person) place(session string, c driver.Config, variables []string) {
	c.Getenv = func(name string) string {
		for _, v := range slices.Backward(variables) {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
	c.Log = io.Discard
	p.clients.Do(p.t.Context(), driver.Request{Op: driver.OpOpen, Session: session, Config: &c})
}

// task runs the client, and then says so.
func (p *person) task(r driver.Request, _ bool) {
	if p.silent {
		return
	}
	go func() {
		a := p.clients.Do(p.t.Context(), r)
		var got driver.Results
		said := "it cannot be configured like that"
		if a.OK != nil && json.Unmarshal(a.OK, &got) == nil {
			o := got.Results[0]
			said = o.Token
			if o.Error != nil {
				said = "error: " + strings.Join(strings.Fields(o.Error.Message), " ")
			}
		}
		if p.mute {
			return
		}
		p.said <- said
		p.lines <- "" // it has ended
	}()
}

// manual are checks of several kinds: of what is sent, of variables, of files, of
// several exchanges and of what the client says.
var manual = []string{"IMDS-02", "IMDS-08", "SRC-01", "SRC-17", "AST-04", "AUT-02", "AUT-10", "CAC-01", "CAC-05", "ERR-01", "ERR-10", "SEC-03"}

func manualChecks(t *testing.T, ids ...string) []*suite.Check {
	t.Helper()
	checks, err := suite.Select(suite.Selection{IDs: ids})
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

func TestAClientIsRunByHand(t *testing.T) {
	t.Parallel()
	p := &person{t: t}
	report, err := p.run(manualChecks(t, manual...))
	if err != nil {
		t.Fatal(err)
	}
	if report.Wiring != suite.Attach || len(report.Results) != len(manual) {
		t.Errorf("%d of %d checks in the wiring %s", len(report.Results), len(manual), report.Wiring)
	}
	for _, r := range report.Results {
		if r.Verdict != suite.Pass {
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
		}
	}
	if len(p.seen) == 0 || p.asked == 0 || len(p.strays) > 0 {
		t.Errorf("people saw %d requests, were asked %d times, and the client went astray to %q", len(p.seen), p.asked, p.strays)
	}
}

func TestBugsAreSeenByHand(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"IMDS-02", "SRC-17", "AST-04", "CAC-01", "ERR-10", "SEC-03"} {
		p := &person{t: t, bug: reference.FindBug(id)}
		report, err := p.run(manualChecks(t, id))
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Results[0]; !unmet(got.Verdict) {
			t.Errorf("%s: %s: %s", id, got.Verdict, got.Why)
		}
	}
}

// Where nobody types, the wire says what the client came to, but not in which words.
func TestNobodyHasToBeThere(t *testing.T) {
	t.Parallel()
	p := &person{t: t, mute: true}
	report, err := p.run(manualChecks(t, "IMDS-02", "AST-04", "ERR-01", "ERR-09", "SEC-01", "CAC-07"))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]suite.Verdict{
		"IMDS-02": suite.Pass, "AST-04": suite.Pass, "ERR-09": suite.Pass, "ERR-01": suite.Inconclusive, "SEC-01": suite.Skip, "CAC-07": suite.Skip,
	} {
		i := slices.IndexFunc(report.Results, func(r suite.Result) bool { return r.ID == id })
		if got := report.Results[i]; got.Verdict != want {
			t.Errorf("%s: %s: %s, want %s", id, got.Verdict, got.Why, want)
		}
	}
	if p.asked > 0 {
		t.Errorf("nobody was asked %d times", p.asked)
	}
}

func TestAClientThatNobodyRunsProvesNothing(t *testing.T) {
	t.Parallel()
	p := &person{t: t, mute: true, silent: true}
	report, err := p.run(manualChecks(t, "AST-04"))
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Results[0]; got.Verdict != suite.Inconclusive {
		t.Errorf("%s: %s", got.Verdict, got.Why)
	}
}
