package suite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// Version is that of the catalogue. Expectations name it.
const Version = "1.0"

// A Target is where clients under test come from; see [InProcess] and [Process].
type Target struct{ stage.Target }

// InProcess returns the target of a driver in this process. temp is a folder for
// files that clients read; the system's if empty.
func InProcess(d driver.Driver, temp string) Target {
	return Target{&stage.Memory{Driver: d, Temp: temp}}
}

// WithEnvironment returns the target of [InProcess] for a driver that reads the
// variables of this process: they are set while a case runs, so that only one can
// run at a time. Cases about files that clients find at fixed places are skipped.
func WithEnvironment(t Target) Target {
	if m, ok := t.Target.(*stage.Memory); ok {
		own := *m
		own.Setenv = true
		return Target{&own}
	}
	return t
}

// A Command is a driver that is a program.
type Command struct {
	Path string   // file to execute
	Args []string // including the name that the program is called by
	// Wiring is one of [CommandWirings]; [Netns] if empty.
	Wiring string
	// Image is that of the containers of [Docker], whose entry point goes before
	// Args; this machine's own files are in there if it is empty. Engine is the
	// program that starts them, with the command line of docker, which it is if empty.
	Image, Engine string
	// MaxMemory is how many bytes of memory the driver may have; 0 means any
	// number.
	MaxMemory int64
	// Scale multiplies how long the driver has to begin; 1 if zero.
	Scale float64
	// Inspect looks at the texts of messages, a request or an answer to it, and
	// says what is wrong with them. It may be nil.
	Inspect func(op driver.Op, request, answer []byte) error
}

// Options say how to run.
type Options struct {
	Checks []*Check // all if nil
	Seed   string   // of identifiers; DefaultSeed if empty
	Jobs   int      // how many cases run at once; 1 if zero
	// Shuffle is a text that the order of the cases is derived from. If it is
	// empty, those that take longest begin first where several run at once, and
	// else all are in the order of the catalogue.
	Shuffle string
	// Chaos is a text that noise is derived from: successes that no case acts on have
	// members and headers that clients do not know, in another order, and come a
	// little late. It changes no verdict on a client that takes that as it should.
	// There is none if it is empty.
	Chaos  string
	Strict bool // a SHOULD that is not met fails
	Repeat int  // how often each check runs; once if zero
	// Expected is what is known of the client; nothing if nil.
	Expected Expectations
	// XPassWarns lets expectations which are not needed any more fail nothing.
	XPassWarns bool
	// Scale multiplies what drivers are given in time; 1 if zero.
	Scale float64
	// Steady gives all checks one tenant, application and identity, for clients that
	// are configured by hand. Those that keep tokens must not live on from one to the
	// next.
	Steady bool
	// Begins is called before each case that is not skipped at once, from one goroutine
	// at a time if Jobs is 1. It may be nil.
	Begins func(c *Check, name string)
	// Met is called when the driver has said who it is, with a report without
	// results. It may be nil.
	Met func(*Report)
	// Done is called when a check has its verdict, which is when the last of its
	// cases has, from one goroutine at a time.
	// It may be nil.
	Done func(Result)
}

// Expectations are what is known of a client. Package expect has them. They are
// used by one goroutine at a time.
type Expectations interface {
	// Meet is told who the client is, by a report without results.
	Meet(*Report)
	// Judge changes the verdict to [XFail] if it is expected, and to [XPass] if
	// another one was.
	Judge(*Result)
	// Stale says which expectations came to nothing, of those whose checks were all
	// judged, and Partial what became of the others.
	Stale() []string
	Partial() []Partial
}

// DefaultSeed is the seed of a run that names none, so that two runs are alike.
const DefaultSeed = "fakeentra"

type runner struct {
	Options
	target stage.Target
	hello  driver.Hello
}

