package door

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pki"
)

func newAuthority(t *testing.T) *pki.Authority {
	a, err := pki.New(time.Now(), "microsoftonline.com", "windows.net")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func trust(a *pki.Authority) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	return &tls.Config{RootCAs: roots}
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serving runs a listener for the length of a test.
func serving(t *testing.T, serve func(context.Context, net.Listener) error) (address string) {
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the listener ended with %v", err)
		}
	})
	return l.Addr().String()
}

func serveTLS(t *testing.T, r *Router, a *pki.Authority) (address string) {
	return serving(t, func(ctx context.Context, l net.Listener) error {
		return ServeTLS(ctx, l, r, a, "vm1", "login.microsoftonline.com", "login.windows.net")
	})
}

func serveHTTP(t *testing.T, r *Router) (address string) {
	return serving(t, func(ctx context.Context, l net.Listener) error { return ServeHTTP(ctx, l, r, "vm1") })
}

// to returns a client all of whose connections lead to one address, as a
// container's DNS makes them.
func to(t *testing.T, address string, config *tls.Config, http2 bool) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: http2, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	if !http2 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// Identity bindings of AKS share the address and the host of an API server.
func TestAServerNameInTheHandshakeGoesBeforeTheHost(t *testing.T) {
	r, a := newRouter(), newAuthority(t)
	r.HandleServerName(echo("front"), func(name string) bool { return name == "front.windows.net" })
	address := serveTLS(t, r, a)
	for serverName, want := range map[string]string{
		"front.windows.net": "front: GET https://login.microsoftonline.com/x from vm1, TLS true",
		"FRONT.windows.net": "front: GET https://login.microsoftonline.com/x from vm1, TLS true",
		"other.windows.net": "sts: GET https://login.microsoftonline.com/x from vm1, TLS true",
	} {
		config := trust(a)
		config.ServerName = serverName
		resp, err := to(t, address, config, false).Get("https://login.microsoftonline.com/x")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: %s, %v; want %s", serverName, got, err, want)
		}
	}
	if r.Knows("front.windows.net") {
		t.Error("the server name has an address of its own")
	}
}

// exchange sends bytes to an address and returns all that comes back.
func exchange(t *testing.T, address, send string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, send); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %q: %v", got, err)
	}
	return string(got)
}

func TestHTTPSIsAnsweredByTheNameThatTheClientCalls(t *testing.T) {
	a := newAuthority(t)
	address := serveTLS(t, newRouter(), a)
	sent := string(bytes.Repeat([]byte("0123456789abcdef"), edge.MaxBody/16))
	for _, http2 := range []bool{false, true} {
		client := to(t, address, trust(a), http2)
		for url, want := range map[string]string{
			"https://login.microsoftonline.com/t/keys":           `sts: GET https://login.microsoftonline.com/t/keys from vm1, TLS true, ""`,
			"https://contosodata.blob.core.windows.net/c?a=b":    `blob: GET https://contosodata.blob.core.windows.net/c?a=b from vm1, TLS true, ""`,
			"https://login.windows.net:8443/":                    `sts: GET https://login.windows.net:8443/ from vm1, TLS true, ""`,
			"https://localhost:8443/t/oauth2/v2.0/token":         `sts: GET https://localhost:8443/t/oauth2/v2.0/token from vm1, TLS true, ""`,
			"https://127.0.0.1:8443/t/v2.0/.well-known/whatever": `sts: GET https://127.0.0.1:8443/t/v2.0/.well-known/whatever from vm1, TLS true, ""`,
			"https://169.254.169.254/metadata":                   `imds: GET https://169.254.169.254/metadata from vm1, TLS true, ""`,
			"https://unknown.windows.net/":                       `{"error":"unknown_host","error_description":"fakeentra: no emulated host unknown.windows.net; known: ` + known + `"}`,
		} {
			resp, err := client.Get(url)
			if got := body(t, resp, err); got != want {
				t.Errorf("HTTP/2 %v, %s:\n got %s\nwant %s", http2, url, got, want)
			}
			if (resp.ProtoMajor == 2) != http2 {
				t.Errorf("HTTP/2 %v, %s: answered over %s", http2, url, resp.Proto)
			}
		}
		resp, err := client.Post("https://login.microsoftonline.com/", "", strings.NewReader(sent))
		if got := body(t, resp, err); got != sent {
			t.Errorf("HTTP/2 %v: %d bytes came back of %d", http2, len(got), len(sent))
		}
	}
}

func TestTLSWithoutAFallbackKnowsOnlyNames(t *testing.T) {
	r, a := newRouter(), newAuthority(t)
	address := serving(t, func(ctx context.Context, l net.Listener) error { return ServeTLS(ctx, l, r, a, "vm1") })
	resp, err := to(t, address, trust(a), true).Get("https://localhost/")
	if got := body(t, resp, err); resp.StatusCode != 404 || !strings.Contains(got, "no emulated host localhost;") {
		t.Errorf("got %d %s", resp.StatusCode, got)
	}
}

