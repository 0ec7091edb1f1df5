package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// Untold is the message of an error of a client that nobody told.
const Untold = "what the client said is not known"

// Hand is a client that people run, who are told when, and how it has to be configured.
// Its functions are called from one goroutine at a time, and none may be nil.
type Hand struct {
	// Ports is the first port of loopback that the endpoints get; free ones if 0.
	Ports int
	Temp  string // as in [Process]
	// Lines are what people type: an empty one says that the client has ended, and then
	// one says what it came to. It is closed where there is nobody to type.
	Lines <-chan string
	// Wait is how long a client is waited for; any time if 0 and there is somebody to
	// type, and a minute if there is nobody.
	Wait time.Duration
	// Settle is how long nothing has to come in after an exchange that succeeded to say
	// that the client has ended, and five times as long after another one.
	Settle time.Duration

	// Place says how the client of a session has to be configured.
	Place    func(session string, c driver.Config, variables []string)
	Task     func(r driver.Request, again bool) // what it is to do; again: by the same process
	Seen     func(*lab.Exchange)                // what came in, when it was answered
	Stray    func(host string)                  // what it asked the proxy for
	Question func(assumed driver.Outcome)       // what did it come to?

	site   *site
	typing bool // somebody may type
	turn   sync.Mutex
}

// Wiring implements [Target].
func (h *Hand) Wiring() string { return attach }

// Hello implements [Target].
func (h *Hand) Hello(context.Context, driver.Request) (driver.Hello, error) {
	var err error
	h.typing = true
	h.site, err = newSite(h.Temp, h.Ports)
	return driver.Hello{
		Protocol: driver.Version, Implementation: driver.Implementation{Name: "a client that is run by hand", Language: "any"},
		Capabilities: []driver.Capability{
			driver.IMDS, driver.AppService, driver.ServiceFabric, driver.CloudShell, driver.AzureML, driver.TokenFile,
			driver.IdentityClientID, driver.IdentityObjectID, driver.IdentityResourceID, driver.IdentitySystem,
			driver.Tenants, driver.Claims, driver.CAE, driver.Blob, driver.MIToken,
		},
	}, err
}

// Enter implements [Target].
func (h *Hand) Enter(_ context.Context, l *lab.Lab, p Place) (Stage, error) {
	if err := byAddress(attach, l, p); err != nil {
		return nil, err
	}
	if p.Ends {
		return nil, errUncovered{attach, "what the client's process writes until its end"}
	}
	h.turn.Lock()
	s := &byHand{site: h.site, owner: h, lab: l, strays: len(h.site.strayed()), asked: map[string]bool{}}
	h.site.front.Show(l)
	err := s.prepare(p)
	if err != nil {
		h.turn.Unlock()
		return nil, err
	}
	return s, nil
}

// prepare makes what the place has.
func (s *byHand) prepare(p Place) (err error) {
	folder, err := os.MkdirTemp(s.folder, "place")
	if err != nil {
		return err
	}
	if s.files, err = mounts(folder, s.lab, p); err != nil {
		return err
	}
	s.locator.files = s.files
	if port, serve, ok := endpoint(s.front, s.lab); ok {
		if err := s.serve(strconv.Itoa(port), serve); err != nil {
			return err
		}
	}
	s.environment = append(append([]string(nil), s.variables...), s.environ(s.lab, s.lab.At(s.front, p.Environ))...)
	return s.Err()
}

// Close implements [Target].
func (h *Hand) Close() error {
	if h.site == nil {
		return nil
	}
	return h.site.end()
}

// byHand is a client of people in a lab.
type byHand struct {
	*site
	owner       *Hand
	lab         *lab.Lab
	files       []mount
	environment []string
	asked       map[string]bool // by session
	shown       int             // how many exchanges people have seen
	strays      int
	told        int // how many of the strays
	spent       time.Duration
}

// Do implements [Stage].
func (s *byHand) Do(ctx context.Context, r driver.Request) (driver.Answer, error) {
	if r = s.locate(r); s.Err() != nil {
		return driver.Answer{}, s.Err()
	}
	done := driver.Answer{ID: r.ID, OK: json.RawMessage("{}")}
	switch r.Op {
	case driver.OpOpen:
		s.owner.Place(r.Session, *r.Config, s.environment)
		return done, nil
	case driver.OpToken, driver.OpMIToken, driver.OpResource:
	default:
		return done, nil
	}
	if t := r.TokenRequest; r.N > 1 || t != nil && (t.Timeout > 0 || t.CancelAfter > 0 || t.CorrelationID != "") {
		return driver.Answer{ID: r.ID, Skip: &driver.Skip{Reason: "nobody can do that by hand; a driver can"}}, nil
	}
	before := len(s.lab.Exchanges())
	s.owner.Task(r, s.asked[r.Session])
	s.asked[r.Session] = true
	if err := s.watch(ctx, r.Op, before); err != nil {
		return driver.Answer{}, err
	}
	o, err := s.outcome(ctx, r.Op, before)
	if err != nil {
		return driver.Answer{}, err
	}
	done.OK, err = json.Marshal(driver.Results{Results: []driver.Outcome{o}})
	return done, err
}