// Run runs checks against a client. It fails with a [BrokenDriver] when the driver
// does not say who it is, and when it fails at the first request time after time;
// and with another error when ctx ends. The report then holds what was found until
// then, and is nil if that is nothing.
func Run(ctx context.Context, t Target, o Options) (*Report, error) {
	if o.Checks == nil {
		o.Checks = Checks()
	}
	if o.Seed == "" {
		o.Seed = DefaultSeed
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &runner{Options: o, target: &breaker{Target: t.Target, stop: stop}}
	hello, err := r.target.Hello(ctx, driver.Request{ID: json.RawMessage(`0`), Op: driver.OpHello, Protocol: driver.Version, Suite: Version, Seed: o.Seed})
	if err != nil {
		if ctx.Err() == nil {
			err = &BrokenDriver{err}
		}
		return nil, errors.Join(err, t.Close())
	}
	if hello.Capabilities == nil {
		hello.Capabilities = []driver.Capability{} // which JSON does not call null
	}
	r.hello = hello
	_, byHand := t.Target.(*stage.Hand)
	if !byHand { // whoever runs it sees where it goes
		if err := r.follows(ctx); err != nil {
			if ctx.Err() == nil {
				err = &BrokenDriver{err}
			}
			return nil, errors.Join(err, t.Close())
		}
	}
	report := &Report{
		Schema: Schema, Suite: Suite{Version, Digest(), len(Checks())}, Seed: o.Seed, Chaos: o.Chaos, Wiring: r.target.Wiring(), Strict: o.Strict,
		XPassWarns: o.XPassWarns, Driver: hello, Started: time.Now().UTC(),
	}
	if auto, ok := t.Target.(*stage.Auto); ok {
		report.WiringWhy = auto.Why()
	}
	report.Caveats = stage.Caveats(t.Target)
	if o.Expected != nil {
		o.Expected.Meet(report)
	}
	if o.Met != nil {
		o.Met(report)
	}
	report.Results = r.all(ctx)
	report.Uncovered, report.PartlyUncovered = Uncovered(report.Results)
	report.Standings = Standings(report)
	if o.Expected != nil {
		report.Stale, report.Partial = o.Expected.Stale(), o.Expected.Partial()
	}
	if ctx.Err() != nil {
		why := "it was interrupted"
		if broken, ok := errors.AsType[*BrokenDriver](context.Cause(ctx)); ok {
			why = broken.Error()
		}
		report.Incomplete = fmt.Sprintf("the run ended when %d of %d checks had their verdict: %s", len(report.Results), len(o.Checks), why)
	}
	err = t.Close()
	report.Took = millis(time.Since(report.Started))
	return report, errors.Join(context.Cause(ctx), err)
}

// attempt runs a case, for the round-th time. Each time it has other identities, since
// a client may keep tokens of those that it has seen.
func (r *runner) attempt(ctx context.Context, c *Check, k Case, round int) (result CaseResult) {
	result = CaseResult{Name: k.Name, Verdict: Skip}
	if result.Why = c.uncovered(r.target.Wiring()); result.Why != "" {
		result.Uncovered = true
		return result
	}
	for _, need := range c.needs(k) {
		if !slices.Contains(r.hello.Capabilities, need) {
			result.Why = "the driver does not say that it is capable of " + string(need)
			return result
		}
	}
	began := time.Now()
	defer func() { result.Took = millis(time.Since(began)) }()
	if r.Begins != nil {
		r.Begins(c, k.Name)
	}
	fixture := lab.Fixture{Seed: r.Seed}
	if !r.Steady {
		fixture.Seed = strings.Join([]string{r.Seed, c.ID, k.Name}, "/")
		if round > 1 {
			fixture.Seed += fmt.Sprintf("/%d", round)
		}
	}
	if r.Chaos != "" {
		fixture.Noise = r.Chaos + "/" + fixture.Seed
	}
	if k.Fixture != nil {
		k.Fixture(&fixture)
	}
	l, err := lab.New(fixture)
	if err != nil {
		result.Verdict, result.Why = Error, err.Error()
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, r.scaled(limits[c.Takes()]))
	defer cancel()
	s := r.session(ctx, l, c, k)
	lingers := c.Lingers && r.target.Wiring() != Attach // which has one driver for all
	s.alone, s.ends = c.Alone || lingers || k.After != nil || impatient(c.needs(k)), k.After != nil
	end := s.play(k)
	s.judge(&result, c.Level, end)
	result.Conditions, result.Uncovered = s.conditions, s.uncovered
	result.Exchanges = s.exchanges(began)
	if result.Verdict != Pass && s.stage != nil {
		result.Output = s.hide(shorten(s.stage.Output(), maxShown))
	}
	if err := l.Close(); err != nil && result.Verdict == Pass {
		result.Verdict, result.Why = Error, err.Error()
	}
	return result
}

func (r *runner) session(ctx context.Context, l *lab.Lab, c *Check, k Case) *Session {
	return &Session{
		Lab: l, Config: config(l), run: r, check: c, ctx: ctx, hello: r.hello,
		unnamed: slices.Contains(c.needs(k), driver.IdentitySystem),
	}
}

// impatient reports whether a case has callers that give up. What a client does for
// them may go on, and must not get into the cloud of another case.
func impatient(needs []driver.Capability) bool {
	return slices.Contains(needs, driver.Cancel) || slices.Contains(needs, driver.Timeout)
}

// limits are how long a case may take.
var limits = map[Cost]time.Duration{Fast: 60 * time.Second, Timed: 90 * time.Second, Slow: 200 * time.Second}

func (r *runner) scaled(d time.Duration) time.Duration {
	if r.Scale == 0 {
		return d
	}
	return time.Duration(float64(d) * r.Scale)
}

// play runs a case to its end, and what is to be looked at afterwards.
func (s *Session) play(k Case) (end *ended) {
	end = s.protect(k.Run)
	if s.stage == nil {
		return end
	}
	if err := s.stage.Leave(); err != nil && end == nil {
		end = &ended{Error, err.Error()}
	}
	s.Settle()
	if k.After != nil && end == nil {
		end = s.protect(k.After)
	}
	return end
}

// protect calls do, which may end early.
func (s *Session) protect(do func(*Session)) (end *ended) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case ended:
			end = &p
		default:
			end = &ended{Error, fmt.Sprintf("this is a bug in fakeentra, please report it: %v\n%s", p, debug.Stack())}
		}
	}()
	do(s)
	return nil
}

