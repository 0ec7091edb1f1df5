package door

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// proxying runs a proxy for the length of a test.
func proxying(t *testing.T, p *Proxy) (address string) {
	l := listen(t)
	ended := make(chan error)
	go func() { ended <- p.Serve(l) }()
	t.Cleanup(func() {
		_ = p.Close()
		if err := <-ended; err != nil {
			t.Errorf("the proxy ended with %v", err)
		}
	})
	return l.Addr().String()
}

// through returns a client that uses the proxy at an address for everything.
func through(t *testing.T, p *Proxy, address string, http2 bool) *http.Client {
	client := to(t, "", trust(p.Authority), http2)
	tr := client.Transport.(*http.Transport)
	tr.DialContext = nil
	tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: address, User: url.UserPassword("user", "secret")})
	return client
}

func newProxy(t *testing.T) *Proxy {
	return &Proxy{Router: newRouter(), Authority: newAuthority(t), Host: "vm1"}
}

func TestAProxyAnswersForEmulatedHosts(t *testing.T) {
	p := newProxy(t)
	address := proxying(t, p)
	sent := string(bytes.Repeat([]byte("0123456789abcdef"), edge.MaxBody/16))
	for _, http2 := range []bool{false, true} {
		client := through(t, p, address, http2)
		for url, want := range map[string]string{
			"http://169.254.169.254/metadata?a=b":      `imds: GET http://169.254.169.254/metadata?a=b from vm1, TLS false, ""`,
			"http://login.microsoftonline.com/t":       `sts: GET http://login.microsoftonline.com/t from vm1, TLS false, ""`,
			"https://login.microsoftonline.com/t":      `sts: GET https://login.microsoftonline.com/t from vm1, TLS true, ""`,
			"https://login.microsoftonline.com:8443/t": `sts: GET https://login.microsoftonline.com:8443/t from vm1, TLS true, ""`,
			"https://169.254.169.254/m":                `imds: GET https://169.254.169.254/m from vm1, TLS true, ""`,
		} {
			resp, err := client.Get(url)
			if got := body(t, resp, err); got != want {
				t.Errorf("HTTP/2 %v, %s:\n got %s\nwant %s", http2, url, got, want)
			}
			if over2 := resp.ProtoMajor == 2; over2 != (http2 && strings.HasPrefix(url, "https")) {
				t.Errorf("HTTP/2 %v, %s: answered over %s", http2, url, resp.Proto)
			}
		}
		for _, url := range []string{"http://169.254.169.254/", "https://contosodata.blob.core.windows.net/c/b"} {
			resp, err := client.Post(url, "", strings.NewReader(sent))
			if got := body(t, resp, err); got != sent {
				t.Errorf("HTTP/2 %v, %s: %d bytes came back of %d", http2, url, len(got), len(sent))
			}
		}
	}
}

func TestHostsThatTheAuthorityMustNotVouchForAreRefusedByTheClient(t *testing.T) {
	p := newProxy(t)
	p.Router.Handle(echo("other"), "emulated.example")
	_, err := through(t, p, proxying(t, p), true).Get("https://emulated.example/")
	if err == nil || !strings.Contains(err.Error(), "not permitted by any constraint") {
		t.Errorf("got %v", err)
	}
}

