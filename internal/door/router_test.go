package door

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/clock"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// echo is a service that says what reached it. Its operations are named after
// it: x.echo for the service x, and x.stream for paths that begin with /stream.
type echo string

func (s echo) Routes() []edge.Route {
	return []edge.Route{
		{Op: journal.Op(s + ".echo"), Do: s.say},
		{Op: journal.Op(s + ".stream"), Do: func(*edge.Request) edge.Response { return edge.Response{Status: 200} }, Stream: true},
	}
}

func (s echo) Resolve(r *edge.Request) *edge.Route {
	if strings.HasPrefix(r.URL.Path, "/stream") {
		return &s.Routes()[1]
	}
	return &s.Routes()[0]
}

func (s echo) say(r *edge.Request) edge.Response {
	if n := len(r.Data); n > 100 {
		return edge.Response{Status: 200, Body: r.Data, Header: http.Header{"Content-Type": {"application/octet-stream"}}}
	}
	via := ""
	for _, name := range []string{"X-Forwarded-For", "Via", "Proxy-Connection", "Proxy-Authorization"} {
		if v := r.Header.Get(name); v != "" {
			via += " " + name + "=" + v
		}
	}
	return edge.Response{Status: 200, Header: http.Header{"Content-Type": {"text/plain"}},
		Body: fmt.Appendf(nil, "%s: %s %s from %s, TLS %v, %q%s", s, r.Method, r.URL, r.Caller.Host, r.Caller.TLS, r.Data, via)}
}

func (s echo) TooLarge(*edge.Request) edge.Response { return edge.Response{Status: 413} }

func (s echo) Refuse(*edge.Request, string) (edge.Response, bool) { return edge.Response{}, false }

// newRouter returns a router of a token service, a metadata service and the
// storage account contosodata.
func newRouter() *Router {
	r := NewRouter(&edge.Edge{Clock: &clock.Adjustable{}, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}, Seed: "door"})
	r.Handle(echo("sts"), "login.microsoftonline.com", "Login.Windows.Net")
	r.Handle(echo("imds"), metadata)
	accounts := []string{"contosodata.blob.core.windows.net"}
	r.HandleFunc(echo("blob"), func() []string { return accounts }, func(h string) bool { return slices.Contains(accounts, h) })
	return r
}

// known is what messages of newRouter list.
const known = "169.254.169.254, contosodata.blob.core.windows.net, login.microsoftonline.com, login.windows.net"

// ops are the operations that were asked for, with the statuses of the answers.
func ops(r *Router) []string {
	var out []string
	for _, e := range r.edge.Journal.Snapshot().Entries {
		out = append(out, fmt.Sprintf("%s %s %d", e.Op, e.Request.URL, e.Response.Status))
	}
	return out
}

func TestARouterFindsServicesByHostName(t *testing.T) {
	r := newRouter()
	for _, tc := range []struct{ url, want string }{
		{"https://login.microsoftonline.com/t", "sts: GET https://login.microsoftonline.com/t from vm1, TLS true, \"\""},
		{"https://LOGIN.windows.net.:8443/t", "sts: GET https://LOGIN.windows.net.:8443/t from vm1, TLS true, \"\""},
		{"http://169.254.169.254/metadata", "imds: GET http://169.254.169.254/metadata from vm1, TLS true, \"\""},
		{"https://ContosoData.blob.core.windows.net/c", "blob: GET https://ContosoData.blob.core.windows.net/c from vm1, TLS true, \"\""},
	} {
		req := httptest.NewRequestWithContext(t.Context(), "GET", tc.url, nil)
		resp, err := r.Serve(edge.Caller{Host: "vm1", TLS: true}, req)
		if got := string(resp.Body); err != nil || got != tc.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", tc.url, got, err, tc.want)
		}
		if !r.Knows(req.URL.Hostname()) {
			t.Errorf("the router does not know %s", req.URL.Hostname())
		}
	}
	if got := strings.Join(r.Names(), ", "); got != known {
		t.Errorf("names %s\nwant  %s", got, known)
	}
}

