package fakeentra_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A plain is a client without an SDK, for what SDKs do not let a test do.
type plain struct {
	world
	http              *http.Client
	assertion, access string // of the exchange
}

func (w world) plain() *plain { return &plain{world: w, http: w.vm.Client()} }

// exchange walks the two steps once and keeps the tokens.
func (w world) exchange(t testing.TB) *plain {
	t.Helper()
	c := w.plain()
	c.assertion = c.identityToken(t, "api://AzureADTokenExchange")
	status, body := c.exchangeWith(t, c.assertion)
	if status != 200 {
		t.Fatalf("the exchange was answered %d %v", status, body)
	}
	c.access = body["access_token"].(string)
	return c
}

func (c *plain) do(t testing.TB, method, target, contentType, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(raw)
}

func (c *plain) identityToken(t testing.TB, resource string) string {
	t.Helper()
	target := "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + url.QueryEscape(resource) + "&client_id=" + string(c.agent.ClientID)
	status, _, body := c.do(t, "GET", target, "", "", "Metadata", "true")
	var answer map[string]string
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Fatalf("IMDS answered %d %s", status, body)
	}
	return answer["access_token"]
}

// exchangeForm is what a client sends to exchange an assertion, and where to.
func (c *plain) exchangeForm(assertion string) (target, form string) {
	fields := url.Values{"grant_type": {"client_credentials"}, "client_id": {string(c.exporter.ClientID)}, "scope": {"https://storage.azure.com/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}}
	return c.contoso.Authority() + "/oauth2/v2.0/token", fields.Encode()
}

func (c *plain) exchangeWith(t testing.TB, assertion string) (int, map[string]any) {
	t.Helper()
	target, form := c.exchangeForm(assertion)
	status, _, body := c.do(t, "POST", target, "application/x-www-form-urlencoded", form)
	var answer map[string]any
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("the token endpoint answered %d %q", status, body)
	}
	return status, answer
}

// list asks for the blobs with a token and returns the status and the code.
func (c *plain) list(t testing.TB, access string) (int, string) {
	t.Helper()
	status, header, _ := c.do(t, "GET", c.account.Endpoint()+"/reports?restype=container&comp=list", "", "", "Authorization", "Bearer "+access, "x-ms-version", "2026-04-06")
	return status, header.Get("x-ms-error-code")
}

// Overlap and retirement of signing keys, as the token service and Blob see
// them.
func TestKeyRotation(t *testing.T) {
	w := newWorld(t)
	c := w.exchange(t)
	want := func(when, token string, status int) {
		t.Helper()
		if got, code := c.list(t, token); got != status {
			t.Errorf("%s: Blob answered %d %s, want %d", when, got, code, status)
		}
	}
	before := c.kids(t)
	w.RotateKeys()
	after := c.kids(t)
	if len(before) != 1 || len(after) != 2 || after[0] != before[0] || after[1] == before[0] {
		t.Fatalf("published before %v and after %v the rotation; want the old key and a new one", before, after)
	}
	want("old token, both keys published", c.access, 200)
	if status, body := c.exchangeWith(t, c.assertion); status != 200 {
		t.Errorf("old assertion, both keys published: %v", body)
	}
	renewed := w.exchange(t)
	want("new token", renewed.access, 200)

	w.RetireKeys()
	if got := c.kids(t); len(got) != 1 || got[0] != after[1] {
		t.Errorf("published after the retirement: %v, want %s alone", got, after[1])
	}
	want("old token, its key retired", c.access, 401)
	if status, body := c.exchangeWith(t, c.assertion); status != 401 || body["error_codes"].([]any)[0] != 7000272.0 {
		t.Errorf("old assertion, its key retired: %d %v", status, body)
	}
}

func (c *plain) kids(t testing.TB) []string {
	t.Helper()
	status, _, body := c.do(t, "GET", c.contoso.Authority()+"/discovery/v2.0/keys", "", "")
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(body), &set); err != nil || status != 200 {
		t.Fatalf("keys: %d %s", status, body)
	}
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.KeyID)
	}
	return out
}

// What no client should send gets JSON, or XML from Blob: never HTML, never 200.
func TestUnknownHostsAndPaths(t *testing.T) {
	w := newWorld(t)
	c := w.plain()
	for target, want := range map[string]string{
		"https://login.microsoftonline.com/":                      "404 application/json; charset=utf-8",
		"https://login.microsoftonline.com/a/b/c":                 "404 application/json; charset=utf-8",
		"http://169.254.169.254/":                                 "404 application/json; charset=utf-8",
		"http://169.254.169.254/latest/meta-data":                 "404 application/json; charset=utf-8",
		"https://contosodata.blob.core.windows.net/reports/q.csv": "401 application/xml",
	} {
		status, header, body := c.do(t, "GET", target, "", "", "Metadata", "true", "x-ms-version", "2026-04-06")
		if got := fmt.Sprint(status, " ", header.Get("Content-Type")); got != want || strings.Contains(strings.ToLower(body), "<html") {
			t.Errorf("%s answered %s, want %s: %s", target, got, want, body)
		}
	}
	for _, target := range []string{"https://example.com/", "https://nobody.blob.core.windows.net/c?comp=list", "http://metadata.google.internal/"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s answered %d; an unknown host must be an error", target, resp.StatusCode)
		} else if !strings.Contains(err.Error(), "no emulated host") || !strings.Contains(err.Error(), "contosodata.blob.core.windows.net") {
			t.Errorf("%s: %v; want an error that names the known hosts", target, err)
		}
	}
}
