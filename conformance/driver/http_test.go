package driver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// silent is a driver that is not asked for anything.
type silent struct{}

func (silent) Hello() Hello                { return Hello{Implementation: Implementation{Name: "silent"}} }
func (silent) Open(Config) (Client, error) { panic("nobody opens it") }

func TestHandlerAnswersRunnersAlone(t *testing.T) {
	server := httptest.NewServer(Handler(silent{}))
	defer server.Close()
	const hello = `{"id":1,"op":"hello"}`
	for name, c := range map[string]struct {
		body   string
		header http.Header
		status int
		says   string
	}{
		"a runner":                 {hello, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, http.StatusOK, `"name":"silent"`},
		"a page's form":            {hello, http.Header{"Content-Type": {"text/plain"}}, http.StatusUnsupportedMediaType, `the Content-Type is "text/plain"; expected application/json`},
		"nothing said":             {hello, http.Header{"Content-Type": {""}}, http.StatusUnsupportedMediaType, `the Content-Type is ""; expected application/json`},
		"a page of another origin": {hello, http.Header{"Content-Type": {"application/json"}, "Origin": {"https://example.com"}}, http.StatusForbidden, `the request comes from a page of "https://example.com"`},
		"a brace too many":         {hello + "}", http.Header{"Content-Type": {"application/json"}}, http.StatusBadRequest, "something follows it"},
		"two requests":             {hello + hello, http.Header{"Content-Type": {"application/json"}}, http.StatusBadRequest, "something follows it"},
		"rubbish":                  {"hello", http.Header{"Content-Type": {"application/json"}}, http.StatusBadRequest, "the request is no object in JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/fcd", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = c.header
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.says) {
				t.Errorf("answered with %d, %q, %v; want %d, %q", resp.StatusCode, body, err, c.status, c.says)
			}
		})
	}
}
