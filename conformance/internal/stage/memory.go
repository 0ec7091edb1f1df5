package stage

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpproxy"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/memnet"
)

// Memory is a driver in this process. Nothing of it reaches a socket.
type Memory struct {
	Driver driver.Driver
	// Temp is a folder for the files of places.
	Temp string
	// Setenv has the variables of a place set in this process.
	Setenv bool
	// Explicit leads the client by URLs, as [Explicit] does, in place of production's.
	Explicit bool
}

// Wiring implements [Target].
func (m *Memory) Wiring() string {
	if m.Explicit {
		return Explicit{}.Name()
	}
	return "memory"
}

// Hello implements [Target].
func (m *Memory) Hello(context.Context, driver.Request) (driver.Hello, error) {
	h := m.Driver.Hello()
	h.Protocol = driver.Version
	return h, nil
}

// Close implements [Target].
func (m *Memory) Close() error { return nil }

// Enter implements [Target].
func (m *Memory) Enter(_ context.Context, l *lab.Lab, p Place) (Stage, error) {
	if m.Setenv && (l.HasKeyFolder() || len(p.Files) > 0 || p.Unnamed) {
		return nil, ErrProcess
	}
	if m.Explicit {
		if err := byAddress(m.Wiring(), l, p); err != nil {
			return nil, err
		}
	}
	front, err := lab.NewFront()
	if err != nil {
		return nil, err
	}
	front.Show(l)
	s := &memory{lab: l, front: front, dispatcher: driver.NewDispatcher(m.Driver), environ: l.At(front, p.Environ)}
	if l.HasKeyFolder() || len(p.Files) > 0 {
		if s.folder, err = os.MkdirTemp(m.Temp, "place"); err != nil {
			return nil, err
		}
		if s.mounts, err = mounts(s.folder, l, p); err != nil {
			return nil, err
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.network = &memnet.Network{
		Knows: front.Knows, IPv6: p.IPv6, Metadata: netip.MustParseAddr("169.254.169.254"),
		HTTPS: memnet.NewListener(), HTTP: memnet.NewListener(),
	}
	s.serve(front.ServeTLS, s.network.HTTPS)
	s.serve(front.ServeHTTP, s.network.HTTP)
	if p.Proxy {
		ln, _ := s.network.Listen(ProxyPort)
		s.serve(front.ServeProxy, ln)
	}
	if port, serve, ok := endpoint(front, l); ok {
		ln, _ := s.network.Listen(port)
		s.serve(serve, ln)
	}
	if m.Explicit {
		s.explicit = newLocator(front, func() (net.Listener, int, error) {
			ln, port := s.network.Listen(0)
			return ln, port, nil
		})
		s.environ = s.explicit.environ(l, s.environ)
		s.network.Knows, s.network.Metadata = func(string) bool { return false }, netip.Addr{}
	}
	if m.Setenv {
		for _, v := range s.environ {
			name, value, _ := strings.Cut(v, "=")
			s.setenv(name, value)
		}
	}
	s.transport, err = s.newTransport()
	return s, err
}

// endpoint returns the port of the managed identity endpoint, and what serves it.
func endpoint(front *lab.Front, l *lab.Lab) (int, func(context.Context, net.Listener) error, bool) {
	_, port, err := net.SplitHostPort(l.Host.Endpoint())
	if err != nil {
		return 0, nil, false
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, nil, false
	}
	if l.Pinned() {
		return number, front.ServePinned, true
	}
	return number, front.ServeEndpoint, true
}

// A memory is a driver of this process in a lab.
type memory struct {
	lab        *lab.Lab
	front      *lab.Front
	dispatcher *driver.Dispatcher
	network    *memnet.Network
	transport  *http.Transport
	explicit   *locator // nil where production's names lead to the lab
	environMu  sync.Mutex
	environ    []string // clients read it whenever they like
	folder     string
	mounts     []mount
	log        output
	before     map[string]*string // variables of this process that were changed; nil if they were not set
	ctx        context.Context
	cancel     context.CancelFunc
	group      sync.WaitGroup
}

func (s *memory) serve(do func(context.Context, net.Listener) error, l net.Listener) {
	s.group.Go(func() { _ = do(s.ctx, l) }) // it ends with ctx
}

// newTransport leads to the lab as the network of a machine would.
func (s *memory) newTransport() (*http.Transport, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.front.CA()) {
		return nil, errors.New("the lab has no certificate")
	}
	proxies := httpproxy.Config{HTTPProxy: s.variable("HTTP_PROXY"), HTTPSProxy: s.variable("HTTPS_PROXY"), NoProxy: s.variable("NO_PROXY")}
	proxy := proxies.ProxyFunc()
	return &http.Transport{
		DialContext: s.network.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		Proxy: func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
	}, nil
}

func (s *memory) variable(name string) string {
	s.environMu.Lock()
	defer s.environMu.Unlock()
	for _, v := range slices.Backward(s.environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

func (s *memory) Do(ctx context.Context, r driver.Request) (driver.Answer, error) {
	if s.explicit != nil {
		r = s.explicit.locate(r)
	}
	if r.Op == driver.OpSetEnv {
		s.change(r.Vars)
		return driver.Answer{ID: r.ID, OK: json.RawMessage("{}")}, nil
	}
	answered := make(chan driver.Answer, 1)
	go func() {
		answered <- s.dispatcher.Do(ctx, r)
		if s.ctx.Err() != nil { // nobody is left to close what it may have made
			_ = s.dispatcher.Close()
		}
	}()
	select {
	case a := <-answered:
		return a, nil
	case <-ctx.Done():
		select {
		case a := <-answered:
			return a, nil
		default:
			return driver.Answer{}, ctx.Err()
		}
	}
}

func (s *memory) Complete(c *driver.Config) {
	if s.explicit != nil {
		s.explicit.Complete(c)
	}
	c.InProcess = driver.InProcess{
		Transport: s.transport, Log: &s.log,
		Getenv: s.variable, ReadFile: s.readFile, Lstat: s.lstat,
	}
}

// readFile reads a file of the place.
func (s *memory) readFile(name string) ([]byte, error) {
	path, ok := s.locate(name)
	if !ok {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	if to, err := os.Readlink(path); err == nil {
		return s.readFile(to)
	}
	return os.ReadFile(path)
}

func (s *memory) lstat(name string) (os.FileInfo, error) {
	path, ok := s.locate(name)
	if !ok {
		return nil, &os.PathError{Op: "lstat", Path: name, Err: os.ErrNotExist}
	}
	return os.Lstat(path)
}

// locate returns where a file of the place is on this machine.
func (s *memory) locate(name string) (string, bool) {
	for _, m := range s.mounts {
		if rest, ok := strings.CutPrefix(filepath.Clean(name), m.seenAs+"/"); ok {
			return filepath.Join(m.folder, rest), true
		}
	}
	return "", false
}

func (s *memory) Write(name, content string) error { return write(s.mounts, name, content) }
func (s *memory) Output() string                   { return s.log.String() }
func (s *memory) Leaks() []string                  { return s.network.Leaks() }

// Left implements [Stage]: clients in memory leave files where they please, and
// nobody knows whose they are.
func (s *memory) Left() map[string]Leftover { return nil }

// Seen implements [Stage]: what this process starts is not the client's alone.
func (s *memory) Seen() []Program { return nil }

// change sets variables of the place.
func (s *memory) change(vars map[string]string) {
	s.environMu.Lock()
	defer s.environMu.Unlock()
	for name, value := range vars {
		s.environ = append(s.environ, name+"="+value)
		if s.before != nil {
			s.setenv(name, value)
		}
	}
}

// setenv sets a variable of this process until the stage ends.
func (s *memory) setenv(name, value string) {
	if s.before == nil {
		s.before = map[string]*string{}
	}
	if _, changed := s.before[name]; !changed {
		s.before[name] = nil
		if old, ok := os.LookupEnv(name); ok {
			s.before[name] = &old
		}
	}
	_ = os.Setenv(name, value) // names and values are the suite's own
}

func (s *memory) restore() {
	for name, old := range s.before {
		if old == nil {
			_ = os.Unsetenv(name)
		} else {
			_ = os.Setenv(name, *old)
		}
	}
}

func (s *memory) Leave() error {
	defer s.restore()
	err := s.dispatcher.Close()
	s.transport.CloseIdleConnections()
	s.cancel()
	err = errors.Join(err, s.dispatcher.Close()) // see Do
	if s.explicit != nil {
		s.explicit.close()
	}
	s.group.Wait()
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	if err != nil {
		return fmt.Errorf("closing the client: %w", err)
	}
	return nil
}

// An output keeps the beginning of what is written to it. It may be used by
// several goroutines.
type output struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

// maxOutput is how much of a driver's output is kept.
const maxOutput = 1 << 20

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := maxOutput - o.kept.Len(); room > 0 {
		o.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// take returns what was kept, and begins anew.
func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.kept.String()
	o.kept.Reset()
	return text
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept.String()
}
