package door

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A Transport is an [http.RoundTripper] that answers for the emulated hosts
// without a socket, as if its requests came from one host. Requests to
// loopback addresses go to Next; every other host is an error, so that a test
// that would have left the machine fails instead.
//
// Fields must not be changed once the Transport is in use. Its methods may be
// called from several goroutines.
type Transport struct {
	Router *Router
	Host   string // the emulated host that calls
	// NoMetadata makes 169.254.169.254 refuse connections, as on a laptop.
	NoMetadata bool
	// Endpoint is the loopback authority, such as localhost:40342, at which the
	// managed identity endpoint of the host answers. Empty means none. Loopback
	// addresses with the same port are the same to it.
	Endpoint string
	// Passthrough names more hosts, without a port, that Next may reach. They
	// are not emulated even if the Router knows them. Nil means none.
	Passthrough func(hostname string) bool
	Next        http.RoundTripper // defaults to [http.DefaultTransport]
}

// RoundTrip answers a request. The service is chosen by the host in the URL;
// the Host field is ignored.
//
// For a host that is not emulated the error wraps a [net.DNSError] with
// IsNotFound set. A fault that closes the connection shows as
// [io.ErrUnexpectedEOF], and one that resets it as [syscall.ECONNRESET].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := check(req); err != nil {
		closeBody(req)
		return nil, err
	}
	hostname := canonical(req.URL.Hostname())
	if edge.Loopback(hostname) && t.isEndpoint(req.URL.Port()) {
		hostname = metadata
	} else if edge.Loopback(hostname) || (t.Passthrough != nil && t.Passthrough(hostname)) {
		return t.next().RoundTrip(req)
	}
	if err := req.Context().Err(); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.emulate(req, hostname)
	if t.NoMetadata && canonical(req.URL.Hostname()) == metadata && req.Context().Err() == nil {
		return nil, refused(req.URL) // whatever the answer: the attempt is on record
	}
	return resp, err
}

func (t *Transport) next() http.RoundTripper {
	if t.Next != nil {
		return t.Next
	}
	return http.DefaultTransport
}

// isEndpoint reports whether a port of the loopback interface is the endpoint's.
func (t *Transport) isEndpoint(port string) bool {
	_, own, err := net.SplitHostPort(t.Endpoint)
	return err == nil && port == own
}

// check refuses what http.Transport refuses too.
func check(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("fakeentra: the request has no URL")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("fakeentra: unsupported protocol scheme %q", req.URL.Scheme)
	case req.URL.Hostname() == "":
		return errors.New("fakeentra: the request URL has no host")
	}
	return nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// refused is the error of a connection that nobody accepts.
func refused(u *url.URL) error {
	port, _ := strconv.Atoi(u.Port())
	if port == 0 {
		port = 80
		if u.Scheme == "https" {
			port = 443
		}
	}
	return &net.OpError{
		Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(metadata), Port: port},
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}
}

// emulate has the service for a host name answer, and shows the answer as a connection would.
func (t *Transport) emulate(req *http.Request, hostname string) (*http.Response, error) {
	known := t.Router.Knows(hostname)
	in, err := received(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	defer func() { _ = in.Body.Close() }()
	stop := context.AfterFunc(req.Context(), func() { _ = in.Body.Close() }) // a body may be waiting for data
	defer stop()
	resp, err := t.Router.serve(hostname, edge.Caller{Host: t.Host, TLS: req.URL.Scheme == "https"}, in)
	switch {
	case req.Context().Err() != nil:
		return nil, req.Context().Err()
	case !known:
		return nil, &unknownHostError{t.Router.stranger(hostname), &net.DNSError{Err: "no such host", Name: hostname, IsNotFound: true}}
	case errors.Is(err, edge.ErrReset):
		return nil, fmt.Errorf("%w: %w", err, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)})
	case errors.Is(err, edge.ErrHangup):
		return nil, fmt.Errorf("%w: %w", err, io.ErrUnexpectedEOF)
	case err != nil:
		return nil, err
	}
	out := resp.HTTP(req)
	if req.URL.Scheme == "https" {
		out.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: canonical(req.URL.Hostname())}
	}
	return out, nil
}

// received returns the request as a server sees it: with the part of the URL
// that is sent (RFC 9112 section 3.2), with the length as a header, and with a
// method and a body in any case.
func received(req *http.Request) (*http.Request, error) {
	u, err := url.ParseRequestURI(req.URL.RequestURI())
	if err != nil {
		return nil, fmt.Errorf("fakeentra: the request URL cannot be sent: %w", err)
	}
	u.Scheme, u.Host = req.URL.Scheme, req.URL.Host
	in := req.Clone(req.Context())
	in.URL = u
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if req.Body == nil || req.Body == http.NoBody {
		in.Body, in.ContentLength = http.NoBody, 0
	} else {
		in.Body = &onceCloser{Reader: req.Body, close: req.Body.Close}
	}
	if length, ok := declared(in); ok {
		in.Header.Set("Content-Length", length)
	}
	return in, nil
}

// declared returns the Content-Length that net/http sends with a request.
func declared(in *http.Request) (string, bool) {
	switch {
	case in.ContentLength > 0:
		return strconv.FormatInt(in.ContentLength, 10), true
	case in.Body != http.NoBody:
		return "", false // chunked
	}
	return "0", in.Method == http.MethodPost || in.Method == http.MethodPut || in.Method == http.MethodPatch
}

// A onceCloser passes the first Close on.
type onceCloser struct {
	io.Reader
	once  sync.Once
	close func() error
}

func (c *onceCloser) Close() (err error) {
	c.once.Do(func() { err = c.close() })
	return err
}

// An unknownHostError says which hosts there are, beyond what a resolver says.
type unknownHostError struct {
	text string
	dns  *net.DNSError
}

func (e *unknownHostError) Error() string { return e.text }
func (e *unknownHostError) Unwrap() error { return e.dns }
