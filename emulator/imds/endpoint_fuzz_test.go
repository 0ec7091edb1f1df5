package imds

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// fuzzEndpoint sends whatever a client may send to the endpoint of a source. Each
// answer is a token or says why not, and there is no token for whom allows does
// not let have one.
func fuzzEndpoint(f *testing.F, source Source, path string, allows func(header string, w *world) bool, headers ...string) {
	seeds := []string{
		"api-version=2019-08-01&resource=api%3A%2F%2FAzureADTokenExchange", "api-version=2017-09-01&resource=https://storage.azure.com/&clientid=",
		"api-version=2020-06-01&resource=https://storage.azure.com/&client_id=33333333-3333-3333-3333-333333333333&object_id=x",
		"api-version=2019-07-01-preview&resource=\"<>&\xff\u2028\x00%", "a;b", "",
	}
	w := newPlace(f, source, agentClient, ownClient)
	w.edge.Journal = journal.New(journal.Limits{Entries: 1})
	host, _ := w.Host("box")
	for _, seed := range seeds {
		f.Add("GET", seed, w.secret(host), seed)
		f.Add("POST", seed, "true", seed)
	}
	f.Fuzz(func(t *testing.T, method, query, header, body string) {
		in := &http.Request{Method: method, Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: "localhost:1", Path: path, RawQuery: query}, Body: io.NopCloser(strings.NewReader(body))}
		for _, name := range headers {
			in.Header.Set(name, header)
		}
		resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, in)
		if err != nil || len(resp.Body) > 0 && !json.Valid(resp.Body) {
			t.Fatalf("%d %q, %v", resp.Status, resp.Body, err)
		}
		switch why := w.last().Decision.Why; {
		case resp.Status == http.StatusOK:
			if !allows(header, w) || !strings.Contains(string(resp.Body), `"access_token":"ey`) {
				t.Fatalf("%q was answered with %s", header, resp.Body)
			}
		case why == "" || resp.Status < 400 || strings.Contains(why, "bug in fakeentra"):
			t.Fatalf("%d %s: %s", resp.Status, resp.Body, why)
		}
	})
}

func ownSecret(header string, w *world) bool {
	host, _ := w.Host("box")
	return header == w.secret(host)
}

func isTrue(header string, _ *world) bool { return strings.EqualFold(header, "true") }

func FuzzAppService(f *testing.F) {
	fuzzEndpoint(f, AppService, "/msi/token", ownSecret, "X-Identity-Header", "Secret")
}

func FuzzFunctions(f *testing.F) {
	fuzzEndpoint(f, Functions, "/msi/token", ownSecret, "X-Identity-Header", "Secret")
}

func FuzzContainerApps(f *testing.F) {
	fuzzEndpoint(f, ContainerApps, "/msi/token", ownSecret, "X-Identity-Header", "Secret")
}

// Nobody can guess a key of Azure Arc.
func FuzzAzureArc(f *testing.F) {
	fuzzEndpoint(f, Arc, "/metadata/identity/oauth2/token", func(string, *world) bool { return false }, "Metadata", "Authorization")
}

func FuzzServiceFabric(f *testing.F) {
	fuzzEndpoint(f, ServiceFabric, "/metadata/identity/oauth2/token", ownSecret, "Secret")
}

func FuzzCloudShell(f *testing.F) {
	fuzzEndpoint(f, CloudShell, "/oauth2/token", isTrue, "Metadata")
}

func FuzzAzureML(f *testing.F) { fuzzEndpoint(f, AzureML, "/MSI/auth/", ownSecret, "Secret") }
