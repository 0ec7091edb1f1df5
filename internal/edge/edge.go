// Package edge is the one layer that every emulated request passes through. It
// numbers the request, reads its body, asks the fault plan, calls the
// operation and closes the journal entry.
package edge

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/clock"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// Limits on what a client may send, and on what the journal keeps of it.
const (
	MaxBody    = 1 << 20  // bytes of a request body, except on routes that stream
	MaxHeaders = 64 << 10 // bytes of all request headers
	MaxKept    = 16 << 10 // bytes of each body that the journal keeps
)

// ErrHangup is returned when a fault closes the connection, or a service that
// does not answer at all. Doors translate it
// into what their kind of client sees then.
var ErrHangup = errors.New("fakeentra: connection closed without an answer")

// ErrReset is an [ErrHangup] that breaks the connection, where a door can.
var ErrReset = fmt.Errorf("%w: reset", ErrHangup)

// A Service answers for some host names.
type Service interface {
	// Routes returns every operation of the service, including those for
	// requests that fit nowhere.
	Routes() []Route
	// Resolve finds the operation that a request asks for. It never returns
	// nil: a service has an operation for what it does not know.
	Resolve(*Request) *Route
	// Refuse renders the service's refusal with a wire code. ok is false when
	// it has none.
	Refuse(r *Request, code string) (resp Response, ok bool)
	// TooLarge answers a request whose body is over [MaxBody] or whose headers
	// are over [MaxHeaders].
	TooLarge(*Request) Response
}

// An Edge carries requests to services. All fields must be set; its methods may
// be called from several goroutines.
type Edge struct {
	Clock   clock.Clock
	Journal *journal.Journal
	Faults  *fault.Plan
	Seed    string // request identifiers are derived from it
}

// A Caller says where a request comes from.
type Caller struct {
	Host string // the emulated host; empty if unknown
	TLS  bool   // the client used https
	// Certificate is what the client presented in TLS, which proves that it has
	// the key. Who issued it was not checked.
	Certificate *x509.Certificate
}

// Serve answers one request. in.URL must be absolute, as the client meant it.
// It fails only with [ErrHangup], with the error of a context that ended, or
// with the error of a request body that cannot be read.
func (e *Edge) Serve(s Service, from Caller, in *http.Request) (Response, error) {
	r := e.open(from, in)
	defer r.finish()
	route := s.Resolve(r)
	r.Op = route.Op
	resp, ruleName, err := e.answer(s, route, r, in)
	if err == nil && resp.Closed {
		err = ErrHangup
	}
	if err == nil && in.Context().Err() != nil {
		err = in.Context().Err()
	}
	e.close(r, resp, ruleName, err)
	return resp, err
}

func (e *Edge) open(from Caller, in *http.Request) *Request {
	seq := e.Journal.Open()
	r := &Request{
		Method: in.Method, URL: in.URL, Header: in.Header, Body: http.NoBody,
		Seq: seq, ID: ident.Request(e.Seed, seq), Now: e.Clock.Now().UTC(), Caller: from, journal: e.Journal,
	}
	if in.Body != nil {
		r.body = &recorder{from: in.Body}
		r.Body = r.body
	}
	return r
}

func (e *Edge) answer(s Service, route *Route, r *Request, in *http.Request) (Response, string, error) {
	if headerBytes(in.Header) > MaxHeaders {
		return r.explain(s.TooLarge(r), "", "the request headers are over %d bytes", MaxHeaders), "", nil
	}
	if !route.Stream {
		whole, err := r.read()
		if err != nil {
			return Response{}, "", err
		}
		if !whole {
			return r.explain(s.TooLarge(r), "", "the request body is over %d bytes", MaxBody), "", nil
		}
	}
	name, do := e.Faults.Next(r.Now, r.Op, r.Recorded())
	resp, err := e.act(in.Context(), s, route, r, do)
	return resp, name, err
}

func (e *Edge) act(ctx context.Context, s Service, route *Route, r *Request, do fault.Action) (Response, error) {
	switch do := do.(type) {
	case fault.Hang:
		<-ctx.Done()
		return Response{}, ctx.Err()
	case fault.Hangup:
		return Response{}, ErrHangup
	case fault.Reset:
		return Response{}, ErrReset
	case fault.Respond:
		return Response{Status: do.Status, Header: do.Header.Clone(), Body: []byte(do.Body)}, nil
	case fault.Refuse:
		if resp, ok := s.Refuse(r, string(do)); ok {
			return resp, nil
		}
		return r.explain(JSON(http.StatusInternalServerError, map[string]string{"error": "fakeentra"}), string(do), "a fault asked for the refusal %s, which %s does not have", do, r.Op), nil
	case fault.Delay:
		if err := wait(ctx, time.Duration(do)); err != nil {
			return Response{}, err
		}
	case fault.Rewrite:
		return rewrite(call(route, r), do), nil
	}
	return call(route, r), nil
}

// call runs an operation. A panic in one is a bug of fakeentra: it is answered
// with 500 and explained in the journal, and the cloud goes on.
func call(route *Route, r *Request) (resp Response) {
	defer func() {
		if p := recover(); p != nil {
			resp = r.explain(JSON(http.StatusInternalServerError, map[string]string{"error": "fakeentra_bug"}),
				"fakeentra_bug", "this is a bug in fakeentra, please report it: %v\n%s", p, debug.Stack())
		}
	}()
	return route.Do(r)
}

func rewrite(resp Response, edit fault.Rewrite) Response {
	body := resp.Body
	if resp.Stream != nil {
		body, _ = io.ReadAll(resp.Stream)
	}
	j := journal.Response{Status: resp.Status, Header: resp.Header, Body: body}
	edit(&j)
	return Response{Status: j.Status, Header: j.Header, Body: j.Body}
}

// wait is the only place in the tree that waits on purpose.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Edge) close(r *Request, resp Response, rule string, err error) {
	if err != nil {
		resp = Response{}
		if r.decision.Why == "" {
			r.decision.Why = fmt.Sprint(err)
		}
	}
	kept := resp.Body
	if resp.Stream == nil && len(kept) > MaxKept {
		kept = kept[:MaxKept]
	}
	e.Journal.Close(journal.Entry{
		Seq: r.Seq, Time: r.Now, Op: r.Op, Host: r.Caller.Host,
		Request:  r.Recorded(),
		Response: journal.Response{Status: resp.Status, Header: resp.Header, Body: kept, Size: resp.Size()},
		Decision: r.decision, Facts: r.facts, Fault: rule, Used: r.used,
	}, r.tokens...)
}

func headerBytes(h http.Header) int {
	n := 0
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return n
}
