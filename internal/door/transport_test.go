package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// body reads what a client got.
func body(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func inProcess(r *Router) *http.Client {
	return &http.Client{Transport: &Transport{Router: r, Host: "vm1"}}
}

func TestATransportAnswersWithoutASocket(t *testing.T) {
	client := inProcess(newRouter())
	resp, err := client.Get("https://login.microsoftonline.com?a=b#c")
	if got, want := body(t, resp, err), `sts: GET https://login.microsoftonline.com/?a=b from vm1, TLS true, ""`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if resp.TLS == nil || !resp.TLS.HandshakeComplete || resp.TLS.ServerName != "login.microsoftonline.com" {
		t.Errorf("TLS state %+v", resp.TLS)
	}
	if resp.Request.URL.String() != "https://login.microsoftonline.com?a=b#c" {
		t.Errorf("the answer belongs to a request for %s", resp.Request.URL)
	}
	resp, err = client.Post("http://169.254.169.254//metadata", "text/plain", strings.NewReader("hi"))
	if got, want := body(t, resp, err), `imds: POST http://169.254.169.254//metadata from vm1, TLS false, "hi"`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if resp.TLS != nil {
		t.Error("an http answer has a TLS state")
	}
}

func TestATransportLeavesTheRequestAlone(t *testing.T) {
	u, _ := url.Parse("https://user:secret@login.microsoftonline.com")
	req := &http.Request{URL: u}
	resp, err := (&Transport{Router: newRouter()}).RoundTrip(req)
	if got, want := body(t, resp, err), `sts: GET https://login.microsoftonline.com/ from , TLS true, ""`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if req.Method != "" || req.Header != nil || req.Body != nil || req.URL.String() != "https://user:secret@login.microsoftonline.com" {
		t.Errorf("the request was changed: %+v", req)
	}
}

func TestATransportDeclaresTheLengthThatAConnectionWould(t *testing.T) {
	r := newRouter()
	client := inProcess(r)
	for _, tc := range []struct {
		method string
		body   io.Reader
		want   []string
	}{
		{"PUT", strings.NewReader("four"), []string{"4"}},
		{"PUT", nil, []string{"0"}},
		{"POST", http.NoBody, []string{"0"}},
		{"GET", nil, nil},
		{"PUT", io.MultiReader(strings.NewReader("four")), nil}, // chunked
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, "https://contosodata.blob.core.windows.net/c/b", tc.body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		body(t, resp, err)
		entries := r.edge.Journal.Snapshot().Entries
		if diff := cmp.Diff(tc.want, entries[len(entries)-1].Request.Header["Content-Length"]); diff != "" {
			t.Errorf("%s %T (-want +got):\n%s", tc.method, tc.body, diff)
		}
	}
}

func TestATransportRefusesUnknownHosts(t *testing.T) {
	r := newRouter()
	_, err := inProcess(r).Get("https://login.example.com/t")
	want := `Get "https://login.example.com/t": fakeentra: no emulated host login.example.com; known: ` + known
	if err == nil || err.Error() != want {
		t.Errorf(" got %v\nwant %s", err, want)
	}
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound || dns.Name != "login.example.com" {
		t.Errorf("no DNS error in %v", err)
	}
	if diff := cmp.Diff([]string{"door.unknown-host https://login.example.com/t 404"}, ops(r)); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

// recorded is a transport that notes where requests go.
type recorded struct{ hosts []string }

func (r *recorded) RoundTrip(req *http.Request) (*http.Response, error) {
	r.hosts = append(r.hosts, req.URL.Host)
	return edge.Response{Status: 204}.HTTP(req), nil
}

func TestLoopbackAndPassthroughHostsGoToTheNextTransport(t *testing.T) {
	var next recorded
	tr := &Transport{Router: newRouter(), Next: &next, Passthrough: func(h string) bool { return h == "login.windows.net" || h == "mirror.example.com" }}
	client := &http.Client{Transport: tr}
	want := []string{"localhost:8080", "127.0.0.2", "[::1]:1", "app.localhost", "LOGIN.windows.net", "mirror.example.com"}
	for _, host := range want {
		if _, err := client.Get("http://" + host); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(want, next.hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if got := ops(tr.Router); got != nil {
		t.Errorf("the journal has %v, want nothing", got)
	}
}

func TestTheDefaultNextTransportReachesLoopback(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "real") }))
	defer srv.Close()
	resp, err := inProcess(newRouter()).Get(srv.URL)
	if got := body(t, resp, err); got != "real" {
		t.Errorf("got %q", got)
	}
}

func TestALaptopHasNoMetadataService(t *testing.T) {
	client := &http.Client{Transport: &Transport{Router: newRouter(), NoMetadata: true}}
	for url, address := range map[string]string{
		"http://169.254.169.254/metadata": "169.254.169.254:80", "https://169.254.169.254/": "169.254.169.254:443", "http://169.254.169.254:8080/": "169.254.169.254:8080",
	} {
		_, err := client.Get(url)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || op.Addr.String() != address || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: got %v, want a refused connection to %s", url, err, address)
		}
	}
	resp, err := client.Get("https://login.microsoftonline.com/")
	body(t, resp, err)
}