// judge says what became of a case.
func (s *Session) judge(result *CaseResult, level Level, end *ended) {
	unmet := slices.IndexFunc(s.conditions, func(c Condition) bool { return !c.Met })
	switch {
	case end != nil:
		result.Verdict, result.Why = end.verdict, s.hide(end.why)
	case len(s.unarmed) > 0:
		result.Verdict, result.Why = Inconclusive, "the client never came to what the check provokes: "+strings.Join(s.unarmed, ", ")
	case unmet >= 0:
		c := s.conditions[unmet]
		result.Verdict, result.Why = level.unmet(), fmt.Sprintf("%s: expected %s, got %s", c.ID, c.Expected, c.Actual)
	case len(s.conditions) == 0:
		result.Verdict, result.Why = Error, "this is a bug in fakeentra, please report it: the case looked at nothing"
	default:
		result.Verdict = Pass
	}
}

// Digest identifies the catalogue: reports of different ones do not belong
// together.
func Digest() string {
	h := sha256.New()
	for _, c := range Checks() {
		_, _ = fmt.Fprintf(h, "%s %s %s\n", c.ID, c.Level, c.Passes)
		for _, k := range c.Cases {
			_, _ = fmt.Fprintf(h, "  %s\n", k.Name)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// digest is the beginning of a token's SHA-256, by which equal ones are seen to
// be equal.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}