func TestAProxyReachesNoUnknownHost(t *testing.T) {
	p := newProxy(t)
	client := through(t, p, proxying(t, p), true)
	text := "fakeentra: no emulated host login.example.com; known: " + known
	_, err := client.Get("https://login.example.com/t")
	if want := `Get "https://login.example.com/t": ` + text; err == nil || err.Error() != want {
		t.Errorf(" got %v\nwant %s", err, want)
	}
	resp, err := client.Get("http://login.example.com/t")
	if got, want := body(t, resp, err), `{"error":"unknown_host","error_description":"`+text+`"}`; resp.StatusCode != 404 || got != want {
		t.Errorf("got %d %s\nwant 404 %s", resp.StatusCode, got, want)
	}
	want := []string{"door.unknown-host https://login.example.com:443 502", "door.unknown-host http://login.example.com/t 404"}
	if diff := cmp.Diff(want, ops(p.Router)); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func TestAProxyAddsNothingToRequestsAndPassesNothingMeantForIt(t *testing.T) {
	p := newProxy(t)
	address := proxying(t, p)
	for forwarded, want := range map[string]string{"": "", "X-Forwarded-For: 1.2.3.4\r\n": " X-Forwarded-For=1.2.3.4"} {
		got := exchange(t, address, "GET http://169.254.169.254/m HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n"+forwarded+"\r\n")
		if want := `imds: GET http://169.254.169.254/m from vm1, TLS false, ""` + want; !strings.HasSuffix(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// origin is a real server on loopback. It says what it gets, except that a
// request to switch protocols gets an echo of lines.
func origin(t *testing.T, start func(http.Handler) *httptest.Server) *httptest.Server {
	srv := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "lines" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "lines")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.Copy(conn, rw)
				_ = conn.Close()
			}
			return
		}
		b, _ := io.ReadAll(r.Body)
		var names []string
		for name := range r.Header {
			names = append(names, name)
		}
		slices.Sort(names)
		_, _ = fmt.Fprintf(w, "%s %s %s %d bytes, %s", r.Method, r.Host, r.RequestURI, len(b), names)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestLoopbackIsReachedForReal(t *testing.T) {
	p := newProxy(t)
	plain, secure := origin(t, httptest.NewServer), origin(t, httptest.NewTLSServer)
	client := through(t, p, proxying(t, p), false)
	client.Transport.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	_, plainPort, _ := net.SplitHostPort(plain.Listener.Addr().String())
	_, securePort, _ := net.SplitHostPort(secure.Listener.Addr().String())
	for url, want := range map[string]string{
		"http://app.localhost:" + plainPort + "/a?b":  "POST app.localhost:" + plainPort + " /a?b 3 bytes, [Content-Length Content-Type User-Agent]",
		"http://127.0.0.1:" + plainPort + "/a//b%2Fc": "POST 127.0.0.1:" + plainPort + " /a//b%2Fc 3 bytes, [Content-Length Content-Type User-Agent]",
		"https://127.0.0.1:" + securePort + "/a":      "POST 127.0.0.1:" + securePort + " /a 3 bytes, [Content-Length Content-Type User-Agent]",
	} {
		resp, err := client.Post(url, "text/plain", strings.NewReader("abc"))
		if got := body(t, resp, err); got != want {
			t.Errorf("%s:\n got %s\nwant %s", url, got, want)
		}
	}
	if got := ops(p.Router); got != nil {
		t.Errorf("the journal has %v, want nothing", got)
	}
}

func TestLoopbackForwardingKeepsTheHeadersOfOtherProxies(t *testing.T) {
	srv := origin(t, httptest.NewServer)
	got := exchange(t, proxying(t, newProxy(t)), "GET "+srv.URL+"/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: Basic eA==\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\r\n")
	want := "GET " + srv.Listener.Addr().String() + " / 0 bytes, [Forwarded X-Forwarded-For]"
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestALoopbackServerMayAnswerBeforeItHasReadTheBody(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusConflict)
	}))
	defer srv.Close()
	p := newProxy(t)
	conn, err := net.Dial("tcp", proxying(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST %s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegin", srv.URL)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusConflict {
		t.Errorf("got %v, %v; want 409", resp, err)
	}
}

func TestProtocolsAreSwitchedOnLoopbackOnly(t *testing.T) {
	p := newProxy(t)
	address, srv := proxying(t, p), origin(t, httptest.NewServer)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET "+srv.URL+"/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v, %v; want 101", resp, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if got, err := r.ReadString('\n'); got != "hello\n" {
		t.Errorf("got %q, %v", got, err)
	}
	got := exchange(t, address, "GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: lines\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("got %s, want an answer in HTTP/1.1", got)
	}
	// The connection that was switched must not survive the proxy.
	_ = p.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.ReadByte(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after Close: %v", err)
	}
}

func TestALaptopIsNotAnsweredByTheProxy(t *testing.T) {
	p := newProxy(t)
	p.NoMetadata = true
	address := proxying(t, p)
	client := through(t, p, address, true)
	for _, url := range []string{"http://169.254.169.254/metadata", "http://169.254.169.254.:8080/"} {
		if _, err := client.Get(url); !errors.Is(err, io.EOF) {
			t.Errorf("%s: got %v, want EOF", url, err)
		}
	}
	_, err := client.Get("https://169.254.169.254/metadata")
	if want := `fakeentra: the host "vm1" has no metadata service: nothing answers at 169.254.169.254`; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf(" got %v\nwant %s", err, want)
	}
	got := exchange(t, address, "CONNECT login.microsoftonline.com:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
	if got != established {
		t.Errorf("behind CONNECT: got %q, want a closed connection", got)
	}
	resp, err := client.Get("https://login.microsoftonline.com/")
	body(t, resp, err)
	want := []string{
		"imds.echo http://169.254.169.254/metadata 200", "imds.echo http://169.254.169.254.:8080/ 200", "imds.echo https://169.254.169.254:443 200",
		"imds.echo http://169.254.169.254/ 200", "sts.echo https://login.microsoftonline.com/ 200",
	}
	if diff := cmp.Diff(want, ops(p.Router)); diff != "" {
		t.Errorf("attempts on record (-want +got):\n%s", diff)
	}
}

