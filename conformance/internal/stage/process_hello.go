package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// How long a driver has to say who it is, and after which time it is tried in
// another way, too.
const (
	helloLimit    = 30 * time.Second
	secondThought = time.Second
)

// A meeting is what became of saying hello.
type meeting struct {
	hello driver.Hello
	err   error
}

type meetings chan meeting

func (p *Process) try(do func() (driver.Hello, error)) meetings {
	c := make(meetings, 1)
	p.group.Go(func() {
		h, err := do()
		c <- meeting{h, err}
	})
	return c
}

func (c meetings) within(d time.Duration) (meeting, bool) {
	select {
	case m := <-c:
		return m, true
	case <-time.After(d):
		return meeting{}, false
	}
}

// Hello implements [Target]. It finds out in which of two ways the driver wants to
// be talked to: in a session, or by a process for each request.
func (p *Process) Hello(ctx context.Context, r driver.Request) (driver.Hello, error) {
	if w, ok := p.wired().(preparer); ok {
		if err := w.prepare(ctx, p); err != nil {
			return driver.Hello{}, fmt.Errorf("%w: %w", errNotStarted, err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, p.scaled(helloLimit))
	defer cancel()
	m, once := p.meet(limited, r)
	if m.err != nil && ctx.Err() == nil && limited.Err() != nil {
		return m.hello, fmt.Errorf("the driver did not answer hello within %v; it has to answer each line that it reads, and to flush standard output then", p.scaled(helloLimit))
	}
	p.once = once
	p.reset = !once && slices.Contains(m.hello.Capabilities, driver.Reset)
	return m.hello, m.err
}

// meet says hello, and reports whether the driver answers one request only.
func (p *Process) meet(ctx context.Context, r driver.Request) (meeting, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	session := p.try(func() (driver.Hello, error) { return p.helloInSession(ctx, r) })
	m, ended := session.within(p.scaled(secondThought))
	if ended && (m.err == nil || errors.Is(m.err, errNotStarted)) {
		return m, false
	}
	once := p.try(func() (driver.Hello, error) { return p.helloOnce(ctx, r) })
	if ended {
		if second := <-once; second.err == nil {
			return second, true
		}
		return m, false
	}
	select {
	case m = <-session:
	case second := <-once:
		if second.err == nil { // it may be a session that is slow to begin, and ends with its input
			if m, ended = session.within(p.scaled(2 * secondThought)); ended && m.err == nil {
				return m, false
			}
			return second, true
		}
		m = <-session
	}
	return m, false
}

// helloInSession says hello twice: a driver that answers only once is no session.
func (p *Process) helloInSession(ctx context.Context, r driver.Request) (driver.Hello, error) {
	s, err := p.session(ctx, nil, Place{})
	if err != nil {
		return driver.Hello{}, err
	}
	var first driver.Hello
	a, err := s.Do(ctx, r)
	if err == nil {
		first, err = parseHello(a)
	}
	if err == nil {
		r.ID = json.RawMessage(`"again"`)
		_, err = s.Do(ctx, r)
	}
	p.group.Go(func() { _ = s.end() }) // what is wrong with its end is seen again
	return first, err
}

// parseHello reads the answer to hello.
func parseHello(a driver.Answer) (driver.Hello, error) {
	var h driver.Hello
	switch {
	case a.Error != nil:
		return h, fmt.Errorf("the driver answered hello with the error %q", a.Error.Message)
	case a.Skip != nil:
		return h, fmt.Errorf("the driver skipped hello: %s", a.Skip.Reason)
	}
	if err := json.Unmarshal(a.OK, &h); err != nil {
		return h, fmt.Errorf("the driver answered hello with %s, which cannot be read: %s", shown(a.OK), Misread(err))
	}
	if h.Protocol != driver.Version {
		return h, fmt.Errorf("the driver speaks version %d of the protocol; expected %d", h.Protocol, driver.Version)
	}
	if h.Implementation.Name == "" {
		return h, errors.New("the driver does not say what it drives; expected implementation.name in its answer to hello")
	}
	for _, c := range h.Capabilities {
		if !slices.Contains(driver.Capabilities(), c) {
			return h, fmt.Errorf("the driver says that it is capable of %q, which is no capability; expected some of %v", c, driver.Capabilities())
		}
	}
	return h, nil
}
