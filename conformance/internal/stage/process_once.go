package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// The word that a driver is given that is called anew for each request, and its
// exit codes.
const (
	onceWord        = "run"
	exitAnswered    = 0
	exitFailed      = 1
	exitUnsupported = 77
)

// shots are calls of a driver that answers one request, in one case.
type shots struct {
	owner   *Process
	lab     *lab.Lab
	place   Place
	configs map[string]*driver.Config
	asked   map[string]bool
	log     output
	leaks   []string
	left    map[string]Leftover
	seen    []Program
}

func newShots(p *Process, l *lab.Lab, place Place) (*shots, error) {
	place.Files = maps.Clone(place.Files)
	return &shots{owner: p, lab: l, place: place, configs: map[string]*driver.Config{}, asked: map[string]bool{}, left: map[string]Leftover{}}, nil
}

// Do implements [Stage]. Each call of the driver gets the configuration: it knows
// nothing of those before.
func (s *shots) Do(ctx context.Context, r driver.Request) (driver.Answer, error) {
	done := driver.Answer{ID: r.ID, OK: json.RawMessage("{}")}
	switch r.Op {
	case driver.OpOpen:
		s.configs[r.Session] = r.Config
		return done, nil
	case driver.OpClose, driver.OpStop:
		return done, nil
	case driver.OpSetEnv:
		for name, value := range r.Vars {
			s.place.Environ = append(s.place.Environ, name+"="+value)
		}
		return done, nil
	}
	if s.asked[r.Session] {
		return driver.Answer{ID: r.ID, Skip: &driver.Skip{Reason: "the driver is called anew for each request, and keeps nothing between them"}}, nil
	}
	s.asked[r.Session] = true
	if own := s.configs[r.Session]; own != nil {
		copied := *own
		r.Config = &copied
	}
	a, p, err := s.owner.shoot(ctx, s.lab, s.place, r)
	if p != nil {
		err = also(err, p.misbehaved("the end of its input"))
		_, _ = s.log.Write([]byte(p.log.String()))
		s.leaks = append(s.leaks, leaks(p.result)...)
		maps.Copy(s.left, p.left)
		s.seen = append(s.seen, p.programs.all()...)
	}
	return a, err
}

// Complete implements [Stage]. Each call of the driver has its own way to the lab.
func (s *shots) Complete(*driver.Config) {}

// Write implements [Stage].
func (s *shots) Write(name, content string) error {
	if _, ok := s.place.Files[name]; !ok {
		return fmt.Errorf("the place has no file %s", name)
	}
	s.place.Files[name] = content
	return nil
}

// Output implements [Stage].
func (s *shots) Output() string { return s.log.String() }

// Leaks implements [Stage].
func (s *shots) Leaks() []string { return s.leaks }

// Left implements [Stage].
func (s *shots) Left() map[string]Leftover { return s.left }

// Seen implements [Stage].
func (s *shots) Seen() []Program { return s.seen }

// Leave implements [Stage].
func (s *shots) Leave() error { return nil }

func (p *Process) helloOnce(ctx context.Context, r driver.Request) (driver.Hello, error) {
	a, _, err := p.shoot(ctx, nil, Place{}, r) // what it leaves behind is seen again
	if err != nil {
		return driver.Hello{}, err
	}
	return parseHello(a)
}

// onceBegins is how long a driver that answers one request begins, at most.
const onceBegins = 2 * time.Second

