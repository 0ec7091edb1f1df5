package fakeentra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/door"
)

// Listen says where [Cloud.Serve] listens. Addresses are host:port; port 0
// takes a free one. Empty fields are not served.
type Listen struct {
	HTTPS   string // login hosts, storage accounts and issuers, by SNI
	IMDS    string // the managed identity endpoint of Host; TLS at Service Fabric
	Proxy   string // forward proxy that answers for every emulated name
	Control string // journal, faults, clock, keys, reset
	Host    string // host that IMDS and Proxy stand for; the first one if empty
	// Ready is called once, when everything listens.
	Ready func(Doors)
}

// Doors are the URLs that a Cloud listens on; empty where it does not.
type Doors struct {
	HTTPS   string `json:"https,omitempty"`
	IMDS    string `json:"imds,omitempty"`
	Proxy   string `json:"proxy,omitempty"`
	Control string `json:"control,omitempty"`
	Host    string `json:"host,omitempty"`
}

// Serve answers on network listeners until ctx is done. It is what
// "fakeentra serve" runs. Nothing is served unless everything listens.
func (c *Cloud) Serve(ctx context.Context, l Listen) error {
	host, err := c.defaultHost(l.Host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &serving{cloud: c, host: host, doors: Doors{Host: host}, errs: make(chan error)}
	defer s.abandon()
	c.line.standFor(host)
	for _, d := range []struct {
		what, address string
		open          func(net.Listener) (func(context.Context) error, error)
		url           *string
		scheme        string
	}{
		{"HTTPS", l.HTTPS, s.https, &s.doors.HTTPS, "https"},
		{"IMDS", l.IMDS, s.endpoint, &s.doors.IMDS, c.endpointScheme(host)},
		{"the proxy", l.Proxy, s.proxy, &s.doors.Proxy, "http"},
		{"the control plane", l.Control, s.control, &s.doors.Control, "http"},
	} {
		if d.address == "" {
			continue
		}
		if *d.url, err = s.listen(d.what, d.address, d.scheme, d.open); err != nil {
			return err
		}
	}
	return s.run(ctx, cancel, l.Ready)
}

// ServeOn answers on listeners that the caller made, until ctx is done, as if
// every client ran on the host with a name; the first one if it is empty. https
// answers by SNI for login hosts, storage accounts and issuers, with
// certificates of [Cloud.CA]; http for the managed identity endpoint and for
// everything that is asked for by name. Either may be nil. It closes both, also
// when it fails.
func (c *Cloud) ServeOn(ctx context.Context, host string, https, http net.Listener) error {
	s := &serving{cloud: c, errs: make(chan error)}
	defer s.abandon()
	var open []func(net.Listener) (func(context.Context) error, error)
	if https != nil {
		s.listeners, open = append(s.listeners, https), append(open, s.https)
	}
	if http != nil {
		s.listeners, open = append(s.listeners, http), append(open, s.imds)
	}
	var err error
	if s.host, err = c.defaultHost(host); err != nil {
		return err
	}
	c.line.standFor(s.host)
	for i, l := range s.listeners {
		serve, err := open[i](l)
		if err != nil {
			return err
		}
		s.serve = append(s.serve, serve)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return s.run(ctx, cancel, nil)
}

// Knows reports whether the cloud answers for a host name, such as that of a
// login endpoint or of a storage account that was added. Letter case does not
// matter. It may be called from several goroutines.
func (c *Cloud) Knows(hostname string) bool { return c.line.front.Knows(hostname) }

// Names returns the host names that the cloud answers for, sorted. It leaves out
// IP addresses, and regional login hosts, which are too many: ask [Cloud.Knows].
func (c *Cloud) Names() []string {
	return slices.DeleteFunc(c.line.front.Names(), func(name string) bool { return net.ParseIP(name) != nil })
}

// defaultHost is the host that clients of a listener seem to run on.
func (c *Cloud) defaultHost(name string) (string, error) {
	if name != "" {
		return name, c.checkHost(name)
	}
	if hosts := c.Hosts(); len(hosts) > 0 {
		return hosts[0], nil
	}
	return "", nil
}

// serving are the listeners of one call of Serve.
type serving struct {
	cloud     *Cloud
	host      string
	doors     Doors
	listeners []net.Listener
	serve     []func(context.Context) error
	errs      chan error
	others    otherDoors
}

func (s *serving) listen(what, address, scheme string, open func(net.Listener) (func(context.Context) error, error)) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("cannot listen for %s on %s: %w", what, address, cause(err))
	}
	s.listeners = append(s.listeners, l)
	serve, err := open(l)
	if err != nil {
		return "", err
	}
	s.serve = append(s.serve, serve)
	return scheme + "://" + l.Addr().String(), nil
}

