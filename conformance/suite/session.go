package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// A Session is what a case of a check works with: the cloud around the client
// under test, and the client. Nothing of the client is started before the first
// operation, so that a case can change its configuration and environment until
// then.
type Session struct {
	*lab.Lab
	// Config is what the client will be configured with.
	Config driver.Config
	// Environ are more variables of the client, in the form of [os.Environ].
	Environ []string
	// Proxy says that an HTTP proxy listens on port 3128 of the client's loopback.
	Proxy bool
	// IPv6 are names of hosts that have an address of IPv6 alone.
	IPv6 []string
	// Watch says that programs which the client starts are noted.
	Watch bool
	// Files are more files of the client's machine, by absolute name.
	Files map[string]string
	// Patience is how long an operation may take; the default is 15 s.
	Patience time.Duration

	run        *runner
	check      *Check
	ctx        context.Context
	hello      driver.Hello
	stage      stage.Stage
	client     *Client
	alone      bool // the driver's process serves no other case
	unnamed    bool // a client names no identity
	ends       bool // it is looked at when it has ended
	opened     int
	asked      int
	lenient    time.Duration // an operation that takes longer is an error of the client's; 0 if it is the driver's
	left       bool          // there was one: the client still works on it
	conditions []Condition
	unarmed    []string
	uncovered  bool // the wiring cannot have the place
}

// A Got is what an operation of a client came to.
type Got struct {
	driver.Outcome
	Took time.Duration
}

// OK reports whether there was no error.
func (g Got) OK() bool { return g.Error == nil }

// Message returns the text of the error, or nothing.
func (g Got) Message() string {
	if g.Error == nil {
		return ""
	}
	if g.Error.Message == stage.Untold {
		panic(ended{Inconclusive, "it is about what the client says, which nobody told"})
	}
	return g.Error.Message
}

// String describes the outcome without its secrets.
func (g Got) String() string {
	switch {
	case g.Error != nil:
		return fmt.Sprintf("an error: %q", shorten(g.Error.Message, 300))
	case g.Token != "":
		return "a token"
	case g.Status != 0:
		return fmt.Sprintf("status %d with %d items", g.Status, len(g.Items))
	}
	return "nothing"
}

func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > n {
		return s[:n] + " …"
	}
	return s
}

// StorageScope is what checks ask a token for unless they say otherwise.
const StorageScope = "https://storage.azure.com/.default"

// config is that of a client as in the announcement.
func config(l *lab.Lab) driver.Config {
	env := l.Environment
	return driver.Config{
		Cloud: cloudNames[env.Name], Tenant: string(l.Tenant.ID), AppClientID: string(l.App.ClientID), Audience: env.TokenExchangeAudience,
		Identity: driver.Identity{Kind: "client_id", Value: string(l.Agent.ClientID)}, Source: sourceName(l.Host.Source()),
		AllowedTenants: []string{"*"}, Discovery: true, LogLevel: "default",
		Endpoints: driver.Endpoints{Mode: "netns", Authority: "https://" + env.LoginHost, IMDS: "http://169.254.169.254", Blob: l.Account.Endpoint()},
	}
}

var cloudNames = map[string]string{
	fakeentra.AzurePublic.Name: "public", fakeentra.AzureUSGovernment.Name: "usgov", fakeentra.AzureChina.Name: "china",
}

func sourceName(s fakeentra.Source) string {
	for name, source := range lab.Sources {
		if source == s {
			return name
		}
	}
	return string(s)
}

// Fault arms a rule that acts on the first times requests for an operation; 0
// means on all.
func (s *Session) Fault(op lab.Op, times int, do lab.Act) *lab.Rule {
	return s.Arm(&lab.Rule{Name: string(op), Ops: []lab.Op{op}, Times: times, Do: do})
}

// Armed says which rules the case is about: where one of them never acted, the
// case proves nothing.
func (s *Session) Armed(rules ...*lab.Rule) {
	for _, r := range rules {
		if r.Fired() == 0 {
			s.unarmed = append(s.unarmed, r.Name)
		}
	}
}

// Reached says that the case is about requests of some operations: where there is
// none, the case proves nothing. It returns those that there are.
func (s *Session) Reached(ops ...lab.Op) []*lab.Exchange {
	seen := s.Exchanges(ops...)
	if len(seen) == 0 {
		s.unarmed = append(s.unarmed, fmt.Sprint("request for ", ops))
	}
	return seen
}

// Proven says whether the case came to what it is about: where it did not, it
// proves nothing.
func (s *Session) Proven(came bool, what string) {
	if !came {
		s.unarmed = append(s.unarmed, what)
	}
}

