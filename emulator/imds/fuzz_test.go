package imds

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// Whatever a client sends, IMDS answers in JSON, says why it refuses, and hands
// out nothing without the Metadata header.
func FuzzTokenRequest(f *testing.F) {
	for _, seed := range []struct{ query, metadata string }{
		{"api-version=2018-02-01&resource=api%3A%2F%2FAzureADTokenExchange", "true"},
		{"api-version=2018-02-01&resource=https://storage.azure.com/&client_id=33333333-3333-3333-3333-333333333333", "True"},
		{"api-version=2018-02-01&resource=x&object_id=&msi_res_id=%2F", "true"},
		{"api-version=2018-02-01&resource=\"<>&\xff\u2028\x00", "true"},
		{"resource=a&resource=b&api-version=%", "false"},
		{"a;b", "true"},
		{"", ""},
	} {
		f.Add(seed.query, seed.metadata)
	}
	w := newWorld(f)
	w.edge.Journal = journal.New(journal.Limits{Entries: 1})
	f.Fuzz(func(t *testing.T, query, metadata string) {
		in := &http.Request{
			Method: http.MethodGet, Header: http.Header{"Metadata": {metadata}},
			URL: &url.URL{Scheme: "http", Host: "169.254.169.254", Path: "/metadata/identity/oauth2/token", RawQuery: query},
		}
		resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "vm1"}, in)
		if err != nil || !json.Valid(resp.Body) {
			t.Fatalf("%d %q, %v", resp.Status, resp.Body, err)
		}
		why := w.last().Decision.Why
		switch resp.Status {
		case http.StatusOK:
			if len(metadata) != len("true") || members(t, resp.Body)["access_token"] == "" {
				t.Fatalf("Metadata: %q was answered with %s", metadata, resp.Body)
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			if why == "" {
				t.Fatalf("refused without a reason: %s", resp.Body)
			}
		default:
			t.Fatalf("%d: %s", resp.Status, why)
		}
	})
}

// Whatever is asked of the rest of IMDS, it answers in JSON, or in text where a
// query may ask for that, and says why it refuses.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []struct{ method, path, query string }{
		{"GET", "/metadata/instance", "api-version=2021-02-01"},
		{"GET", "/metadata/instance/compute/tagsList/0/value", "api-version=2025-04-07&format=text"},
		{"GET", "/metadata/instance/network/interface/-1//ipv4/", "api-version=2017-03-01&format=TEXT"},
		{"GET", "/METADATA/attested/document", "api-version=2018-10-01&nonce=1234567890"},
		{"POST", "/metadata/scheduledevents", "api-version=2020-07-01"},
		{"GET", "/metadata/loadbalancer", "api-version=2020-10-01&a=1&a=2"},
		{"GET", "/metadata/identity/getplatformmetadata", "cred-api-version=2.0&mi_res_id=%2F"},
		{"PUT", "/metadata/versions/%2e%2e", "%"},
		{"", "", ""},
	} {
		f.Add(seed.method, seed.path, seed.query)
	}
	w := credentialWorld(f)
	w.edge.Journal = journal.New(journal.Limits{Entries: 1})
	f.Fuzz(func(t *testing.T, method, path, query string) {
		in := &http.Request{Method: method, Header: http.Header{"Metadata": {"true"}}, URL: &url.URL{Scheme: "http", Host: "169.254.169.254", Path: path, RawQuery: query}}
		resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "modern"}, in)
		text := resp.Status == http.StatusOK && resp.Header.Get("Content-Type") == "text/plain; charset=utf-8"
		if err != nil || !text && !json.Valid(resp.Body) {
			t.Fatalf("%s %s?%s: %d %q, %v", method, path, query, resp.Status, resp.Body, err)
		}
		if why := w.last().Decision.Why; resp.Status != http.StatusOK && (why == "" || resp.Status >= 500) {
			t.Fatalf("%s %s?%s: %d %s: %s", method, path, query, resp.Status, resp.Body, why)
		}
	})
}
