package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/internal/idle"
)

// Process is a driver in a process of its own.
type Process struct {
	Path string   // file to execute
	Args []string // including the name that the program is called by
	// Wired leads the driver to labs; [Netns] does if it is nil.
	Wired Wiring
	// Environ is the environment that drivers inherit, but for what would lead
	// them elsewhere; nil stands for [os.Environ].
	Environ []string
	// Temp is a folder for the files of places; the system's if empty.
	Temp string
	// MaxMemory is how many bytes of memory a driver may have; 0 means any number.
	MaxMemory int64
	// Scale multiplies how long drivers are given; 1 if zero.
	Scale float64
	// Inspect looks at the texts of messages, a request or an answer to it, and
	// says what is wrong with them. It may be nil.
	Inspect func(op driver.Op, request, answer []byte) error

	gate  gate // of drivers that begin
	once  bool // drivers are called anew for each request
	reset bool // a driver can go on with another lab

	idle  idle.Pool[*session] // that another lab may be shown to
	group sync.WaitGroup      // what ends by itself
}

// Wiring implements [Target].
func (p *Process) Wiring() string { return p.wired().Name() }

func (p *Process) wired() Wiring {
	if p.Wired == nil {
		return Netns{}
	}
	return p.Wired
}

// Once reports whether the driver is called anew for each request, which is known
// after [Process.Hello].
func (p *Process) Once() bool { return p.once }

// Enter implements [Target].
func (p *Process) Enter(ctx context.Context, l *lab.Lab, place Place) (Stage, error) {
	if w, ok := p.wired().(selective); ok {
		if err := w.covers(l, place); err != nil {
			return nil, err
		}
	}
	if len(place.IPv6) > 0 && !hasIPv6() {
		return nil, ErrNoIPv6
	}
	if p.once {
		return newShots(p, l, place)
	}
	shared := p.reset && !place.Fresh
	if shared {
		if s, ok := p.idle.Take(); ok {
			s.front.Show(l)
			return newVisit(s), nil
		}
	}
	s, err := p.session(ctx, l, place)
	if err != nil {
		return nil, err
	}
	s.shared = shared
	return newVisit(s), nil
}

// hasIPv6 reports whether this machine has addresses of IPv6 at all.
func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// Close implements [Target].
func (p *Process) Close() error {
	p.group.Wait()
	var ends []chan error
	for s, ok := p.idle.Take(); ok; s, ok = p.idle.Take() {
		end := make(chan error, 1)
		go func() { end <- s.end() }() // together: each may take its time
		ends = append(ends, end)
	}
	var errs []error
	for _, end := range ends {
		errs = append(errs, <-end)
	}
	if w, ok := p.wired().(preparer); ok {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// message writes a request down.
func (p *Process) message(r driver.Request) ([]byte, error) {
	text, err := json.Marshal(r)
	if err == nil && p.Inspect != nil {
		if err = p.Inspect(r.Op, text, nil); err != nil {
			err = fmt.Errorf("this is a bug in fakeentra, please report it: the request %s is not as its schema has it: %w", shown(text), err)
		}
	}
	return text, err
}

// inspect says what is wrong with the line-th answer of a driver, which was read.
func (p *Process) inspect(op driver.Op, line int, answer []byte) error {
	if p.Inspect == nil {
		return nil
	}
	if err := p.Inspect(op, nil, answer); err != nil {
		return fmt.Errorf("line %d that the driver wrote, its answer to %s, is not as its schema has it: %w", line, op, err)
	}
	return nil
}

func (p *Process) scaled(d time.Duration) time.Duration {
	if p.Scale == 0 {
		return d
	}
	return time.Duration(float64(d) * p.Scale)
}

func (p *Process) environ() []string {
	if p.Environ == nil {
		return os.Environ()
	}
	return p.Environ
}

// name is what the program is called in messages.
func (p *Process) name() string { return strings.Join(p.Args, " ") }