// Want records a condition: whether it is met, what was expected, and what there
// was instead. It returns whether it is met.
func (s *Session) Want(name string, met bool, expected, actual string, args ...any) bool {
	if len(args) > 0 {
		actual = fmt.Sprintf(actual, args...)
	}
	s.conditions = append(s.conditions, Condition{ID: s.check.ID + "." + name, Met: met, Expected: expected, Actual: s.redact(actual)})
	return met
}

// redact takes secrets out of what people see.
func (s *Session) redact(text string) string {
	for secret, what := range s.Secrets() {
		text = strings.ReplaceAll(text, secret, "["+what+"]")
	}
	return text
}

// WantToken expects a client to get a token.
func (s *Session) WantToken(got Got) bool {
	return s.Want("outcome", got.OK() && got.Token != "", "a token", "%s", got)
}

// WantError expects a client to fail.
func (s *Session) WantError(got Got) bool {
	return s.Want("outcome", !got.OK(), "an error", "%s", got)
}

// WantUntouched expects no request for some operations.
func (s *Session) WantUntouched(name string, ops ...lab.Op) bool {
	seen := s.Exchanges(ops...)
	actual := "none"
	if len(seen) > 0 {
		actual = fmt.Sprintf("%d, the first of which is %s %s", len(seen), seen[0].Method, shorten(seen[0].URL.Redacted(), 120))
	}
	return s.Want(name, len(seen) == 0, "no request for "+join(ops), "%s", actual)
}

// WantCount expects a number of requests for an operation, between two bounds.
func (s *Session) WantCount(name string, op lab.Op, least, most int) bool {
	n := len(s.Exchanges(op))
	expected := fmt.Sprintf("%d to %d requests for %s", least, most, op)
	if least == most {
		expected = fmt.Sprintf("%d requests for %s", least, op)
	}
	return s.Want(name, n >= least && n <= most, expected, "%d", n)
}

func join(ops []lab.Op) string {
	var words []string
	for _, op := range ops {
		words = append(words, string(op))
	}
	return strings.Join(words, ", ")
}

// Gaps returns the time between the answers of one operation and the requests
// that followed them.
func (s *Session) Gaps(op lab.Op) []time.Duration {
	var gaps []time.Duration
	seen := s.Exchanges(op)
	for i := 1; i < len(seen); i++ {
		gaps = append(gaps, seen[i].At.Sub(seen[i-1].Done))
	}
	return gaps
}

// Skip ends the case, which says nothing about the client.
func (s *Session) Skip(reason string) { panic(ended{Skip, reason}) }

// perhaps has a client do more, where its driver can: one that is called anew for each
// request cannot.
func (s *Session) perhaps(do func(*Session)) {
	if end := s.protect(do); end != nil && end.verdict != Skip {
		panic(*end)
	}
}

// UpTo gives an operation some time, from the first thing on that the client sends:
// on a busy machine that takes a while. A client that goes on trying after that is
// left alone, which counts as an error: what it has sent by then is there to be
// judged. Nothing more can be asked of it.
func (s *Session) UpTo(d time.Duration, do func() Got) Got {
	s.lenient = d
	defer func() { s.lenient = 0 }()
	return do()
}

// Pause lets time pass.
func (s *Session) Pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
		panic(ended{Timeout, "the check took too long"})
	}
}

// Token asks the client for a token for storage.
func (s *Session) Token() Got { return s.Default().Token() }

// Ask asks the client for a token; scopes are those of storage if there are none.
func (s *Session) Ask(r driver.TokenRequest) Got { return s.Default().Ask(r) }

// AskTogether has n callers ask the client for a token at the same time.
func (s *Session) AskTogether(n int, r driver.TokenRequest) []Got {
	return s.Default().AskTogether(n, r)
}

// List has the client list the blobs of the account.
func (s *Session) List() Got { return s.Default().Use(driver.ListBlobs, s.Container()) }

// Default returns the client that is configured with Config.
func (s *Session) Default() *Client {
	if s.client == nil {
		s.client = s.Open(s.Config)
	}
	return s.client
}

// Open makes one more client in the same process. It is an error of the client
// when it cannot be made; see [Session.TryOpen].
func (s *Session) Open(c driver.Config) *Client {
	client, failure := s.TryOpen(c)
	if failure != nil {
		return &Client{session: s, name: refused + failure.Message}
	}
	return client
}

// refused begins the name of a client that could not be made: every operation
// fails with the reason.
const refused = "\x00"

// TryOpen makes one more client in the same process, or returns why not.
func (s *Session) TryOpen(c driver.Config) (*Client, *driver.Failure) {
	s.start()
	if c.Identity.Kind == "system" && !s.unnamed {
		panic("the case does not need " + string(driver.IdentitySystem) + ", but opens a client that names no identity")
	}
	s.opened++
	client := &Client{session: s, name: fmt.Sprintf("%s/%d", s.check.ID, s.opened)}
	a, _ := s.do(driver.Request{Op: driver.OpOpen, Session: client.name, Config: &c})
	if a.Error != nil {
		return nil, a.Error
	}
	return client, nil
}

