package door

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// tunnels keeps track of connections that no http.Server looks after, so that
// none survives the proxy.
type tunnels struct {
	wg sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

// add reports false, and closes the connection, when the proxy is closed.
func (t *tunnels) add(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = c.Close()
		return false
	}
	if t.open == nil {
		t.open = map[net.Conn]struct{}{}
	}
	t.open[c] = struct{}{}
	t.wg.Add(1)
	return true
}

// remove undoes add. The connection stays open.
func (t *tunnels) remove(c net.Conn) {
	t.mu.Lock()
	delete(t.open, c)
	t.mu.Unlock()
	t.wg.Done()
}

// close closes all connections and waits for those who used them.
func (t *tunnels) close() {
	t.mu.Lock()
	t.closed = true
	for c := range t.open {
		_ = c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

// connect answers CONNECT (RFC 9110 section 9.3.6). It takes the connection
// first: the context of a request that net/http still watches would end with
// what the client has to say, but tunnels have two directions.
func (p *Proxy) connect(w http.ResponseWriter, in *http.Request) {
	conn, ok := p.hijack(w)
	if !ok {
		return
	}
	defer p.tunnels.remove(conn)
	hostname, port, ok := splitTarget(in.RequestURI)
	switch {
	case !ok:
		decline(conn, in, badTarget.plain(in.RequestURI))
	case edge.Loopback(hostname):
		p.relay(conn, in, net.JoinHostPort(hostname, port))
	case p.NoMetadata && hostname == metadata:
		_, _ = p.record(in, hostname, port)
		decline(conn, in, noMetadata.plain(p.Host))
	case !p.Router.Knows(hostname):
		p.unknown(conn, in, hostname, port)
	default:
		p.intercept(conn, hostname)
	}
}

// hijack takes a connection from the front server. Until the caller removes it
// from the tunnels, closing the proxy closes it.
func (p *Proxy) hijack(w http.ResponseWriter) (*buffered, bool) {
	raw, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, false
	}
	conn := &buffered{raw, rw.Reader}
	return conn, p.tunnels.add(conn)
}

// A buffered connection has been read ahead of.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

// NetConn returns the connection itself, as [tls.Conn.NetConn] does.
func (b *buffered) NetConn() net.Conn { return b.Conn }

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// CloseWrite sends the end of the data, as a TCP connection can.
func (b *buffered) CloseWrite() error {
	if half, ok := b.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// splitTarget splits the target of a CONNECT request.
func splitTarget(target string) (hostname, port string, ok bool) {
	hostname, port, err := net.SplitHostPort(target)
	if err != nil {
		return "", "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	hostname = canonical(hostname)
	if err != nil || n == 0 || hostname == "" || strings.HasSuffix(hostname, ".") {
		return "", "", false
	}
	return hostname, strconv.FormatUint(n, 10), true
}

// unknown declines a host that nobody answers for.
func (p *Proxy) unknown(conn net.Conn, in *http.Request, hostname, port string) {
	resp, err := p.record(in, hostname, port)
	if err != nil {
		_ = conn.Close()
		return
	}
	decline(conn, in, resp)
}

// record puts an attempt to connect in the journal.
func (p *Proxy) record(in *http.Request, hostname, port string) (edge.Response, error) {
	scheme := "https"
	if port == "80" {
		scheme = "http"
	}
	asked := in.WithContext(p.base)
	asked.URL = &url.URL{Scheme: scheme, Host: net.JoinHostPort(hostname, port)}
	asked.Body = nil // CONNECT has none, whatever its headers say
	return p.Router.Serve(edge.Caller{Host: p.Host}, asked)
}

// decline answers a CONNECT request that leads nowhere. The first line of the
// body is the reason phrase too, because that is all that most clients show of
// the answer.
func decline(conn net.Conn, in *http.Request, resp edge.Response) {
	out := resp.HTTP(in)
	out.Status = strconv.Itoa(resp.Status) + " " + phrase(resp.Body)
	out.Close = true
	_ = conn.SetDeadline(time.Now().Add(patience))
	_ = out.Write(conn)
	_ = conn.Close()
}

// phrase makes a reason phrase (RFC 9112 section 4) of a text's first line.
func phrase(text []byte) string {
	const longest = 1 << 10
	out := make([]byte, 0, min(len(text), longest))
	for _, b := range text {
		if b == '\n' || len(out) == longest {
			break
		}
		if b < ' ' || b > '~' {
			b = '?'
		}
		out = append(out, b)
	}
	return string(out)
}

// established is the answer to CONNECT after which the connection is the
// client's.
const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// intercept hands the connection to the server inside, which answers for the
// host. The first byte tells TLS from plain HTTP: a TLS record that begins a
// handshake has type 22 (RFC 8446 section 5.1).
func (p *Proxy) intercept(conn *buffered, hostname string) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, established); err != nil {
		_ = conn.Close()
		return
	}
	first, err := conn.r.Peek(1)
	if err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	if first[0] == 22 {
		p.insiders.push(tls.Server(conn, p.Authority.TLSConfig(hostname)))
	} else {
		p.insiders.push(conn)
	}
}

// relay connects the client with a loopback address.
func (p *Proxy) relay(conn *buffered, in *http.Request, address string) {
	out, err := dialLoopback(p.base, "tcp", address)
	if err != nil {
		decline(conn, in, loopbackFailure.plain(address, err))
		return
	}
	defer func() { _ = out.Close() }()
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, established); err == nil {
		splice(conn, out)
	}
}

// splice copies both ways until neither side has more to say.
func splice(a, b net.Conn) {
	var back sync.WaitGroup
	back.Go(func() { pass(a, b) })
	pass(b, a)
	back.Wait()
}

// pass copies what from sends, and its end. Where the end cannot be passed on,
// and after errors, nothing more can come of the connection.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		return
	}
	_ = to.Close()
	_ = from.Close()
}
