package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra/internal/pki"
)

// A Front serves one lab after the other on the same doors, so that a client
// under test can outlive a lab. Its methods may be called from several
// goroutines.
type Front struct {
	lab       atomic.Pointer[Lab]
	authority *pki.Authority   // clients trust it
	stranger  *pki.Authority   // nobody does
	pinned    *tls.Certificate // of Service Fabric, for which nobody vouches
	vouched   *tls.Certificate // another one, for which authority does
	conns     atomic.Int64
	sockets   sockets
	tunnels   *queue
}

// NewFront makes the certificates of the doors, which begin now.
func NewFront() (*Front, error) {
	names := []string{TrapDomain, PrivateHost, "metadata.azure.internal", "example.com"}
	for _, e := range environments {
		names = append(append(names, e.BlobSuffix), e.LoginAliases...)
	}
	f := &Front{tunnels: newQueue()}
	var err error
	if f.authority, err = pki.New(time.Now(), names...); err != nil {
		return nil, err
	}
	if f.stranger, err = pki.New(time.Now(), names...); err != nil {
		return nil, err
	}
	if f.pinned, err = pki.SelfSigned(time.Now()); err != nil {
		return nil, err
	}
	f.vouched, err = f.authority.Issue(ofLoopback())
	return f, err
}

// Show makes a lab answer from now on; nil stands for none. Connections to the one
// before are closed, so that each lab sees handshakes of its own.
func (f *Front) Show(l *Lab) {
	if l != nil {
		l.front.Store(f)
	}
	f.lab.Store(l)
	for _, c := range f.sockets.all() {
		_ = c.Close() // it fails when the client was faster
	}
}

// CA returns the certificate that clients must trust, in PEM form.
func (f *Front) CA() []byte { return f.authority.PEM() }

// Knows reports whether a host name leads to the lab of now.
func (f *Front) Knows(name string) bool {
	l := f.lab.Load()
	return l != nil && l.Knows(name)
}

// ServeTLS answers for hosts with https until ctx is done, and closes ln. It is
// called once: the tunnels of the proxy come in there, too.
func (f *Front) ServeTLS(ctx context.Context, ln net.Listener) error {
	go f.tunnels.feed(ln)
	return f.run(ctx, f.tunnels, entrance{door: "https"}, f.hosts(""), ln)
}

// hosts is how hosts with https do TLS: the one that clients name, or always the one
// that is given.
func (f *Front) hosts(as string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS10, // profiles raise it
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return f.configFor(hello, f.lab.Load(), as)
		},
	}
}

// ServeAs answers for one host of the lab, such as https://login.microsoftonline.com,
// at an address of loopback, such as https://127.0.0.1:4711, until ctx is done, and
// closes ln. Documents of login hosts name that address then.
func (f *Front) ServeAs(ctx context.Context, ln net.Listener, host, address *url.URL) error {
	e := entrance{door: host.Scheme, as: host.Host, address: address.String()}
	if host.Scheme == "https" {
		return f.run(ctx, ln, e, f.hosts(host.Host))
	}
	return f.run(ctx, ln, e, nil)
}

// ServeStray is an HTTP proxy until ctx is done, and closes ln. It leads nowhere, and
// tells stray the host and port that each request was for, in one goroutine for
// each.
func (f *Front) ServeStray(ctx context.Context, ln net.Listener, stray func(host string)) error {
	return serve(ctx, ln, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(host, "80") // only CONNECT has to name a port
		}
		stray(host)
		http.Error(w, "fakeentra: nothing leaves this machine: "+host+" is not among the endpoints of the configuration", http.StatusForbidden)
	})}, nil)
}

// An entrance is what a listener stands for.
type entrance struct {
	door    string
	as      string // the host, where the address of the listener says nothing of it
	address string // the URL of such a listener
}

// ServeHTTP answers at port 80 of every host until ctx is done, and closes ln.
func (f *Front) ServeHTTP(ctx context.Context, ln net.Listener) error {
	return f.run(ctx, ln, entrance{door: "http"}, nil)
}

// ServeEndpoint answers for the managed identity endpoint of a source other than
// IMDS until ctx is done, and closes ln.
func (f *Front) ServeEndpoint(ctx context.Context, ln net.Listener) error {
	return f.run(ctx, ln, entrance{door: "endpoint"}, nil)
}

// ServePinned is [Front.ServeEndpoint] with TLS, as at Service Fabric.
func (f *Front) ServePinned(ctx context.Context, ln net.Listener) error {
	return f.run(ctx, ln, entrance{door: "endpoint"}, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			l := f.lab.Load()
			l.tape.greet(connNumber(hello.Conn), hello)
			return l.pinnedConfig(f)
		},
	})
}

// ServeProxy is an HTTP proxy until ctx is done, and closes ln. It opens tunnels
// to the hosts of the lab, and answers everything else as it likes.
func (f *Front) ServeProxy(ctx context.Context, ln net.Listener) error {
	return f.run(ctx, ln, entrance{door: "proxy"}, nil)
}

func (f *Front) run(ctx context.Context, ln net.Listener, e entrance, config *tls.Config, more ...io.Closer) error {
	return serve(ctx, numbering{ln, &f.conns}, &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.answer(e, w, r) }),
		ConnState: f.sockets.note,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, connNumber(c))
		},
	}, config, more...)
}

// serve runs a server until ctx is done, in TLS if there is a config, and closes what
// belongs to it.
func serve(ctx context.Context, ln net.Listener, srv *http.Server, config *tls.Config, more ...io.Closer) error {
	srv.TLSConfig = config
	srv.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what checks are about
	undo := context.AfterFunc(ctx, func() {
		_ = srv.Close()
		for _, c := range more {
			_ = c.Close()
		}
	})
	defer undo()
	var err error
	if config == nil {
		err = srv.Serve(ln)
	} else {
		err = srv.ServeTLS(ln, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

func (f *Front) answer(e entrance, w http.ResponseWriter, r *http.Request) {
	l := f.lab.Load()
	if l == nil {
		http.Error(w, "no check is running", http.StatusServiceUnavailable)
		return
	}
	if e.door == "proxy" && r.Method == http.MethodConnect {
		f.tunnel(l, w, r)
		return
	}
	l.serve(e, w, r)
}

// tunnel leads a connection through the proxy to the hosts with https.
func (f *Front) tunnel(l *Lab, w http.ResponseWriter, r *http.Request) {
	x := &Exchange{At: time.Now(), Door: "proxy", Conn: connOf(r), Proto: r.Proto, Method: r.Method, Host: r.Host, Target: r.RequestURI, URL: r.URL, Header: r.Header, Op: Connect}
	if !l.tape.begin(x) {
		disconnect(w, false)
		return
	}
	defer l.tape.end()
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	l.tape.update(func() { x.Status, x.Done = http.StatusOK, time.Now() })
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	f.tunnels.put(&ahead{conn, buffered.Reader})
}

// ahead is a connection of which some was read already.
type ahead struct {
	net.Conn
	from *bufio.Reader
}

func (a *ahead) Read(p []byte) (int, error) { return a.from.Read(p) }
