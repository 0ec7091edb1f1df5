package fakeentra

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"

	"github.com/fakeentra/fakeentra/emulator/control"
)

// otherDoors are those of hosts besides the one that a call of Serve is for. They
// are opened when the control plane is asked for them, and close with the rest.
type otherDoors struct {
	mu     sync.Mutex
	byHost map[string]Doors
	ctx    context.Context // nil unless doors may be opened
	cancel context.CancelFunc
	open   sync.WaitGroup
	failed error
}

func (o *otherDoors) begin(ctx context.Context, cancel context.CancelFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ctx, o.cancel, o.byHost = ctx, cancel, map[string]Doors{}
}

// end waits for the doors to close, and returns why the first one failed.
func (o *otherDoors) end() error {
	o.mu.Lock()
	o.ctx = nil
	o.mu.Unlock()
	o.open.Wait()
	return o.failed
}

// of returns the doors of a host, which it opens unless they are. There is one for
// each door of the host that Serve was called for, at the same address, but for the
// control plane, which is the same.
func (o *otherDoors) of(c *Cloud, s *serving, host string) (Doors, error) {
	if host == s.host {
		return s.doors, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if d, ok := o.byHost[host]; ok {
		return d, nil
	}
	if o.ctx == nil || o.ctx.Err() != nil {
		return Doors{}, errClosed
	}
	other := &serving{cloud: c, host: host, doors: Doors{Host: host, Control: s.doors.Control}}
	for _, d := range []struct {
		what, beside, scheme string
		open                 func(net.Listener) (func(context.Context) error, error)
		url                  *string
	}{
		{"HTTPS", s.doors.HTTPS, "https", other.https, &other.doors.HTTPS},
		{"IMDS", s.doors.IMDS, c.endpointScheme(host), other.endpoint, &other.doors.IMDS},
		{"the proxy", s.doors.Proxy, "http", other.proxy, &other.doors.Proxy},
	} {
		if d.beside == "" {
			continue
		}
		var err error
		if *d.url, err = other.listen(d.what, freePortBeside(d.beside), d.scheme, d.open); err != nil {
			other.abandon()
			return Doors{}, err
		}
	}
	c.line.standFor(host)
	ctx := o.ctx
	for _, serve := range other.serve {
		o.open.Go(func() { o.note(serve(ctx)) })
	}
	o.byHost[host] = other.doors
	return other.doors, nil
}

// note closes all doors when one has failed.
func (o *otherDoors) note(err error) {
	if err == nil {
		return
	}
	o.cancel()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = errors.Join(o.failed, err)
}

// freePortBeside returns the address of a door with port 0.
func freePortBeside(door string) string {
	u, err := url.Parse(door)
	if err != nil {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort(u.Hostname(), "0")
}

// OpenDoors opens doors for programs on a host.
func (m manager) OpenDoors(name string) (control.HostDoors, error) {
	if err := m.checkHost(name); err != nil {
		return control.HostDoors{}, err
	}
	if _, pod := m.kubernetes.Pod(name); pod {
		if _, err := m.project(name); err != nil {
			return control.HostDoors{}, err
		}
	}
	doors, err := m.serving.others.of(m.Cloud, m.serving, name)
	if err != nil {
		return control.HostDoors{}, err
	}
	found := control.HostDoors{Host: name, Doors: doors.byName()}
	if h := m.Host(name); doors.IMDS != "" || h.Endpoint() == "" {
		found.Variables = h.VariablesAt(doors.IMDS)
	}
	return found, nil
}