// How often the wire is looked at, and how long a client is waited for where there is
// nobody to type.
const (
	lookInterval = 50 * time.Millisecond
	unmanned     = time.Minute
)

// watch waits until the client has ended.
func (s *byHand) watch(ctx context.Context, op driver.Op, before int) error {
	h := s.owner
	began := time.Now()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		lines := h.Lines
		if !h.typing {
			lines = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, more := <-lines:
			if !more {
				h.typing = false
				continue
			}
			s.show()
			return nil
		case <-look.C:
		}
		s.show()
		wait := h.Wait
		if wait == 0 && !h.typing {
			wait = unmanned
		}
		if s.settled(op, before) || wait > 0 && time.Since(began) > wait {
			return nil
		}
	}
}

// show tells what has come in.
func (s *byHand) show() {
	all := s.lab.Exchanges()
	for s.shown < len(all) && !all[s.shown].Done.IsZero() {
		s.owner.Seen(all[s.shown])
		s.shown++
	}
	for _, host := range s.strayed()[s.strays+s.told:] {
		s.owner.Stray(host)
		s.told++
	}
}

// settled reports whether an exchange is over.
func (s *byHand) settled(op driver.Op, before int) bool {
	all := s.lab.Exchanges()
	x := last(all[before:], op)
	if x == nil || s.shown < len(all) {
		return false
	}
	quiet := s.owner.Settle
	if x.Status != http.StatusOK {
		quiet *= 5
	}
	return time.Since(all[len(all)-1].Done) > quiet
}

// last returns the request that an operation ends with, if there was one.
func last(all []*lab.Exchange, op driver.Op) *lab.Exchange {
	ends := map[driver.Op][]lab.Op{
		driver.OpToken: {lab.Token}, driver.OpResource: {lab.Blob}, driver.OpMIToken: {lab.IMDSToken, lab.EndpointToken},
	}[op]
	for i := len(all) - 1; i >= 0; i-- {
		for _, end := range ends {
			if all[i].Op == end {
				return all[i]
			}
		}
	}
	return nil
}

// outcome is what the client came to, as people say, or as the wire has it.
func (s *byHand) outcome(ctx context.Context, op driver.Op, before int) (driver.Outcome, error) {
	all := s.lab.Exchanges()[before:]
	s.spent = 0
	if len(all) > 0 {
		s.spent = all[len(all)-1].Done.Sub(all[0].At)
	}
	x := last(all, op)
	var o driver.Outcome
	switch {
	case x == nil || x.Status/100 != 2:
		o.Error = &driver.Failure{Kind: driver.Other, Message: Untold}
	case op == driver.OpResource:
		o.Status = x.Status
	case x.Issued() == "":
		o.Error = &driver.Failure{Kind: driver.Other, Message: Untold}
	default:
		o.Token = x.Issued()
	}
	if !s.owner.typing {
		return o, nil
	}
	s.owner.Question(o)
	select {
	case line, more := <-s.owner.Lines:
		s.owner.typing = more
		if line = strings.TrimSpace(line); line != "" {
			o = said(line)
		}
		return o, nil
	case <-ctx.Done():
		return o, ctx.Err()
	}
}

// said is the outcome that people typed: a token has no blanks, and an error is a
// sentence.
func said(line string) driver.Outcome {
	const shortest = 16
	if strings.ContainsAny(line, " \t") || len(line) < shortest {
		return driver.Outcome{Error: &driver.Failure{Kind: driver.Other, Message: line}}
	}
	return driver.Outcome{Token: line}
}

// Spent is how long the client took for what it was last asked for, as the wire has it.
func (s *byHand) Spent() time.Duration { return s.spent }

// Write implements [Stage].
func (s *byHand) Write(name, content string) error { return write(s.files, name, content) }

// Output implements [Stage]: nobody knows it.
func (s *byHand) Output() string { return "" }

// Leaks implements [Stage].
func (s *byHand) Leaks() []string { return connects(s.strayed()[s.strays:]) }

// Left implements [Stage].
func (s *byHand) Left() map[string]Leftover { return nil }

// Seen implements [Stage].
func (s *byHand) Seen() []Program { return nil }

// Leave implements [Stage].
func (s *byHand) Leave() error {
	s.front.Show(nil)
	s.owner.turn.Unlock()
	if s.Err() != nil {
		return fmt.Errorf("an address could not be made: %w", s.Err())
	}
	return nil
}