// cause adds the next step to the errors of a listener that people meet.
func cause(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	switch text := op.Err.Error(); {
	case strings.Contains(text, "address already in use"):
		return fmt.Errorf("%w; stop what listens there, or take port 0 for a free one", op.Err)
	case strings.Contains(text, "too many open files"):
		return fmt.Errorf("%w; raise the limit, as with ulimit -n 1024", op.Err)
	case strings.Contains(text, "permission denied"):
		return fmt.Errorf("%w; ports below 1024 need privileges, take a higher one", op.Err)
	case strings.Contains(text, "cannot assign requested address"):
		return fmt.Errorf("%w; this machine does not have that address", op.Err)
	}
	return op
}

// abandon closes listeners that no server took over.
func (s *serving) abandon() {
	for _, l := range s.listeners {
		_ = l.Close() // closing twice is harmless
	}
}

func (s *serving) run(ctx context.Context, cancel context.CancelFunc, ready func(Doors)) error {
	s.others.begin(ctx, cancel)
	for _, serve := range s.serve {
		go func() { s.errs <- serve(ctx) }()
	}
	if ready != nil {
		ready(s.doors)
	}
	if len(s.serve) == 0 {
		<-ctx.Done()
	}
	var first error
	for range s.serve {
		if err := <-s.errs; err != nil && first == nil {
			first = err
		}
		cancel() // when one door fails, the others close
	}
	return cmp.Or(first, s.others.end())
}

func (s *serving) https(l net.Listener) (func(context.Context) error, error) {
	authority, err := s.cloud.certificateAuthority()
	if err != nil {
		return nil, err
	}
	login := s.cloud.environment.LoginHost
	return func(ctx context.Context) error {
		return door.ServeTLS(ctx, l, s.cloud.line.front, authority, s.host, login)
	}, nil
}

// endpoint is the managed identity endpoint of the host, whatever its source.
func (s *serving) endpoint(l net.Listener) (func(context.Context) error, error) {
	secured, err := s.cloud.secured(s.host, l)
	return func(ctx context.Context) error { return door.ServeHTTP(ctx, secured, s.cloud.line.front, s.host) }, err
}

// imds is port 80 of a sandbox, where 169.254.169.254 is called by that name.
func (s *serving) imds(l net.Listener) (func(context.Context) error, error) {
	return func(ctx context.Context) error { return door.ServeHTTP(ctx, l, s.cloud.line.front, s.host) }, nil
}

func (s *serving) proxy(l net.Listener) (func(context.Context) error, error) {
	authority, err := s.cloud.certificateAuthority()
	if err != nil {
		return nil, err
	}
	p := &door.Proxy{Router: s.cloud.line.front, Authority: authority, Host: s.host, NoMetadata: s.host != "" && !s.cloud.Host(s.host).Source().HasMetadata()}
	return func(ctx context.Context) error {
		return until(ctx, func() error { return p.Serve(l) }, p.Shutdown)
	}, nil
}

// until serves until ctx is done, and returns when requests in flight have been
// answered: serve itself returns as soon as stop begins.
func until(ctx context.Context, serve func() error, stop func(context.Context) error) error {
	stopped := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		defer close(stopped)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		_ = stop(limit) // what is still open after the grace is closed with the process
	})
	err := serve()
	if !undo() {
		<-stopped
	}
	return err
}
