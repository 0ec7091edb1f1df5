package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// attached runs checks against a driver at a URL.
func attached(t *testing.T, checks []*suite.Check, r suite.Remote) (*suite.Report, error) {
	t.Helper()
	r.Scale = 4
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return suite.Run(ctx, suite.Remotely(r), suite.Options{Checks: checks, Jobs: 4, Scale: 4, Seed: t.Name()})
}

// serve starts a driver that answers over HTTP.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestADriverAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	checks := slices.DeleteFunc(suite.Checks(), func(c *suite.Check) bool { return c.Takes() != suite.Fast })
	report, err := attached(t, checks, suite.Remote{URL: serve(t, driver.Handler(reference.New(nil)))})
	if err != nil {
		t.Fatal(err)
	}
	if report.Wiring != suite.Attach || len(report.Results) != len(checks) {
		t.Errorf("%d of %d checks in the wiring %s", len(report.Results), len(checks), report.Wiring)
	}
	n := 0
	for _, r := range report.Results {
		switch {
		case r.Verdict == suite.Pass:
			n++
		case r.Verdict != suite.Skip || !slices.Contains(report.Uncovered, r.ID):
			t.Errorf("%s: %s: %s", r.ID, r.Verdict, r.Why)
		}
	}
	if n < 50 {
		t.Errorf("%d checks were met", n)
	}
}

func TestBugsAreSeenOverHTTP(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"IMDS-02", "AST-04", "AUT-06", "CAC-01", "ERR-10", "SEC-03"} {
		report, err := attached(t, []*suite.Check{suite.Find(id)}, suite.Remote{URL: serve(t, driver.Handler(reference.New(reference.FindBug(id))))})
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Results[0]; !unmet(got.Verdict) {
			t.Errorf("%s: %s: %s", id, got.Verdict, got.Why)
		}
	}
}

// gone is a URL at which nobody listens.
func gone(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// text answers every request with one text.
func text(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func TestWhatIsNoDriverIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ url, want string }{
		"nobody":       {gone(t), "there is no driver at URL: connect: connection refused; start it, and run this again"},
		"another path": {serve(t, http.NotFoundHandler()), `what is at URL answered hello with the status 404 Not Found: "404 page not found"; expected 200, and an answer in JSON at POST /fcd`},
		"a redirect":   {serve(t, http.RedirectHandler("http://example.com/", http.StatusTemporaryRedirect)), `what is at URL answered hello with the status 307 Temporary Redirect: ""; expected 200, and an answer in JSON at POST /fcd`},
		"a page":       {serve(t, text(200, "<html>")), `what is at URL answered hello with "<html>", which is no JSON; expected an answer of a driver, such as {"id":1,"ok":{}}`},
		"no answer":    {serve(t, text(200, `{"id":0}`)), `the driver's answer "{\"id\":0}" has 0 of the members ok, error and skip; expected one of them`},
		"another id":   {serve(t, text(200, `{"id":7,"ok":{}}`)), `the driver answered the request "7" when it was asked hello, which is the request 0; every answer has the id of its request`},
		"a flood":      {serve(t, text(200, strings.Repeat("x", 2<<20))), "the driver at URL answered hello with more than 1048576 bytes"},
		"half of it": {serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		})), "the driver at URL broke off in its answer to hello: unexpected EOF"},
		"nothing": {serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), "the driver at URL broke off before it answered hello: EOF"},
		"silence": {serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})), "the driver at URL did not answer hello within 300ms; each POST to /fcd has to be answered"},
	} {
		t.Run(name, func(t *testing.T) {
			scale := 4.0
			if name == "silence" {
				scale = 0.01
			}
			report, err := suite.Run(t.Context(), suite.Remotely(suite.Remote{URL: c.url, Scale: scale}), suite.Options{})
			if want := strings.ReplaceAll(c.want, "URL", c.url); report != nil || err == nil || err.Error() != want {
				t.Errorf("%v\nwant %s", err, want)
			}
		})
	}
}

func TestADriverThatIsGoneStopsTheRun(t *testing.T) {
	t.Parallel()
	h := driver.Handler(reference.New(nil))
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var request driver.Request
		if json.Unmarshal(body, &request) == nil && strings.HasPrefix(request.Session, "IMDS-02/") {
			_ = s.Listener.Close()
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		h.ServeHTTP(w, r)
	}))
	defer s.Close()
	checks, err := suite.Select(suite.Selection{IDs: []string{"IMDS-0[1-6]"}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := attached(t, checks, suite.Remote{URL: s.URL})
	want := fmt.Sprintf("3 times in a row: there is no driver at %s: connect: connection refused; start it, and run this again", s.URL)
	if err == nil || err.Error() != want || report == nil || report.Results[0].Verdict != suite.Pass {
		t.Errorf("%v\nwant %s, after IMDS-01", err, want)
	}
}

func TestPortsThatAreTakenAreNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	_, err = attached(t, suite.Smoke(), suite.Remote{URL: serve(t, driver.Handler(reference.New(nil))), Ports: port})
	if want := fmt.Sprintf("cannot listen on a loopback address: port %d is not available here (bind: address already in use); take others with --ports", port); !suite.IsUnavailable(err) || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestADriverAnswersOneRequestOfHTTPAtATime(t *testing.T) {
	h := driver.Handler(reference.New(nil))
	for body, want := range map[string]int{`{"id":1,"op":"hello"}`: 200, `{`: 400, `"` + strings.Repeat("x", 1<<20) + `"`: 413} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/fcd", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%.20s: status %d, want %d", body, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/fcd", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET has the status %d", w.Code)
	}
}
