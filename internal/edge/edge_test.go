package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/clock"
)

// echo is a service with one operation, which answers with the body.
type echo struct{ do Operation }

func (s echo) Routes() []Route { return []Route{s.route()} }
func (s echo) route() Route    { return Route{Op: "test.echo", Path: "/{name}", Do: s.do} }
func (s echo) Resolve(*Request) *Route {
	r := s.route()
	return &r
}
func (s echo) TooLarge(*Request) Response { return Response{Status: 413} }
func (s echo) Refuse(_ *Request, code string) (Response, bool) {
	return Response{Status: 400, Body: []byte(code)}, code == "KNOWN"
}

func newEdge() *Edge {
	return &Edge{Clock: &clock.Adjustable{}, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}, Seed: "test"}
}

var mirror = echo{do: func(r *Request) Response { return Response{Status: 200, Body: r.Data} }}

func request(t *testing.T, body string) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), "POST", "http://service.test/x", strings.NewReader(body))
}

func TestServeRecordsTheExchange(t *testing.T) {
	e := newEdge()
	resp, err := e.Serve(mirror, Caller{Host: "vm1"}, request(t, "hello"))
	if err != nil || string(resp.Body) != "hello" {
		t.Fatalf("got %q, %v", resp.Body, err)
	}
	got := e.Journal.Snapshot().Entries[0]
	if got.Op != "test.echo" || got.Host != "vm1" || string(got.Request.Body) != "hello" || got.Response.Status != 200 || got.Request.URL != "http://service.test/x" {
		t.Fatalf("entry = %+v", got)
	}
}

func TestFaultsActBeforeAndAfterTheOperation(t *testing.T) {
	for name, tc := range map[string]struct {
		do   fault.Action
		want string
		err  error
	}{
		"respond": {fault.Respond{Status: 503, Body: "busy"}, "503 busy", nil},
		"hangup":  {fault.Hangup{}, "0 ", ErrHangup},
		"reset":   {fault.Reset{}, "0 ", ErrReset},
		"refuse":  {fault.Refuse("KNOWN"), "400 KNOWN", nil},
		"unknown": {fault.Refuse("OTHER"), `500 {"error":"fakeentra"}`, nil},
		"rewrite": {fault.Rewrite(func(r *journal.Response) { r.Body = append(r.Body, '!') }), "200 hello!", nil},
	} {
		e := newEdge()
		e.Faults.Add(fault.Rule{Name: name, Op: "test.echo", Do: tc.do})
		resp, err := e.Serve(mirror, Caller{}, request(t, "hello"))
		if got := strconv.Itoa(resp.Status) + " " + string(resp.Body); got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v; want %q, %v", name, got, err, tc.want, tc.err)
		}
		if entry := e.Journal.Snapshot().Entries[0]; entry.Fault != name {
			t.Errorf("%s: the journal names the fault %q", name, entry.Fault)
		}
	}
}

func TestDelayWaitsInVirtualTimeAndEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge()
		e.Faults.Add(fault.Rule{Op: "test.echo", Do: fault.Delay(time.Hour)})
		start := time.Now()
		if _, err := e.Serve(mirror, Caller{}, request(t, "")); err != nil || time.Since(start) != time.Hour {
			t.Fatalf("answered after %v with %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := e.Serve(mirror, Caller{}, request(t, "").WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v, want the context's", err)
		}
	})
}

func TestOversizedRequestsAreRefusedAndExplained(t *testing.T) {
	e := newEdge()
	big := request(t, strings.Repeat("x", MaxBody+1))
	long := request(t, "")
	long.Header.Set("X-Long", strings.Repeat("x", MaxHeaders))
	for name, in := range map[string]*http.Request{"body": big, "headers": long} {
		resp, err := e.Serve(mirror, Caller{}, in)
		if err != nil || resp.Status != 413 {
			t.Errorf("%s: got %d, %v; want 413", name, resp.Status, err)
		}
	}
	for _, entry := range e.Journal.Snapshot().Entries {
		if !strings.Contains(entry.Decision.Why, "over") || len(entry.Request.Body) > MaxKept {
			t.Errorf("entry says %q and keeps %d bytes", entry.Decision.Why, len(entry.Request.Body))
		}
	}
}

func TestAPanicIsAnsweredAndTheCloudGoesOn(t *testing.T) {
	e := newEdge()
	resp, err := e.Serve(echo{do: func(*Request) Response { panic("oops") }}, Caller{}, request(t, ""))
	if err != nil || resp.Status != 500 {
		t.Fatalf("got %d, %v; want 500", resp.Status, err)
	}
	if why := e.Journal.Snapshot().Entries[0].Decision.Why; !strings.Contains(why, "bug in fakeentra") || !strings.Contains(why, "oops") {
		t.Fatalf("why = %q", why)
	}
}

