package control

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	allRoutes     = "one of: GET /health, GET /info, GET /journal, DELETE /journal, GET /faults, POST /faults, DELETE /faults, GET /clock, POST /clock, POST /keys/rotate, POST /keys/retire, POST /token, POST /doors, POST /reset, GET /ca"
	ruleMembers   = "one of: name, op, after, times, for, respond, delay, hang, hangup, reset, refuse"
	aRule         = "a fault rule, or a list of them"
	aDuration     = "a duration, such as 2h, 90m or -30s"
	aTime         = "a time in RFC 3339, such as 2025-01-15T12:00:00Z"
	issuerExample = `{"issuer": name}, or an empty body for Entra's own keys`
	jsonType      = "the header Content-Type: application/json"
	years         = "a time in the years 1970 to 2199"
	program       = "a request from a program other than a browser, without Origin"
	hosts         = "an IP address or localhost in the URL and in the header Host, or a name that the control plane was started with"
	entryNumber   = "the number of an entry, such as 7"
)

// provocations bring every row about. Bodies are sent as JSON unless a header
// says otherwise.
var provocations = []struct {
	row, method, target, body string
	headers                   []string
	status                    int
	problem, expected         string
}{
	{"web-page", "GET", "/health", "", []string{"Origin", "https://evil.example"}, 403, `the request has the header Origin ("https://evil.example"), so a web page sent it, and web pages may not control a cloud`, program},
	{"web-page", "POST", "/reset", "", []string{"Origin", "null"}, 403, `the request has the header Origin ("null"), so a web page sent it, and web pages may not control a cloud`, program},
	{"web-page", "OPTIONS", "/reset", "", []string{"Origin", ""}, 403, `the request has the header Origin (""), so a web page sent it, and web pages may not control a cloud`, program},
	{"foreign-host", "GET", "/journal", "", []string{"Host", "evil.example:80"}, 403, `the request is for the host "evil.example:80", which is not a name of this control plane; a web page could send it by DNS rebinding`, hosts},
	{"foreign-host", "DELETE", "/journal", "", []string{"Host", "localhost.evil.example"}, 403, `the request is for the host "localhost.evil.example", which is not a name of this control plane; a web page could send it by DNS rebinding`, hosts},
	{"no-route", "GET", "/", "", nil, 404, "there is nothing at /", allRoutes},
	{"no-route", "GET", "/health/", "", nil, 404, "there is nothing at /health/", allRoutes},
	{"no-route", "GET", "//info", "", nil, 404, "there is nothing at //info", allRoutes},
	{"no-method", "PUT", "/clock", "", nil, 405, "PUT is not a method of /clock", "one of: GET, POST, HEAD"},
	{"no-method", "GET", "/reset", "", nil, 405, "GET is not a method of /reset", "one of: POST"},
	{"bad-query", "GET", "/journal?op=%zz", "", nil, 400, `the query "op=%zz" cannot be read: invalid URL escape "%zz"`, "name=value pairs, percent-encoded and joined by &"},
	{"bad-parameter", "GET", "/journal?ops=sts.token", "", nil, 400, `the query parameter "ops" is unknown`, "one of: op, host, after, refused, format"},
	{"bad-parameter", "GET", "/info?verbose", "", nil, 400, `the query parameter "verbose" is unknown`, "no query parameters"},
	{"bad-parameter", "GET", "/journal?host=a&host=b", "", nil, 400, "the query parameter host is there more than once", "it once; only op may be repeated"},
	{"bad-parameter", "GET", "/journal?op=", "", nil, 400, "the query parameter op is empty", "the name of an operation, such as sts.token"},
	{"bad-parameter", "GET", "/journal?host=", "", nil, 400, "the query parameter host is empty", "the name of an emulated host"},
	{"bad-parameter", "GET", "/journal?after=-1", "", nil, 400, `the query parameter after is "-1"`, entryNumber},
	{"bad-parameter", "GET", "/journal?after=99999999999999999999", "", nil, 400, `the query parameter after is "99999999999999999999"`, entryNumber},
	{"bad-parameter", "GET", "/journal?refused=yes", "", nil, 400, `the query parameter refused is "yes"`, "true or false"},
	{"bad-parameter", "GET", "/journal?format=xml", "", nil, 400, `the query parameter format is "xml"`, "text or json"},
	{"large-body", "POST", "/faults", strings.Repeat(" ", 1<<20+1), nil, 413, "the request body is too large", "at most 1048576 bytes"},
	{"not-json", "POST", "/clock", `{"advance":"2h"}`, []string{"Content-Type", ""}, 415, `the request body is of the type ""`, jsonType},
	{"not-json", "POST", "/faults", `{}`, []string{"Content-Type", "text/plain"}, 415, `the request body is of the type "text/plain"`, jsonType},
	{"not-json", "DELETE", "/faults", `{}`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, `the request body is of the type "application/x-www-form-urlencoded"`, jsonType},
	{"bad-body", "POST", "/clock", "", nil, 400, "the request body says neither advance nor set", clockExample},
	{"bad-body", "POST", "/clock", "{", nil, 400, "the request body is not JSON: unexpected end of JSON input", clockExample},
	{"bad-body", "POST", "/clock", "{}{}", nil, 400, "the request body is not JSON: invalid character '{' after top-level value", clockExample},
	{"bad-body", "POST", "/clock", `["2h"]`, nil, 400, "the request body is not an object", clockExample},
	{"bad-body", "POST", "/clock", `null`, nil, 400, "the request body is not an object", clockExample},
	{"bad-body", "POST", "/clock", `{"Advance":"2h"}`, nil, 400, `the request body has the unknown member "Advance"`, clockExample},
	{"bad-body", "POST", "/clock", `{"advance":"2h","advance":"3h"}`, nil, 400, `the request body has the member "advance" twice`, clockExample},
	{"bad-body", "POST", "/clock", `{"advance":7200}`, nil, 400, `the member "advance" of the request body is not text`, clockExample},
	{"bad-body", "POST", "/clock", `{"advance":{"set":"2h"}}`, nil, 400, `the member "advance" of the request body is not text`, clockExample},
	{"bad-body", "POST", "/clock", `{"set":null}`, nil, 400, `the member "set" of the request body is not text`, clockExample},
	{"bad-body", "POST", "/clock", `{"advance":"2h","set":"2025-01-15T12:00:00Z"}`, nil, 400, "the request body says both advance and set", clockExample},
	{"bad-body", "POST", "/clock", `{"advance":"2 hours"}`, nil, 400, `advance is "2 hours"`, aDuration},
	{"bad-body", "POST", "/clock", `{"advance":"9999999h"}`, nil, 400, `advance is "9999999h"`, aDuration},
	{"bad-body", "POST", "/clock", `{"set":"2025-01-15"}`, nil, 400, `set is "2025-01-15"`, aTime},
	{"time-out-of-range", "POST", "/clock", `{"set":"9999-12-31T23:59:59Z"}`, nil, 422, "the clock would show the year 9999", years},
	{"time-out-of-range", "POST", "/clock", `{"advance":"2000000h"}`, nil, 422, "the clock would show the year 2253", years},
	{"time-out-of-range", "POST", "/clock", `{"advance":"-2000000h"}`, nil, 422, "the clock would show the year 1796", years},
	{"bad-body", "POST", "/keys/rotate", `{"tenant":"x"}`, nil, 400, `the request body has the unknown member "tenant"`, issuerExample},
	{"bad-body", "POST", "/keys/retire", `{"issuer":1}`, nil, 400, `the member "issuer" of the request body is not text`, issuerExample},
	{"cannot", "POST", "/keys/retire", `{"issuer":"gitlab"}`, nil, 422, `there is no issuer "gitlab"; known: github`, "the name of an issuer of this cloud, or none for Entra's own keys"},
	{"bad-body", "POST", "/token", "", nil, 400, "the request body is not a JSON object", tokenExample},
	{"bad-body", "POST", "/token", "null", nil, 400, "the request body is not a JSON object", tokenExample},
	{"bad-body", "POST", "/token", `{"Issuer":"github"}`, nil, 400, `the request body has the unknown member "Issuer"`, tokenExample},
	{"bad-body", "POST", "/token", `{"claims":{}}`, nil, 400, `the member "issuer" of the request body is not the name of an issuer`, tokenExample},
	{"bad-body", "POST", "/token", `{"issuer":"github","claims":["sub"]}`, nil, 400, `the member "claims" of the request body is not an object`, tokenExample},
	{"cannot", "POST", "/doors", `{"host":"wbe"}`, nil, 422, `there is no host "wbe"; there are: web`, "the name of a host of this cloud"},
	{"bad-body", "POST", "/doors", "", nil, 400, "the request body names no host", `{"host": name}`},
	{"bad-body", "POST", "/doors", `{"Host":"web"}`, nil, 400, `the request body has the unknown member "Host"`, `{"host": name}`},
	{"cannot", "POST", "/token", `{"issuer":"gitlab"}`, nil, 422, `there is no issuer "gitlab"; known: github`, "the name of an issuer of this cloud"},
	{"bad-body", "POST", "/reset", `{"hard":true}`, nil, 400, `the request body has the unknown member "hard"`, "an empty body, or {}"},
	{"bad-body", "GET", "/info", `[]`, nil, 400, "the request body is not an object", "an empty body, or {}"},
	{"bad-body", "DELETE", "/journal", `{"op":"x"}`, nil, 400, `the request body has the unknown member "op"`, "an empty body, or {}"},
	{"bad-body", "POST", "/faults", "", nil, 400, "fault rule: is not JSON: unexpected end of JSON input", aRule},
	{"bad-body", "POST", "/faults", `"hangup"`, nil, 400, "fault rule: is text", aRule},
	{"bad-body", "POST", "/faults", `{"op":"sts.token","wen":1}`, nil, 400, `fault rule: has the unknown member "wen"`, ruleMembers},
	{"bad-body", "POST", "/faults", `[{"op":"sts.token","hangup":true},{"op":"sts.token","respond":{"status":"503"}}]`, nil, 400, "fault rule: [1].respond.status is text", "200 to 599"},
	{"bad-body", "POST", "/faults", `{"op":"sts.token"}`, nil, 400, "fault rule: says nothing to do", "one of: respond, delay, hang, hangup, reset, refuse"},
	{"cannot", "POST", "/faults", `{"op":"sts.toke","hangup":true}`, nil, 422, `fault "": there is no operation "sts.toke"`, "rules for operations that this cloud has, named as in the journal"},
}

