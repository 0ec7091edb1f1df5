package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
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
	f.vouched, err = f.authority.Issue(&x509.Certificate{DNSNames: []string{"localhost"}})
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
	return f.run(ctx, f.tunnels, "https", &tls.Config{
		MinVersion: tls.VersionTLS10, // profiles raise it
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return f.configFor(hello, f.lab.Load())
		},
	}, ln)
}

// ServeHTTP answers at port 80 of every host until ctx is done, and closes ln.
func (f *Front) ServeHTTP(ctx context.Context, ln net.Listener) error {
	return f.run(ctx, ln, "http", nil)
}

// ServeEndpoint answers for the managed identity endpoint of a source other than
// IMDS until ctx is done, and closes ln.
func (f *Front) ServeEndpoint(ctx context.Context, ln net.Listener) error {
	return f.run(ctx, ln, "endpoint", nil)
}

// ServePinned is [Front.ServeEndpoint] with TLS, as at Service Fabric.
func (f *Front) ServePinned(ctx context.Context, ln net.Listener) error {
	return f.run(ctx, ln, "endpoint", &tls.Config{
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
	return f.run(ctx, ln, "proxy", nil)
}

func (f *Front) run(ctx context.Context, ln net.Listener, door string, config *tls.Config, more ...io.Closer) error {
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.answer(door, w, r) }), TLSConfig: config,
		ConnState: f.sockets.note,
		ErrorLog:  log.New(io.Discard, "", 0), // handshakes that fail are what checks are about
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, connNumber(c))
		},
	}
	undo := context.AfterFunc(ctx, func() {
		_ = srv.Close()
		for _, c := range more {
			_ = c.Close()
		}
	})
	defer undo()
	numbered := numbering{ln, &f.conns}
	var err error
	if config == nil {
		err = srv.Serve(numbered)
	} else {
		err = srv.ServeTLS(numbered, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

func (f *Front) answer(door string, w http.ResponseWriter, r *http.Request) {
	l := f.lab.Load()
	if l == nil {
		http.Error(w, "no check is running", http.StatusServiceUnavailable)
		return
	}
	if door == "proxy" && r.Method == http.MethodConnect {
		f.tunnel(l, w, r)
		return
	}
	l.serve(door, w, r)
}

// tunnel leads a connection through the proxy to the hosts with https.
func (f *Front) tunnel(l *Lab, w http.ResponseWriter, r *http.Request) {
	x := &Exchange{At: time.Now(), Door: "proxy", Conn: connOf(r), Proto: r.Proto, Method: r.Method, Host: r.Host, Target: r.RequestURI, URL: r.URL, Header: r.Header, Op: Connect}
	l.tape.begin(x)
	defer l.tape.open.Done()
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