func TestAHangupIsAnUnexpectedEOF(t *testing.T) {
	r := newRouter()
	r.edge.Faults.Add(fault.Rule{Op: "sts.echo", Do: fault.Hangup{}})
	_, err := inProcess(r).Get("https://login.microsoftonline.com/")
	want := `Get "https://login.microsoftonline.com/": fakeentra: connection closed without an answer: unexpected EOF`
	if err == nil || err.Error() != want || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestAResetIsTheErrorOfABrokenConnection(t *testing.T) {
	r := newRouter()
	r.edge.Faults.Add(fault.Rule{Op: "sts.echo", Do: fault.Reset{}})
	_, err := inProcess(r).Get("https://login.microsoftonline.com/")
	var op *net.OpError
	if !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &op) || op.Op != "read" || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want a connection reset while reading", err)
	}
}

// closing counts how often it is closed.
type closing struct {
	io.Reader
	n atomic.Int32
}

func (c *closing) Close() error { c.n.Add(1); return nil }

func TestTheBodyIsClosedOnceWhateverHappens(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		url string
		ctx context.Context
		ok  bool
	}{
		{"https://login.microsoftonline.com/", t.Context(), true},
		{"https://login.microsoftonline.com/stream", t.Context(), true},
		{"https://login.microsoftonline.com/", ended, false},
		{"https://x.example/", t.Context(), false},
		{"http://169.254.169.254/", t.Context(), false},
		{"ftp://login.microsoftonline.com/", t.Context(), false},
		{"https:///path", t.Context(), false},
	} {
		b := &closing{Reader: strings.NewReader("data")}
		u, err := url.Parse(tc.url)
		if err != nil {
			t.Fatal(err)
		}
		req := (&http.Request{Method: "POST", URL: u, Body: b}).WithContext(tc.ctx)
		_, err = (&Transport{Router: newRouter(), NoMetadata: true}).RoundTrip(req)
		if (err == nil) != tc.ok || b.n.Load() != 1 {
			t.Errorf("%s: error %v, and the body was closed %d times; want once", tc.url, err, b.n.Load())
		}
	}
	if _, err := (&Transport{}).RoundTrip(&http.Request{}); err == nil {
		t.Error("a request without a URL is answered")
	}
}

func TestATransportHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		r.edge.Faults.Add(fault.Rule{Op: "sts.echo", Do: fault.Delay(time.Hour)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://login.microsoftonline.com/", nil)
		if _, err := inProcess(r).Do(req); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestABodyThatNeverComesEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stalled, _ := io.Pipe()
		req, _ := http.NewRequestWithContext(ctx, "POST", "https://login.microsoftonline.com/", stalled)
		if _, err := inProcess(newRouter()).Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the error of the context", err)
		}
	})
}

func TestABodyThatFailsIsTheClientsError(t *testing.T) {
	broken := errors.New("disk on fire")
	_, err := inProcess(newRouter()).Post("https://login.microsoftonline.com/", "", io.MultiReader(strings.NewReader("a"), failing{broken}))
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestATransportCarriesAMegabyte(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789abcdef"), edge.MaxBody/16)
	resp, err := inProcess(newRouter()).Post("https://login.microsoftonline.com/", "", bytes.NewReader(sent))
	if got := body(t, resp, err); got != string(sent) {
		t.Errorf("%d bytes came back of %d", len(got), len(sent))
	}
}

func TestOpaqueURLsAreReadAsTheyAreSent(t *testing.T) {
	req := &http.Request{URL: &url.URL{Scheme: "https", Host: "login.microsoftonline.com", Opaque: "//login.microsoftonline.com/a%2Fb"}}
	resp, err := (&Transport{Router: newRouter()}).RoundTrip(req)
	if got, want := body(t, resp, err), `sts: GET https://login.microsoftonline.com/a%2Fb from , TLS true, ""`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// The endpoint of a host is at a port of the loopback interface; every other port
// is that of a real program.
func TestATransportAnswersForTheEndpointOfItsHost(t *testing.T) {
	next := &recorded{}
	client := &http.Client{Transport: &Transport{Router: newRouter(), Host: "web", NoMetadata: true, Endpoint: "127.0.0.1:41741", Next: next}}
	for _, url := range []string{"http://127.0.0.1:41741/msi/token", "http://localhost:41741/msi/token", "http://[::1]:41741/msi/token", "https://localhost:41741/msi/token"} {
		resp, err := client.Get(url)
		if got := body(t, resp, err); !strings.HasPrefix(got, "imds: GET "+url+" from web") {
			t.Errorf("%s: %s", url, got)
		}
	}
	if _, err := client.Get("http://169.254.169.254:41741/"); !errors.Is(err, syscall.ECONNREFUSED) { //nolint:bodyclose // there is none
		t.Errorf("the metadata service: %v, want a refused connection", err)
	}
	if resp, err := client.Get("http://127.0.0.1:41742/"); err == nil {
		_ = resp.Body.Close()
	}
	if len(next.hosts) != 1 {
		t.Errorf("the network was asked for %v, want the one other port", next.hosts)
	}
}