// ask sends a request with a JSON body over loopback.
func ask(t *testing.T, s *httptest.Server, method, target, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = []string{headers[i+1]}
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestEveryBadRequestIsToldWhatWasExpected(t *testing.T) {
	cloud := newTestCloud()
	_, s := serving(t, cloud)
	for _, tc := range provocations {
		resp, body := ask(t, s, tc.method, tc.target, tc.body, tc.headers...)
		var got answer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s %s %.60s: %s is not JSON: %v", tc.method, tc.target, tc.body, body, err)
			continue
		}
		if diff := cmp.Diff(answer{tc.problem, tc.expected}, got); diff != "" || resp.StatusCode != tc.status {
			t.Errorf("%s %s %.60s: status %d, want %d; -want +got:\n%s", tc.method, tc.target, tc.body, resp.StatusCode, tc.status, diff)
		}
		if resp.Header.Get("Content-Type") != "application/json; charset=utf-8" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: headers %v", tc.method, tc.target, resp.Header)
		}
	}
	if heard, faults := cloud.heard(), cloud.Faults(); len(heard)+len(faults) != 0 || !cloud.Now().Equal(noon) {
		t.Errorf("refused requests had effects: %v, %v, %v", heard, faults, cloud.Now())
	}
}

// brokenClouds bring the rows about that need another cloud than the usual.
var brokenClouds = []struct {
	row, method, target, body string
	edit                      func(*testCloud)
	status                    int
	want                      answer
}{
	{"cannot", "POST", "/clock", `{"advance":"1h"}`, stuck, 422, answer{"the clock is stuck", "a cloud whose clock can be moved"}},
	{"cannot", "POST", "/clock", `{"set":"2025-01-15T13:00:00Z"}`, stuck, 422, answer{"the clock is stuck", "a cloud whose clock can be moved"}},
	{"reset-failed", "POST", "/reset", ``, stuck, 500, answer{"the cloud could not be reset: the clock is stuck", "nothing else from you; restart the cloud"}},
	{"no-ca", "GET", "/ca", ``, func(c *testCloud) { c.ca = nil }, 404, answer{"this cloud has no certificate authority", "a cloud that is served over HTTPS"}},
}