func TestTableMatchesAsTheServicesDo(t *testing.T) {
	routes := []Route{{Op: "token", Method: "GET", Path: "/metadata/identity/oauth2/token"}, {Op: "tenant", Path: "/{tenant}/keys"}, {Op: "fallback"}}
	for _, tc := range []struct {
		fold      bool
		method    string
		url       string
		want      journal.Op
		wrong     bool
		tenantVar string
	}{
		{true, "GET", "http://h/metadata/identity/oauth2/token", "token", false, ""},
		{true, "GET", "http://h//METADATA/identity/oauth2/token/", "token", false, ""},
		{false, "GET", "http://h/METADATA/identity/oauth2/token", "", false, ""},
		{true, "POST", "http://h/metadata/identity/oauth2/token", "", true, ""},
		{true, "PUT", "http://h/a%2Fb/keys", "tenant", false, "a/b"},
		{true, "GET", "http://h/", "", false, ""},
		{true, "GET", "http://h/a/b/c", "", false, ""},
	} {
		u, err := url.Parse(tc.url)
		if err != nil {
			t.Fatal(err)
		}
		route, vars, wrong := NewTable(tc.fold, routes).Match(tc.method, u)
		var got journal.Op
		if route != nil {
			got = route.Op
		}
		if got != tc.want || wrong != tc.wrong || vars["tenant"] != tc.tenantVar {
			t.Errorf("%s %s: route %q, wrong method %v, vars %v", tc.method, tc.url, got, wrong, vars)
		}
	}
}

func TestWhatIsLeftForTheEndIsDoneWhateverHappens(t *testing.T) {
	for name, do := range map[string]fault.Action{"answered": fault.Rewrite(func(*journal.Response) {}), "closed": fault.Hangup{}} {
		e, order := newEdge(), ""
		e.Faults.Add(fault.Rule{Op: "test.echo", Do: do})
		s := resolving{mirror, func(r *Request) {
			r.Finally(func() { order += "1" })
			r.Finally(func() { order += "2" })
		}}
		_, _ = e.Serve(s, Caller{}, request(t, ""))
		if order != "12" {
			t.Errorf("%s: %q was done, want 12", name, order)
		}
	}
}

// resolving is a service that looks at requests before they are carried out.
type resolving struct {
	echo
	look func(*Request)
}

func (s resolving) Resolve(r *Request) *Route {
	s.look(r)
	return s.echo.Resolve(r)
}

func TestATableMatchesTheRestOfAPath(t *testing.T) {
	table := NewTable(true, []Route{{Op: "whole", Path: "/"}, {Op: "tree", Method: "GET", Path: "/metadata/{category}/{path...}"}})
	for path, want := range map[string]string{
		"/metadata/instance":                "tree instance ",
		"/metadata/instance/":               "tree instance ",
		"/METADATA/instance/compute//name/": "tree instance compute/name",
		"/metadata/instance/a%20b":          "tree instance a b",
		"/":                                 "whole  ",
		"/metadata":                         "nothing",
	} {
		got := "nothing"
		u, err := url.Parse("http://h" + path)
		if err != nil {
			t.Fatal(err)
		}
		if route, vars, _ := table.Match("GET", u); route != nil {
			got = string(route.Op) + " " + vars["category"] + " " + vars["path"]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestWriteAndHTTPAgree(t *testing.T) {
	for _, tc := range []struct {
		method string
		resp   Response
		want   string
	}{
		{"GET", Response{Status: 200, Body: []byte("abc")}, "abc"},
		{"GET", Response{Status: 200, Stream: strings.NewReader("abcd"), Length: 4}, "abcd"},
		{"HEAD", Response{Status: 200, Header: http.Header{"Content-Length": {"7"}}}, ""},
		{"GET", Response{Status: 304}, ""},
	} {
		in := httptest.NewRequest(tc.method, "http://h/", nil)
		viaHTTP := tc.resp.HTTP(in)
		if s, ok := tc.resp.Stream.(*strings.Reader); ok {
			body, _ := io.ReadAll(viaHTTP.Body)
			if string(body) != tc.want {
				t.Errorf("HTTP body %q, want %q", body, tc.want)
			}
			_, _ = s.Seek(0, io.SeekStart)
		}
		w := httptest.NewRecorder()
		tc.resp.Write(w, in)
		if w.Code != viaHTTP.StatusCode || w.Body.String() != tc.want || w.Header().Get("Content-Length") != viaHTTP.Header.Get("Content-Length") {
			t.Errorf("%s %d: wrote %d %q with %v; as a client sees it: %d with %v", tc.method, tc.resp.Status, w.Code, w.Body, w.Header(), viaHTTP.StatusCode, viaHTTP.Header)
		}
	}
}

func TestAClientWithoutAConnectionSeesCanonicalFieldNames(t *testing.T) {
	resp := Response{Status: 200, Header: http.Header{"x-ms-meta-colour": {"blue"}}}
	if got := resp.HTTP(httptest.NewRequest("GET", "http://h/", nil)).Header.Get("x-ms-meta-colour"); got != "blue" {
		t.Errorf("got %q, want blue", got)
	}
}

// abroad is a clock in another time zone, as time.Now is on most machines.
type abroad struct{}

func (abroad) Now() time.Time {
	return time.Date(2027, 1, 15, 9, 0, 0, 0, time.FixedZone("CET", 3600))
}

// The services write times into their answers with a Z after them.
func TestRequestsSeeTheTimeInUTC(t *testing.T) {
	e := newEdge()
	e.Clock = abroad{}
	s := echo{do: func(r *Request) Response { return Response{Status: 200, Body: []byte(r.Now.Format(time.RFC3339))} }}
	resp, err := e.Serve(s, Caller{}, request(t, ""))
	if got := string(resp.Body); err != nil || got != "2027-01-15T08:00:00Z" {
		t.Errorf("the request sees %s, %v; want 2027-01-15T08:00:00Z", got, err)
	}
}
