package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Dispatcher answers requests with a [Driver]. Its methods may be called from
// several goroutines, as by a runner that does not wait for an answer any more.
type Dispatcher struct {
	driver Driver

	mu      sync.Mutex
	clients map[string]Client
}

// NewDispatcher returns a Dispatcher for a driver.
func NewDispatcher(d Driver) *Dispatcher {
	return &Dispatcher{driver: d, clients: map[string]Client{}}
}

// Do answers one request.
func (d *Dispatcher) Do(ctx context.Context, r Request) Answer {
	value, err := d.do(ctx, r)
	a := Answer{ID: r.ID}
	if skip, ok := errors.AsType[*Skip](err); ok {
		a.Skip = skip
		return a
	}
	if err != nil {
		a.Error = failure(err)
		return a
	}
	raw, err := json.Marshal(value)
	if err != nil {
		a.Error = failure(fmt.Errorf("the answer is not JSON: %w", err))
		return a
	}
	a.OK = raw
	return a
}

var nothing = struct{}{}

func (d *Dispatcher) do(ctx context.Context, r Request) (any, error) {
	switch r.Op {
	case OpHello:
		h := d.driver.Hello()
		h.Protocol = Version
		return h, nil
	case OpOpen:
		return nothing, d.open(r)
	case OpSetEnv:
		for name, value := range r.Vars {
			if err := os.Setenv(name, value); err != nil {
				return nil, err
			}
		}
		return nothing, nil
	case OpClose:
		return nothing, d.close(r.Session)
	case OpStop:
		return nothing, d.Close()
	}
	client := d.client(r.Session)
	if client == nil {
		return nil, &Failure{Kind: Misconfig, Message: fmt.Sprintf("there is no open session %q", r.Session)}
	}
	return d.ask(ctx, client, r)
}

func (d *Dispatcher) open(r Request) error {
	if r.Config == nil {
		return &Failure{Kind: Misconfig, Message: "open has no config"}
	}
	client, err := d.driver.Open(*r.Config)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clients[r.Session] = client
	return nil
}

// client returns the client of a session, or nil.
func (d *Dispatcher) client(session string) Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clients[session]
}

func (d *Dispatcher) close(session string) error {
	d.mu.Lock()
	client := d.clients[session]
	delete(d.clients, session)
	d.mu.Unlock()
	if client == nil {
		return nil
	}
	return client.Close()
}

// Close closes all clients that are open.
func (d *Dispatcher) Close() error {
	d.mu.Lock()
	sessions := slices.Collect(maps.Keys(d.clients))
	d.mu.Unlock()
	var errs []error
	for _, session := range sessions {
		errs = append(errs, d.close(session))
	}
	return errors.Join(errs...)
}

// ask has a client do something that can be done several times at once.
func (d *Dispatcher) ask(ctx context.Context, client Client, r Request) (any, error) {
	switch r.Op {
	case OpToken:
		if r.TokenRequest == nil {
			r.TokenRequest = &TokenRequest{}
		}
		return copies(ctx, r, func(ctx context.Context, i int) (Outcome, error) { return client.Token(ctx, r.caller(i)) })
	case OpMIToken:
		if c, ok := client.(ManagedIdentityClient); ok {
			return copies(ctx, r, func(ctx context.Context, _ int) (Outcome, error) { return c.ManagedIdentityToken(ctx, r.Resource) })
		}
	case OpResource:
		if c, ok := client.(ResourceClient); ok && r.ResourceRequest != nil {
			return copies(ctx, r, func(ctx context.Context, _ int) (Outcome, error) { return c.Resource(ctx, *r.ResourceRequest) })
		}
	}
	return nil, &Skip{Reason: fmt.Sprintf("the driver does not know the operation %q", r.Op)}
}

// copies calls do for each of the callers.
func copies(ctx context.Context, r Request, do func(ctx context.Context, i int) (Outcome, error)) (Results, error) {
	out := make([]Outcome, max(r.N, 1))
	skipped := make([]*Skip, len(out))
	var group sync.WaitGroup
	for i := range out {
		group.Go(func() {
			ctx, cancel := limited(ctx, r.TokenRequest)
			defer cancel()
			got, err := survived(func() (Outcome, error) { return do(ctx, i) })
			if err != nil {
				skipped[i], _ = errors.AsType[*Skip](err)
				got = Outcome{Error: failure(err)}
			}
			out[i] = got
		})
	}
	group.Wait()
	if i := slices.IndexFunc(skipped, func(s *Skip) bool { return s != nil }); i >= 0 {
		return Results{}, skipped[i]
	}
	return Results{out}, nil
}

// caller returns what the i-th of several callers asks for.
func (r *TokenRequest) caller(i int) TokenRequest {
	own := *r
	if len(own.Tenants) > 0 {
		own.Tenant, own.Tenants = own.Tenants[i%len(own.Tenants)], nil
	}
	return own
}

// survived makes an error of a panic, so that one check alone sees it.
func survived(do func() (Outcome, error)) (got Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Failure{Kind: Crashed, Message: fmt.Sprintf("panic: %v", p)}
		}
	}()
	return do()
}

// limited gives a caller its deadline, or the moment when it gives up.
func limited(ctx context.Context, r *TokenRequest) (context.Context, context.CancelFunc) {
	if r == nil {
		return context.WithCancel(ctx)
	}
	if r.Timeout > 0 {
		return context.WithTimeout(ctx, time.Duration(r.Timeout)*time.Millisecond)
	}
	ctx, cancel := context.WithCancel(ctx)
	if r.CancelAfter > 0 {
		t := time.AfterFunc(time.Duration(r.CancelAfter)*time.Millisecond, cancel)
		return ctx, func() { t.Stop(); cancel() }
	}
	return ctx, cancel
}

// failure returns an error as it is answered.
func failure(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	f := &Failure{Kind: Other, Message: err.Error()}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.Kind = TimedOut
	case errors.Is(err, context.Canceled):
		f.Kind = Cancelled
	case strings.Contains(f.Message, "x509:") || strings.Contains(f.Message, "tls:"):
		f.Kind = TLS
	}
	return f
}