func stuck(c *testCloud) { c.broken = errors.New("the clock is stuck") }

func TestACloudThatCannotSaysWhy(t *testing.T) {
	for _, tc := range brokenClouds {
		cloud := newTestCloud()
		tc.edit(cloud)
		_, s := serving(t, cloud)
		resp, body := ask(t, s, tc.method, tc.target, tc.body)
		var got answer
		if err := json.Unmarshal([]byte(body), &got); err != nil || got != tc.want || resp.StatusCode != tc.status {
			t.Errorf("%s %s: %d %s, want %d %+v", tc.method, tc.target, resp.StatusCode, body, tc.status, tc.want)
		}
	}
}

func TestABodyThatEndsEarlyIsRefused(t *testing.T) {
	cloud := newTestCloud()
	_, s := serving(t, cloud)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /reset HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{}")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	want := `{"error":"the request body ended early: unexpected EOF","expected":"as many bytes as Content-Length announces, or a chunked body with its last chunk"}`
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.HasSuffix(string(got), want) {
		t.Errorf("got %s (%v), want a 400 with %s", got, err, want)
	}
	if heard := cloud.heard(); len(heard) != 0 {
		t.Errorf("the cloud was told %v", heard)
	}
}

func TestEveryRowHasASourceAndIsProvoked(t *testing.T) {
	provoked := map[string]bool{"unreadable-body": true} // by TestABodyThatEndsEarlyIsRefused
	for _, tc := range provocations {
		provoked[tc.row] = true
	}
	for _, tc := range brokenClouds {
		provoked[tc.row] = true
	}
	seen := map[string]bool{}
	for _, w := range rows {
		if w.source == "" || w.status < 400 || seen[w.name] || !provoked[w.name] {
			t.Errorf("row %s: status %d, source %q, provoked %v, there twice %v", w.name, w.status, w.source, provoked[w.name], seen[w.name])
		}
		seen[w.name] = true
	}
	for name := range provoked {
		if !seen[name] {
			t.Errorf("there is no row %s", name)
		}
	}
}
