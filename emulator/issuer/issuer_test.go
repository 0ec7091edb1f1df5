package issuer

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/clock"
	"github.com/fakeentra/fakeentra/internal/edge"
)

func get(t *testing.T, s *Service, url string) edge.Response {
	t.Helper()
	e := &edge.Edge{Clock: &clock.Adjustable{}, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}}
	resp, err := e.Serve(s, edge.Caller{}, httptest.NewRequestWithContext(t.Context(), "GET", url, nil))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestAnIssuerPublishesWhatItSignsWith(t *testing.T) {
	pool := token.NewPool(os.DirFS("../../fixtures"))
	s := New()
	for _, i := range []*Issuer{
		{Name: "github", URL: "https://token.actions.githubusercontent.com", Ring: token.NewRing(pool.From(0))},
		{Name: "cluster", URL: "https://oidc.example.test/cluster/1/", Ring: token.NewRing(pool.From(1))},
	} {
		if err := s.Add(i); err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(i.URL, "/")
		var doc configuration
		if err := json.Unmarshal(get(t, s, base+"/.well-known/openid-configuration").Body, &doc); err != nil || doc.Issuer != i.URL || doc.JWKSURI != base+"/.well-known/jwks" {
			t.Fatalf("%s: configuration %+v, %v", i.Name, doc, err)
		}
		var set token.JWKS
		if err := json.Unmarshal(get(t, s, doc.JWKSURI).Body, &set); err != nil || len(set.Keys) != 1 {
			t.Fatalf("%s: key set %+v, %v", i.Name, set, err)
		}
		raw, err := i.Sign(map[string]any{"sub": "x"})
		if err != nil {
			t.Fatal(err)
		}
		key, err := set.Keys[0].PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := token.Parse(raw); err != nil || tok.Verify(key, "RS256") != nil || tok.Header.KeyID != set.Keys[0].KeyID {
			t.Errorf("%s: the token does not verify with the published key: %v", i.Name, err)
		}
	}
	for _, url := range []string{"https://oidc.example.test/.well-known/jwks", "https://token.actions.githubusercontent.com/keys"} {
		if resp := get(t, s, url); resp.Status != 404 {
			t.Errorf("%s answered %d, want 404", url, resp.Status)
		}
	}
	if !s.Knows("oidc.example.test") || s.Knows("example.test") {
		t.Error("Knows does not fit the issuers' hosts")
	}
}

func TestAddRefusesWhatIsNoIssuer(t *testing.T) {
	s := New()
	if err := s.Add(&Issuer{Name: "one", URL: "https://one.test"}); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"http://plain.test":   "expected an https URL",
		"one.test":            "expected an https URL",
		"https://x.test/?a=b": "without query",
		"https://one.test/":   "one has the URL https://one.test already",
	} {
		if err := s.Add(&Issuer{Name: "two", URL: url}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Add(%q) = %v, want %q", url, err, want)
		}
	}
}
