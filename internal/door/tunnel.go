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

// connect answers CONNECT (RFC 9110 section 9.3.6).
func (p *Proxy) connect(w http.ResponseWriter, in *http.Request) {
	hostname, port, ok := splitTarget(in.RequestURI)
	switch {
	case !ok:
		p.decline(w, in, badTarget.plain(in.RequestURI))
	case edge.Loopback(hostname):
		p.relay(w, in, net.JoinHostPort(hostname, port))
	case p.NoMetadata && hostname == metadata:
		p.decline(w, in, noMetadata.plain(p.Host))
	case !p.Router.Knows(hostname):
		p.unknown(w, in, hostname, port)
	default:
		p.intercept(w, in, hostname)
	}
}

// splitTarget splits the target of a CONNECT request.
func splitTarget(target string) (hostname, port string, ok bool) {
	hostname, port, err := net.SplitHostPort(target)
	if err != nil || hostname == "" {
		return "", "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", "", false
	}
	return canonical(hostname), strconv.FormatUint(n, 10), true
}

// unknown puts a host that nobody answers for on record.
func (p *Proxy) unknown(w http.ResponseWriter, in *http.Request, hostname, port string) {
	scheme := "https"
	if port == "80" {
		scheme = "http"
	}
	asked := in.WithContext(in.Context())
	asked.URL = &url.URL{Scheme: scheme, Host: net.JoinHostPort(hostname, port)}
	resp, err := p.Router.Serve(edge.Caller{Host: p.Host}, asked)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.decline(w, in, resp)
}

// decline answers a CONNECT request that leads nowhere. The first line of the
// body is the reason phrase too, because that is all that most clients show of
// the answer.
func (p *Proxy) decline(w http.ResponseWriter, in *http.Request, resp edge.Response) {
	out := resp.HTTP(in)
	out.Status = strconv.Itoa(resp.Status) + " " + phrase(resp.Body)
	out.Close = true
	conn, _, ok := p.hijack(w)
	if !ok {
		return
	}
	defer p.tunnels.remove(conn)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_ = out.Write(conn)
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

// hijack takes a connection from the front server. Until the caller removes it
// from the tunnels, closing the proxy closes it.
func (p *Proxy) hijack(w http.ResponseWriter) (net.Conn, *bufio.Reader, bool) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil || !p.tunnels.add(conn) {
		return nil, nil, false
	}
	return conn, rw.Reader, true
}

// established is the answer to CONNECT after which the connection is the
// client's.
const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// intercept hands the connection to the server inside, which answers for the
// host. The first byte tells TLS from plain HTTP: a TLS record that begins a
// handshake has type 22 (RFC 8446 section 5.1).
func (p *Proxy) intercept(w http.ResponseWriter, in *http.Request, hostname string) {
	raw, r, ok := p.hijack(w)
	if !ok {
		return
	}
	defer p.tunnels.remove(raw)
	_ = raw.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(raw, established); err != nil {
		_ = raw.Close()
		return
	}
	first, err := r.Peek(1)
	if err != nil {
		_ = raw.Close()
		return
	}
	_ = raw.SetDeadline(time.Time{})
	var conn net.Conn = &buffered{raw, r}
	if first[0] == 22 {
		conn = tls.Server(conn, p.Authority.TLSConfig(hostname))
	}
	p.insiders.push(conn)
}

// A buffered connection has been read ahead of.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// CloseWrite sends the end of the data, as a TCP connection can.
func (b *buffered) CloseWrite() error {
	if half, ok := b.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// relay connects the client with a loopback address.
func (p *Proxy) relay(w http.ResponseWriter, in *http.Request, address string) {
	out, err := dialLoopback(in.Context(), "tcp", address)
	if err != nil {
		p.decline(w, in, loopbackFailure.plain(address, err))
		return
	}
	defer out.Close()
	conn, r, ok := p.hijack(w)
	if !ok {
		return
	}
	defer p.tunnels.remove(conn)
	defer conn.Close()
	if _, err := io.WriteString(conn, established); err != nil {
		return
	}
	splice(&buffered{conn, r}, out)
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