func TestAHangupBehindAProxyClosesTheConnection(t *testing.T) {
	p := newProxy(t)
	for _, op := range []string{"sts", "imds"} {
		p.Router.edge.Faults.Add(fault.Rule{Op: echo(op).Routes()[0].Op, Do: fault.Hangup{}})
	}
	p.Router.edge.Faults.Add(fault.Rule{Op: "door.unknown-host", Do: fault.Hangup{}})
	client := through(t, p, proxying(t, p), false)
	for _, url := range []string{"http://169.254.169.254/", "https://login.microsoftonline.com/", "https://login.example.com/"} {
		if _, err := client.Get(url); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %v, want EOF", url, err)
		}
	}
}

func TestAResetBehindAProxyBreaksTheConnection(t *testing.T) {
	p := newProxy(t)
	for _, op := range []string{"sts", "imds"} {
		p.Router.edge.Faults.Add(fault.Rule{Op: echo(op).Routes()[0].Op, Do: fault.Reset{}})
	}
	client := through(t, p, proxying(t, p), false)
	for _, url := range []string{"http://169.254.169.254/", "https://login.microsoftonline.com/"} {
		if _, err := client.Get(url); !wasReset(err) {
			t.Errorf("%s: got %v, want a reset", url, err)
		}
	}
}

func TestSlowClientsOfAProxyAreCutOff(t *testing.T) {
	a := newAuthority(t)
	for name, send := range map[string]string{
		"nothing":                   "",
		"half a request":            "CONNECT login.micro",
		"nothing after CONNECT":     "CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"half a hello":              "CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01\x01",
		"half a request behind it":  "CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\nGET / HT",
		"half a header to nowhere":  "GET http://169.254.169.254/ HTTP/1.1\r\nHo",
		"half a body to IMDS":       "POST http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234",
		"half a body to the proxy":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234",
		"half a body after CONNECT": "CONNECT x.example:443 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234",
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &Proxy{Router: newRouter(), Authority: a}
			l, _, ended := piped(t, func(_ context.Context, l net.Listener) error { return p.Serve(l) })
			start := time.Now()
			conn := l.dial()
			_, _ = io.WriteString(conn, send)
			_, _ = io.ReadAll(conn)
			if elapsed := time.Since(start); elapsed > patience+time.Second {
				t.Errorf("%s: cut off after %v", name, elapsed)
			}
			_ = conn.Close()
			_ = p.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestShutdownWaitsForRequestsInFlight(t *testing.T) {
	a := newAuthority(t)
	for _, send := range []string{
		"GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n",
	} {
		for _, limit := range []time.Duration{time.Minute, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				p := &Proxy{Router: newRouter(), Authority: a}
				p.Router.edge.Faults.Add(fault.Rule{Op: "imds.echo", Do: fault.Delay(3 * time.Second)})
				l, _, ended := piped(t, func(_ context.Context, l net.Listener) error { return p.Serve(l) })
				conn := l.dial()
				defer func() { _ = conn.Close() }()
				got := make(chan string)
				go func() {
					_, _ = io.WriteString(conn, send)
					b, _ := io.ReadAll(conn)
					got <- string(b)
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				err := p.Shutdown(ctx)
				if answered := strings.Contains(<-got, "200 OK"); answered != (limit == time.Minute) || (err == nil) != answered {
					t.Errorf("limit %v: answered %v, error %v", limit, answered, err)
				}
				t.Log("ended with", <-ended)
			})
		}
	}
}

func TestAClosedProxyServesNoMore(t *testing.T) {
	p, l := newProxy(t), listen(t)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Serve(l); err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
	if err := newProxy(t).Serve(failingListener{listen(t)}); err == nil {
		t.Error("a listener that fails is no error")
	}
}
