package stage

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// A locator leads a client by URLs: each host that its configuration or environment
// names gets a port of loopback of its own. Its methods may be called from several
// goroutines.
type locator struct {
	front  *lab.Front
	listen func() (net.Listener, int, error)

	mu    sync.Mutex
	known map[string]string // addresses, by what they stand for
	ports map[string]string // likewise, of ports of the driver's own loopback
	files []mount
	err   error
	stray []string // hosts outside the lab that the proxy was asked for

	certificates fakeentra.Certificates
	ctx          context.Context
	stop         context.CancelFunc
	group        sync.WaitGroup
}

func newLocator(f *lab.Front, listen func() (net.Listener, int, error)) *locator {
	l := &locator{front: f, listen: listen, known: map[string]string{}, ports: map[string]string{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// metadata is where production has the Instance Metadata Service.
const metadata = "http://169.254.169.254"

// origin is the beginning of a URL.
var origin = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]+)?`)
})

// At returns a text in which the URLs and files of production are replaced by those
// where they are for the client. See Err, too.
func (l *locator) At(text string) string {
	for _, m := range l.files {
		// Windows has the separators the other way around.
		text = strings.ReplaceAll(text, strings.ReplaceAll(m.seenAs, `\`, "/"), m.folder)
	}
	return origin().ReplaceAllStringFunc(text, l.address)
}

// address returns the address for a host, which is itself if the lab has none such.
func (l *locator) address(of string) string {
	host, err := url.Parse(of)
	if err != nil {
		return of
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if address, ok := l.known[of]; ok {
		return address
	}
	if port, ok := l.ports[host.Port()]; ok && loopback(host.Hostname()) {
		return host.Scheme + "://127.0.0.1:" + port
	}
	if of != metadata && !l.front.Knows(host.Hostname()) {
		return of
	}
	if err := l.open(host); err != nil {
		l.err = err
		return host.Scheme + "://127.0.0.1:0" // nothing may go to the real one
	}
	return l.known[of]
}

// reserve makes an address for a host that no lab may have yet.
func (l *locator) reserve(host *url.URL) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open(host)
}

// open makes an address for a host. The caller holds mu.
func (l *locator) open(host *url.URL) error {
	ln, port, err := l.listen()
	if err != nil {
		return fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	at := &url.URL{Scheme: host.Scheme, Host: fmt.Sprintf("127.0.0.1:%d", port)}
	l.group.Go(func() { _ = l.front.ServeAs(l.ctx, ln, host, at) }) // it ends with ctx
	l.known[host.String()] = at.String()
	return nil
}

// loopback reports whether a host of a URL is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// serve answers for a port of the driver's loopback at another one, once.
func (l *locator) serve(port string, do func(context.Context, net.Listener) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ports[port] != "" {
		return nil
	}
	ln, at, err := l.listen()
	if err != nil {
		return fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	l.ports[port] = fmt.Sprint(at)
	l.group.Go(func() { _ = do(l.ctx, ln) }) // it ends with ctx
	return nil
}

// Err says why an address could not be made.
func (l *locator) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Complete implements [Way].
func (l *locator) Complete(c *driver.Config) {
	e := &c.Endpoints
	e.Mode, e.Authority, e.IMDS, e.Blob, e.CAFile = "explicit", l.At(e.Authority), l.At(e.IMDS), l.At(e.Blob), l.certificates.CA
	c.Discovery = false // nobody knows these hosts, and who is asked about them would be real
}

// locate returns a request in which URLs are replaced as [locator.At] does.
func (l *locator) locate(r driver.Request) driver.Request {
	if r.Vars != nil {
		own := make(map[string]string, len(r.Vars))
		for name, value := range r.Vars {
			own[name] = l.At(value)
		}
		r.Vars = own
	}
	if r.ResourceRequest != nil {
		own := *r.ResourceRequest
		own.URL = l.At(own.URL)
		r.ResourceRequest = &own
	}
	return r
}

// doors returns the variables that make clients trust what listens, and lead what they
// ask a proxy for to one that leads nowhere. Its certificates are put into a folder.
func (l *locator) doors(folder string) ([]string, error) {
	var err error
	if l.certificates, err = fakeentra.WriteCertificates(folder, l.front.CA()); err != nil {
		return nil, err
	}
	ln, port, err := l.listen()
	if err != nil {
		return nil, fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	l.group.Go(func() { _ = l.front.ServeStray(l.ctx, ln, l.strays) }) // it ends with ctx
	return fakeentra.Doors{Proxy: fmt.Sprintf("http://127.0.0.1:%d", port)}.Environ(l.certificates), nil
}

// strays notes a host that a client asked the proxy for.
func (l *locator) strays(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stray = append(l.stray, strings.ToLower(host))
}

// strayed implements [placed]. Hosts that were asked for several times are there as
// often.
func (l *locator) strayed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.stray)
}

// environ returns variables of a place as they are for the client, and those that
// lead clients to the hosts of a lab which look at them.
func (l *locator) environ(of *lab.Lab, variables []string) []string {
	all := []string{"AZURE_AUTHORITY_HOST=https://" + of.Environment.LoginHost}
	if of.Host.Source().HasMetadata() {
		all = append(all, "AZURE_POD_IDENTITY_AUTHORITY_HOST="+metadata)
	}
	all = append(all, variables...)
	for i, v := range all {
		all[i] = l.At(v)
	}
	return all
}

// close ends all that listens.
func (l *locator) close() {
	l.stop()
	l.group.Wait()
}

// errUncovered is what places fail with that an address alone cannot lead to.
type errUncovered struct{ wiring, what string }

// Error says what is missing.
func (e errUncovered) Error() string {
	return "the wiring " + e.wiring + " cannot have it: it needs " + e.what + ", as netns has"
}

// Is makes it one of [ErrUncovered].
func (errUncovered) Is(target error) bool { return target == ErrUncovered }

// byAddress says why a wiring that leads clients by URLs cannot have a place.
func byAddress(wiring string, l *lab.Lab, p Place) error {
	switch {
	case l.HasKeyFolder():
		return errUncovered{wiring, "the folder that Azure Arc has its key files in"}
	case p.Proxy:
		return errUncovered{wiring, "a proxy of the machine's"}
	case len(p.IPv6) > 0:
		return errUncovered{wiring, "host names of its own"}
	case p.Watch:
		return errUncovered{wiring, "a machine on which nothing else runs"}
	}
	return nil
}