func TestPlainHTTPIsTheMetadataService(t *testing.T) {
	address := serveHTTP(t, newRouter())
	client := to(t, address, nil, false)
	for url, want := range map[string]string{
		"http://169.254.169.254/metadata":    `imds: GET http://169.254.169.254/metadata from vm1, TLS false, ""`,
		"http://127.0.0.1:8080/metadata":     `imds: GET http://127.0.0.1:8080/metadata from vm1, TLS false, ""`,
		"http://localhost/metadata":          `imds: GET http://localhost/metadata from vm1, TLS false, ""`,
		"http://[::1]:8080/metadata":         `imds: GET http://[::1]:8080/metadata from vm1, TLS false, ""`,
		"http://172.17.0.2/metadata":         `imds: GET http://172.17.0.2/metadata from vm1, TLS false, ""`,
		"http://login.microsoftonline.com/t": `sts: GET http://login.microsoftonline.com/t from vm1, TLS false, ""`,
		"http://metadata.example/":           `{"error":"unknown_host","error_description":"fakeentra: no emulated host metadata.example; known: ` + known + `"}`,
	} {
		resp, err := client.Get(url)
		if got := body(t, resp, err); got != want {
			t.Errorf("%s:\n got %s\nwant %s", url, got, want)
		}
	}
}

func TestTheRequestTargetDecides(t *testing.T) {
	address := serveHTTP(t, newRouter())
	for send, want := range map[string]string{
		"GET http://login.microsoftonline.com/t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":  `sts: GET http://login.microsoftonline.com/t from vm1, TLS false, ""`,
		"GET https://login.microsoftonline.com/t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": `sts: GET https://login.microsoftonline.com/t from vm1, TLS true, ""`,
		"GET /metadata HTTP/1.0\r\n\r\n":                                                                       `imds: GET http:///metadata from vm1, TLS false, ""`,
		"GET //metadata HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n":                        `imds: GET http://169.254.169.254//metadata from vm1, TLS false, ""`,
		"GET /m HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n":       `imds: GET http://169.254.169.254/m from vm1, TLS false, ""`,
		"OPTIONS * HTTP/1.1\r\nHost: login.microsoftonline.com\r\nConnection: close\r\n\r\n":                   `sts: OPTIONS http://login.microsoftonline.com/* from vm1, TLS false, ""`,
		"CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":               `sts: CONNECT http://login.microsoftonline.com:443 from vm1, TLS false, ""`,
		"GET /m HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: x\r\n\r\n":                                "400 Bad Request",
		"\x16\x03\x01\x00garbage\r\n\r\n":                                                                      "400 Bad Request",
		"POST / HTTP/1.1\r\nHost: 169.254.169.254\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk length\r\n": `{"error":"unreadable_body","error_description":"fakeentra: the request body cannot be read: invalid byte in chunk length"}`,
	} {
		if got := exchange(t, address, send); !strings.HasSuffix(got, want) {
			t.Errorf("after %q:\n got %s\nwant %s at the end", send, got, want)
		}
	}
}

func TestOversizedHeadersAreRefusedByTheService(t *testing.T) {
	client := to(t, serveHTTP(t, newRouter()), nil, false)
	for size, want := range map[int]int{edge.MaxHeaders + 1: 413, 2 * maxHeaders: 431} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://169.254.169.254/", nil)
		req.Header.Set("X-Long", strings.Repeat("x", size))
		resp, err := client.Do(req)
		body(t, resp, err)
		if resp.StatusCode != want {
			t.Errorf("%d bytes: got %d, want %d", size, resp.StatusCode, want)
		}
	}
}

func TestAHangupClosesTheConnection(t *testing.T) {
	r, a := newRouter(), newAuthority(t)
	r.edge.Faults.Add(fault.Rule{Op: "sts.echo", Do: fault.Hangup{}})
	address := serveTLS(t, r, a)
	if _, err := to(t, address, trust(a), false).Get("https://login.microsoftonline.com/"); !errors.Is(err, io.EOF) {
		t.Errorf("HTTP/1.1: got %v, want EOF", err)
	}
	if _, err := to(t, address, trust(a), true).Get("https://login.microsoftonline.com/"); err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
		t.Errorf("HTTP/2: got %v, want a reset stream", err)
	}
}

func TestAResetBreaksTheConnection(t *testing.T) {
	r, a := newRouter(), newAuthority(t)
	r.edge.Faults.Add(fault.Rule{Op: "sts.echo", Do: fault.Reset{}})
	address := serveTLS(t, r, a)
	if _, err := to(t, address, trust(a), false).Get("https://login.microsoftonline.com/"); !wasReset(err) {
		t.Errorf("HTTP/1.1: got %v, want a reset", err)
	}
	if _, err := to(t, address, trust(a), true).Get("https://login.microsoftonline.com/"); err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
		t.Errorf("HTTP/2: got %v, want a reset stream", err)
	}
}

// wasReset recognizes a TCP reset in the words of Unix and of Windows.
func wasReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || err != nil && strings.Contains(err.Error(), "forcibly closed")
}

func TestAHungRequestEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		r.edge.Faults.Add(fault.Rule{Op: "imds.echo", Do: fault.Hang{}})
		l, cancel, ended := piped(t, func(ctx context.Context, l net.Listener) error { return ServeHTTP(ctx, l, r, "vm1") })
		conn := l.dial()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
		time.Sleep(24 * time.Hour)
		if n := len(r.edge.Journal.Snapshot().Entries); n != 0 {
			t.Errorf("the request was answered, or given up: %d entries", n)
		}
		_ = conn.Close()
		synctest.Wait()
		if entries := r.edge.Journal.Snapshot().Entries; len(entries) != 1 || entries[0].Fault != "hang" || entries[0].Response.Status != 0 {
			t.Errorf("the journal has %+v, want the hung request", entries)
		}
		cancel()
		t.Log("ended with", <-ended)
	})
}

func TestAClientThatGivesUpEndsItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		r.edge.Faults.Add(fault.Rule{Op: "imds.echo", Do: fault.Delay(time.Hour)})
		l, cancel, ended := piped(t, func(ctx context.Context, l net.Listener) error { return ServeHTTP(ctx, l, r, "vm1") })
		conn := l.dial()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
		synctest.Wait()
		start := time.Now()
		_ = conn.Close()
		synctest.Wait()
		entries := r.edge.Journal.Snapshot().Entries
		if len(entries) != 1 || entries[0].Decision.Why != context.Canceled.Error() || time.Since(start) != 0 {
			t.Errorf("after %v the journal has %+v", time.Since(start), entries)
		}
		cancel()
		t.Log("ended with", <-ended)
	})
}

func TestAnHTTP2ClientThatGivesUpEndsItsRequest(t *testing.T) {
	r, a := newRouter(), newAuthority(t)
	reached := make(chan struct{})
	r.edge.Faults.Add(fault.Rule{Op: "sts.echo", Do: fault.Delay(time.Hour), When: func(journal.Request) bool { close(reached); return true }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	l := listen(t)
	go func() { ended <- ServeTLS(ctx, l, r, a, "vm1") }()
	asking, giveUp := context.WithCancel(t.Context())
	go func() { <-reached; giveUp() }()
	req, _ := http.NewRequestWithContext(asking, "GET", "https://login.microsoftonline.com/", nil)
	if _, err := to(t, l.Addr().String(), trust(a), true).Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the error of the context", err)
	}
	cancel() // waits for the request, and not for the hour
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := r.edge.Journal.Snapshot().Entries; len(got) != 1 || got[0].Decision.Why != context.Canceled.Error() {
		t.Errorf("the journal has %+v", got)
	}
}

// piped runs a listener on pipes, in virtual time.
func piped(t *testing.T, serve func(context.Context, net.Listener) error) (l *queue, cancel func(), ended chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	l, ended = newQueue(), make(chan error, 1)
	go func() { ended <- serve(ctx, l) }()
	return l, cancel, ended
}

// dial connects with a listener on pipes.
func (q *queue) dial() net.Conn {
	near, far := net.Pipe()
	q.push(far)
	return near
}

func TestAStoppingListenerWaitsForRequestsInFlight(t *testing.T) {
	for _, tc := range []struct{ delay, want time.Duration }{{3 * time.Second, 3 * time.Second}, {time.Hour, grace}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRouter()
			r.edge.Faults.Add(fault.Rule{Op: "imds.echo", Do: fault.Delay(tc.delay)})
			l, cancel, ended := piped(t, func(ctx context.Context, l net.Listener) error { return ServeHTTP(ctx, l, r, "vm1") })
			conn := l.dial()
			defer func() { _ = conn.Close() }()
			start := time.Now()
			_, _ = io.WriteString(conn, "GET /m HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n")
			synctest.Wait()
			cancel()
			got, _ := io.ReadAll(conn)
			if elapsed := time.Since(start); elapsed < tc.want || elapsed > tc.want+time.Second {
				t.Errorf("delay %v: the connection ended after %v, want %v", tc.delay, elapsed, tc.want)
			}
			if answered := strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n"); answered != (tc.delay < grace) {
				t.Errorf("delay %v: the client got %q", tc.delay, got)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener is still open: %v", err)
			}
		})
	}
}

// failingListener fails at once.
type failingListener struct{ net.Listener }

func (failingListener) Accept() (net.Conn, error) { return nil, errors.New("no more sockets") }

func TestAListenerThatFailsEndsServing(t *testing.T) {
	l := listen(t)
	if err := ServeHTTP(t.Context(), failingListener{l}, newRouter(), "vm1"); err == nil || err.Error() != "no more sockets" {
		t.Errorf("got %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
}

func TestTheHandlerWorksWithoutAConnection(t *testing.T) {
	r := newRouter()
	var got []string
	for _, host := range []string{"vm1", "vm2"} {
		w := &discard{header: http.Header{}}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://169.254.169.254/", nil)
		r.Handler(host).ServeHTTP(w, req)
		got = append(got, w.String())
	}
	want := []string{`imds: GET http://169.254.169.254/ from vm1, TLS false, ""`, `imds: GET http://169.254.169.254/ from vm2, TLS false, ""`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// discard is a response writer without deadlines.
type discard struct {
	header http.Header
	bytes.Buffer
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
