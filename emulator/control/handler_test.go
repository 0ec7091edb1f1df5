package control

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/journal"
)

func TestAnswersHaveTheirDocumentedForm(t *testing.T) {
	cloud := newTestCloud()
	_, s := serving(t, cloud)
	cloud.record(journal.Entry{Op: "sts.token", Host: "vm1", Request: journal.Request{Method: "GET", URL: "https://h/"}, Response: journal.Response{Status: 200}})
	const (
		asJSON = "application/json; charset=utf-8"
		asText = "text/plain; charset=utf-8"
		line   = "1 sts.token 200 vm1\n"
		log    = `{"entries":[{"seq":1,"time":"2025-01-15T12:00:00Z","op":"sts.token","host":"vm1","request":{"method":"GET","url":"https://h/","size":0},"response":{"status":200,"size":0},"line":"1 sts.token 200 vm1"}],"dropped":{"entries":0,"bytes":0}}`
	)
	for _, tc := range []struct {
		method, target, body, accept string
		status                       int
		contentType, want            string
	}{
		{"GET", "/health", "", "", 200, asJSON, `{"status":"ok","version":"1.2.3","scenario":"msi-fic-blob.yaml"}`},
		{"HEAD", "/health", "", "", 200, asJSON, ""},
		{"GET", "/journal", "", "", 200, asJSON, log},
		{"GET", "/journal?refused=false", "", "*/*", 200, asJSON, log},
		{"GET", "/journal?op=imds.token", "", "", 200, asJSON, `{"entries":[],"dropped":{"entries":0,"bytes":0}}`},
		{"GET", "/journal", "", "text/plain", 200, asText, line},
		{"GET", "/journal", "", "text/html, TEXT/PLAIN;q=0.5, */*", 200, asText, line},
		{"GET", "/journal", "", "application/json, text/plain", 200, asJSON, log},
		{"GET", "/journal?format=text", "", "application/json", 200, asText, line},
		{"GET", "/journal?format=json", "", "text/plain", 200, asJSON, log},
		{"GET", "/faults", "", "", 200, asJSON, `{"faults":[]}`},
		{"POST", "/faults", `{"op":"sts.token","hangup":true}`, "", 200, asJSON, `{"faults":[{"name":"hangup","op":"sts.token","seen":0,"fired":0,"open":true}]}`},
		{"DELETE", "/faults", `{}`, "", 204, "", ""},
		{"GET", "/clock", "", "", 200, asJSON, `{"now":"2025-01-15T12:00:00Z"}`},
		{"POST", "/clock", `{"advance":"1.5s"}`, "", 200, asJSON, `{"now":"2025-01-15T12:00:01.5Z"}`},
		{"POST", "/clock", `{"set":"2025-01-15T13:00:00+01:00"}`, "", 200, asJSON, `{"now":"2025-01-15T12:00:00Z"}`},
		{"POST", "/keys/rotate", "", "", 204, "", ""},
		{"POST", "/keys/retire", "{}", "", 204, "", ""},
		{"POST", "/doors", `{"host":"web"}`, "", 200, asJSON, `{"host":"web","doors":{"proxy":"http://127.0.0.1:8081"},"variables":["IDENTITY_HEADER=x"]}`},
		{"GET", "/ca", "", "", 200, "application/x-pem-file", "-----BEGIN CERTIFICATE-----\n"},
		{"DELETE", "/journal", "", "", 204, "", ""},
		{"POST", "/reset", "", "", 204, "", ""},
	} {
		resp, body := ask(t, s, tc.method, tc.target, tc.body, "Accept", tc.accept)
		if resp.StatusCode != tc.status || resp.Header.Get("Content-Type") != tc.contentType || body != tc.want {
			t.Errorf("%s %s (%s):\ngot  %d %s %s\nwant %d %s %s", tc.method, tc.target, tc.accept, resp.StatusCode, resp.Header.Get("Content-Type"), body, tc.status, tc.contentType, tc.want)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: headers %v lack nosniff or no-store", tc.method, tc.target, resp.Header)
		}
	}
}

func TestAWrongMethodIsToldTheRightOnes(t *testing.T) {
	_, s := serving(t, newTestCloud())
	for target, want := range map[string]string{"/journal": "GET, DELETE, HEAD", "/faults": "GET, POST, DELETE, HEAD", "/reset": "POST"} {
		if resp, _ := ask(t, s, "PATCH", target, ""); resp.Header.Get("Allow") != want {
			t.Errorf("%s: Allow is %q, want %q", target, resp.Header.Get("Allow"), want)
		}
	}
}

func TestOnlyNamesThatNoPageCanClaimAreServed(t *testing.T) {
	handler := Handler(newTestCloud(), "FakeEntra")
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "api.localhost": 200, "127.0.0.1:8080": 200, "127.1.2.3": 200,
		"10.0.0.7": 200, "[::1]": 200, "[::1]:8080": 200, "[fe80::1%eth0]:80": 200, "fakeentra": 200, "fakeentra:8080": 200,
		"": 403, "evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "notfakeentra": 403,
		"fakeentra.evil.example": 403, "localhost.": 403, "127.1": 403, "0x7f000001": 403, "user@127.0.0.1": 403, "[evil.example]": 403, "127.0.0.1:80:80": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/health", nil)
		r.Host = host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q: %d, want %d", host, w.Code, want)
		}
	}
}

func TestTheLargestBodyIsStillRead(t *testing.T) {
	_, s := serving(t, newTestCloud())
	rule := `{"op":"sts.token","hangup":true}`
	if resp, body := ask(t, s, "POST", "/faults", rule+strings.Repeat(" ", 1<<20-len(rule))); resp.StatusCode != 200 {
		t.Errorf("a body of 1 MiB: %d %s", resp.StatusCode, body)
	}
}

func FuzzRequests(f *testing.F) {
	for _, tc := range provocations {
		if len(tc.body) < 1000 && strings.HasPrefix(tc.target, "/") && !strings.HasPrefix(tc.target, "//") {
			f.Add(tc.method, tc.target[1:], []byte(tc.body))
		}
	}
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		r, err := http.NewRequest(method, "http://localhost/"+target, strings.NewReader(string(body)))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		Handler(newTestCloud()).ServeHTTP(w, r)
		if w.Code >= 500 || (w.Code >= 400 && method != "HEAD" && !strings.Contains(w.Body.String(), `"expected":"`)) {
			t.Fatalf("%s %s %q: %d %s", method, target, body, w.Code, w.Body)
		}
	})
}