// SetEnv changes the environment of the client's process.
func (s *Session) SetEnv(vars map[string]string) {
	s.start()
	s.do(driver.Request{Op: driver.OpSetEnv, Vars: vars})
}

// ended is what ends a case early.
type ended struct {
	verdict Verdict
	why     string
}

// start starts the process of the client, or takes one that is there.
func (s *Session) start() {
	if s.stage != nil {
		return
	}
	st, err := s.run.target.Enter(s.ctx, s.Lab, stage.Place{
		Environ: s.Environ, Proxy: s.Proxy, IPv6: s.IPv6, Watch: s.Watch, Files: s.Files, Unnamed: s.unnamed, Ends: s.ends,
		Fresh: s.alone || s.unnamed || len(s.Environ) > 0 || s.Proxy || len(s.IPv6) > 0 || s.Watch || len(s.Files) > 0 || s.Host.Source() != fakeentra.IMDS,
	})
	switch {
	case errors.Is(err, stage.ErrUncovered):
		s.uncovered = true
		panic(ended{Skip, err.Error()})
	case errors.Is(err, stage.ErrProcess), errors.Is(err, stage.ErrNoIPv6):
		panic(ended{Skip, err.Error()})
	case err != nil:
		panic(ended{Error, err.Error()})
	}
	s.stage = st
}

// do has the driver do something. The case ends when it does not answer.
func (s *Session) do(r driver.Request) (driver.Answer, time.Duration) {
	if s.left {
		panic(ended{Timeout, "the driver still works on the operation before " + string(r.Op)})
	}
	s.asked++
	r.ID = json.RawMessage(fmt.Sprint(s.asked))
	if r.Config != nil {
		own := *r.Config
		s.stage.Complete(&own)
		r.Config = &own
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.lenient+s.patience())
	defer cancel()
	if s.lenient > 0 {
		stop := s.onceBegun(s.lenient, cancel)
		defer stop()
	}
	began := time.Now()
	a, err := s.stage.Do(ctx, r)
	took := time.Since(began)
	if by, ok := s.stage.(interface{ Spent() time.Duration }); ok && by.Spent() >= 0 {
		took = by.Spent()
	}
	switch {
	case ctx.Err() != nil && err != nil && s.lenient > 0 && s.ctx.Err() == nil:
		s.left = true
		return driver.Answer{Error: &driver.Failure{Kind: driver.TimedOut, Message: fmt.Sprintf("the client still tries after %v", s.lenient)}}, took
	case ctx.Err() != nil && err != nil:
		panic(ended{Timeout, fmt.Sprintf("the driver did not answer %s within %v", r.Op, s.patience())})
	case err != nil:
		panic(ended{Error, err.Error()})
	case a.Skip != nil:
		panic(ended{Skip, a.Skip.Reason})
	}
	return a, took
}

// onceBegun calls then some time after the client has sent something, unless stop is
// called before.
func (s *Session) onceBegun(d time.Duration, then func()) (stop func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	sent := func() int { return len(s.Exchanges()) + len(s.Hellos()) }
	before := sent()
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		var end <-chan time.Time
		for {
			select {
			case <-tick.C:
				if end == nil && sent() > before {
					tick.Stop()
					end = time.After(d)
				}
			case <-end:
				then()
				return
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// usualPatience is how long an operation may take unless a check says otherwise.
const usualPatience = 15 * time.Second

func (s *Session) patience() time.Duration {
	if s.Patience == 0 {
		return s.run.scaled(usualPatience)
	}
	return s.run.scaled(s.Patience)
}

// await waits until something has happened, for so long at most.
func (s *Session) await(d time.Duration, happened func() bool) {
	const step = 50 * time.Millisecond
	for ; d > 0 && !happened(); d -= step {
		s.Pause(step)
	}
}

// Output returns what the client wrote to standard output, other than answers, and
// to standard error.
func (s *Session) Output() string { return s.stage.Output() }

// Leaks returns what the client asked for outside the lab.
func (s *Session) Leaks() []string { return s.stage.Leaks() }

// Has reports whether the driver has a capability.
func (s *Session) Has(c driver.Capability) bool { return slices.Contains(s.hello.Capabilities, c) }

// Left returns the files that the client left behind, by name.
func (s *Session) Left() map[string]stage.Leftover { return s.stage.Left() }

// Seen returns the programs that the client had started when a request came in, if
// Watch is set. Only a client with a process of its own has any.
func (s *Session) Seen() []stage.Program { return s.stage.Seen() }

// status is the text of an HTTP status, for names of cases.
func status(code int) string { return fmt.Sprintf("%d %s", code, http.StatusText(code)) }