func TestLaterServicesReplaceEarlierOnes(t *testing.T) {
	r := newRouter()
	r.Handle(echo("other"), "login.microsoftonline.com")
	r.HandleFunc(echo("last"), func() []string { return nil }, func(string) bool { return true })
	for url, want := range map[string]string{
		"http://login.microsoftonline.com/":         "other",
		"http://contosodata.blob.core.windows.net/": "blob",
		"http://anything.example/":                  "last",
	} {
		resp, err := r.Serve(edge.Caller{}, httptest.NewRequest("GET", url, nil))
		if got, _, _ := strings.Cut(string(resp.Body), ":"); err != nil || got != want {
			t.Errorf("%s: answered by %s, %v; want %s", url, got, err, want)
		}
	}
}

func TestAnUnknownHostIsRefusedAndJournaled(t *testing.T) {
	r := newRouter()
	resp, err := r.Serve(edge.Caller{Host: "vm1"}, httptest.NewRequest("POST", "https://login.example.com/t", strings.NewReader("secret")))
	want := `{"error":"unknown_host","error_description":"fakeentra: no emulated host login.example.com; known: ` + known + `"}`
	if err != nil || resp.Status != 404 || string(resp.Body) != want {
		t.Errorf("got %d %s, %v\nwant 404 %s", resp.Status, resp.Body, err, want)
	}
	e := r.edge.Journal.Snapshot().Entries[0]
	if e.Op != "door.unknown-host" || e.Host != "vm1" || string(e.Request.Body) != "secret" || e.Decision.Code != "unknown_host" {
		t.Errorf("entry = %+v", e)
	}
	if e.Decision.Why != "fakeentra: no emulated host login.example.com; known: "+known+". The client was not let through to the real host; correct the URL, add the host to the scenario, or permit the real one: --egress of fakeentra run, or WithPassthrough for a client of the same Go program" {
		t.Errorf("why = %s", e.Decision.Why)
	}
	if diff := cmp.Diff([]journal.Fact{{Key: "host", Value: "login.example.com"}}, e.Facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestAnOversizedRequestToAnUnknownHostIsRefusedToo(t *testing.T) {
	r := newRouter()
	resp, err := r.Serve(edge.Caller{}, httptest.NewRequest("PUT", "https://x.example/", strings.NewReader(strings.Repeat("x", edge.MaxBody+1))))
	if err != nil || resp.Status != 404 || !strings.Contains(string(resp.Body), `"unknown_host"`) {
		t.Errorf("got %d %s, %v; want 404 unknown_host", resp.Status, resp.Body, err)
	}
}

func TestFaultsReachTheRouterItself(t *testing.T) {
	r := newRouter()
	op := r.Routes()[0].Op
	r.edge.Faults.Add(fault.Rule{Op: op, Times: 1, Do: fault.Refuse("unknown_host")}, fault.Rule{Op: op, Do: fault.Refuse("other")})
	for _, want := range []int{404, 500} {
		if resp, err := r.Serve(edge.Caller{}, httptest.NewRequest("GET", "https://x.example/", nil)); err != nil || resp.Status != want {
			t.Errorf("got %d, %v; want %d", resp.Status, err, want)
		}
	}
}

func TestMessagesListABoundedNumberOfHosts(t *testing.T) {
	r := NewRouter(nil)
	if got, want := r.stranger("x.example"), "fakeentra: no emulated host x.example; known: none"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := r.stranger(""), "fakeentra: the request names no host; known: none"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i := range 30 {
		r.Handle(echo("x"), fmt.Sprintf("host%02d.example", i))
	}
	if got := r.stranger("x"); !strings.HasSuffix(got, ", host22.example, host23.example and 6 more") {
		t.Errorf("got %s", got)
	}
}