// shoot calls the driver for one request. The process has ended; how it did is no part
// of the error.
func (p *Process) shoot(ctx context.Context, l *lab.Lab, place Place, request driver.Request) (driver.Answer, *process, error) {
	b := p.gate.enter()
	defer b.end()
	defer time.AfterFunc(onceBegins, b.end).Stop()
	r, err := p.start(ctx, l, place, append(p.Args[:len(p.Args):len(p.Args)], onceWord), func(w Way) []string {
		if at, ok := w.(placed); ok {
			request = at.locate(request)
		}
		if request.Config != nil {
			w.Complete(request.Config)
		}
		return shellVariables(request)
	})
	if err != nil {
		return driver.Answer{}, nil, err
	}
	text, err := p.message(request)
	if err == nil {
		_ = r.write(ctx, append(text, '\n')) // one that looks at its variables only may not read it
	}
	_ = r.in.Close()
	written := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(r.out, maxLine+1))
		written <- b
	}()
	var answer []byte
	asked, read := true, false
	select {
	case <-r.over:
	case answer = <-written: // it is too much, or the driver has just ended
		asked, read = len(answer) <= maxLine, true
	case <-ctx.Done():
		asked = false
	}
	r.finish(asked, nil, nil)
	if !read {
		answer = <-written
	}
	a, wrong := r.answered(request, answer)
	if wrong == nil && len(answer) > 0 && r.result.Status != exitUnsupported {
		wrong = p.inspect(request.Op, 1, answer)
	}
	err = errors.Join(err, r.tidy())
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if wrong != nil {
		err = wrong
	}
	return a, r, err
}

// answered reads what a driver that has ended wrote.
func (r *process) answered(request driver.Request, text []byte) (driver.Answer, error) {
	text = []byte(strings.TrimSpace(string(text)))
	if len(text) > maxLine {
		return driver.Answer{}, fmt.Errorf("the driver wrote more than %d bytes to standard output; expected one answer", maxLine)
	}
	switch r.result.Status {
	case exitUnsupported:
		reason := "the driver cannot do it (exit code 77)"
		if a, err := parseAnswer(text); err == nil && a.Skip != nil {
			reason = a.Skip.Reason
		}
		return driver.Answer{ID: request.ID, Skip: &driver.Skip{Reason: reason}}, nil
	case exitFailed:
		// A script can do without quoting the message.
		if words := strings.TrimSpace(r.log.String()); len(text) == 0 && words != "" && r.err == nil {
			return driver.Answer{ID: request.ID, Error: &driver.Failure{Kind: driver.Other, Message: words}}, nil
		}
	case exitAnswered:
	default:
		return driver.Answer{}, r.crash("instead of answering " + string(request.Op))
	}
	if r.err != nil || len(text) == 0 {
		return driver.Answer{}, r.crash("without an answer to " + string(request.Op))
	}
	a, err := parseAnswer(text)
	if err == nil && string(a.ID) != string(request.ID) {
		err = wrongID(a, request)
	}
	return a, err
}

// shellVariables are a request for programs to which JSON is a burden.
func shellVariables(r driver.Request) []string {
	var env []string
	set := func(name, value string) {
		if value != "" {
			env = append(env, "FCD_"+name+"="+value)
		}
	}
	set("ID", string(r.ID))
	set("OP", string(r.Op))
	set("RESOURCE", r.Resource)
	if c := r.Config; c != nil {
		set("CLOUD", c.Cloud)
		if r.TokenRequest == nil || r.Tenant == "" {
			set("TENANT", c.Tenant)
		}
		set("APP_CLIENT_ID", c.AppClientID)
		set("AUDIENCE", c.Audience)
		set("IDENTITY_KIND", c.Identity.Kind)
		set("IDENTITY_VALUE", c.Identity.Value)
		set("MI_SOURCE", c.Source)
		set("AUTHORITY", c.Endpoints.Authority)
		set("IMDS", c.Endpoints.IMDS)
		set("BLOB", c.Endpoints.Blob)
		set("CA_FILE", c.Endpoints.CAFile)
	}
	if t := r.TokenRequest; t != nil {
		set("SCOPE", strings.Join(t.Scopes, " "))
		set("TENANT", t.Tenant)
		set("CLAIMS", t.Claims)
	}
	if q := r.ResourceRequest; q != nil {
		set("ACTION", q.Action)
		set("URL", q.URL)
	}
	return env
}
