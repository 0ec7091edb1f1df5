package sts

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/clock"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// The identifiers of the golden examples in the facts.
const (
	contoso    = "11111111-1111-1111-1111-111111111111"
	exporter   = "22222222-2222-2222-2222-222222222222"
	agentOID   = "33333333-3333-3333-3333-333333333333"
	agentCID   = "44444444-4444-4444-4444-444444444444"
	exporterSP = "55555555-5555-5555-5555-555555555555"
	fabrikam   = "66666666-6666-6666-6666-666666666666"
	remoteSP   = "77777777-7777-7777-7777-777777777777"
	ordersCID  = "88888888-8888-8888-8888-888888888888"
	strangeCID = "99999999-9999-9999-9999-999999999999"

	exchange     = "api://AzureADTokenExchange"
	storageScope = "https://storage.azure.com/.default"
	host         = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.Compute/virtualMachines/vm1"
)

var start = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

var pool = token.NewPool(os.DirFS("../../fixtures"))

// fixed is a clock that stands still until it is moved.
type fixed struct{ now time.Time }

func (f *fixed) Now() time.Time { return f.now }

var _ clock.Clock = (*fixed)(nil)

// A world is a token service with one exporter that trusts one build agent.
type world struct {
	t       *testing.T
	dir     *directory.Directory
	sts     *Service
	edge    *edge.Edge
	clock   *fixed
	issuer  *token.Ring // of https://issuer.test
	fetched map[string]string
	// presented is the certificate that the client shows in TLS.
	presented *x509.Certificate
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: directory.New(exchange), clock: &fixed{start}, issuer: token.NewRing(pool.From(4)), fetched: map[string]string{}}
	w.edge = &edge.Edge{Clock: w.clock, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}, Seed: "test"}
	w.sts = New(Config{
		Environment: environment.Public, Directory: w.dir, Ring: token.NewRing(pool.From(0)),
		Era: Era2025, Lifetimes: DefaultLifetimes, Seed: "test", Fetch: w.fetch,
	})
	w.must(w.dir.AddTenant(directory.Tenant{ID: contoso, Name: "Contoso", Domains: []string{"contoso.onmicrosoft.com"}}))
	w.must(w.dir.AddTenant(directory.Tenant{ID: fabrikam, Name: "Fabrikam"}))
	w.must(w.dir.AddManagedIdentity(directory.ManagedIdentity{Name: "build-agent", Tenant: contoso, ClientID: agentCID, ObjectID: agentOID,
		ResourceID: "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/build-agent"}))
	w.must(w.dir.AddApplication(directory.Application{Name: "exporter", Tenant: contoso, ClientID: exporter, ObjectID: "e0", MultiTenant: true,
		Federated: []directory.FederatedIdentityCredential{msiAsFIC()}, Secrets: []directory.ClientSecret{{Value: "s3cret"}}}))
	w.dir.PutServicePrincipal(directory.ServicePrincipal{Name: "exporter", Tenant: contoso, ClientID: exporter, ObjectID: exporterSP})
	w.publish("https://issuer.test", w.issuer)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func msiAsFIC() directory.FederatedIdentityCredential {
	return directory.FederatedIdentityCredential{Name: "msi-as-fic", Issuer: environment.Public.IssuerV2(contoso), Subject: agentOID, Audiences: []string{exchange}}
}

func external() directory.FederatedIdentityCredential {
	return directory.FederatedIdentityCredential{Name: "external", Issuer: "https://issuer.test", Subject: "job-1", Audiences: []string{exchange}}
}

func (w *world) fetch(url string) (int, []byte, error) {
	body, ok := w.fetched[url]
	switch {
	case body == "no answer":
		return 0, nil, errors.New("connection refused")
	case !ok:
		return 404, nil, nil
	}
	return 200, []byte(body), nil
}

// publish makes the documents of an issuer available.
func (w *world) publish(issuer string, ring *token.Ring) {
	keys, err := ring.Published()
	w.must(err)
	set := token.JWKS{}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.JWK())
	}
	body, err := json.Marshal(set)
	w.must(err)
	w.fetched[issuer+"/.well-known/openid-configuration"] = `{"issuer":"` + issuer + `","jwks_uri":"` + issuer + `/keys"}`
	w.fetched[issuer+"/keys"] = string(body)
}

// app edits the exporter.
func (w *world) app(edit func(*directory.Application)) *world {
	w.t.Helper()
	w.must(w.dir.UpdateApplication(exporter, edit))
	return w
}

// trusting gives the exporter other credentials.
func (w *world) trusting(credentials ...directory.FederatedIdentityCredential) *world {
	w.t.Helper()
	return w.app(func(a *directory.Application) { a.Federated = credentials })
}

// identityToken returns the build agent's token for a resource.
func (w *world) identityToken(resource string) string {
	w.t.Helper()
	m, _ := w.dir.ManagedIdentity(agentCID)
	got, err := w.sts.IdentityToken(IdentityRequest{Now: w.clock.now, RequestID: "7d1c2f60-5b3a-4e0e-9a41-0c2f5b6a7d00", Identity: m, Resource: resource, Host: host})
	w.must(err)
	return got.Raw
}

// forged returns the build agent's exchange token with some claims changed and
// a good signature. A nil value takes a claim away.
func (w *world) forged(changes map[string]any) string {
	w.t.Helper()
	tok, err := token.Parse(w.identityToken(exchange))
	w.must(err)
	maps.Copy(tok.All, changes)
	maps.DeleteFunc(tok.All, func(_ string, v any) bool { return v == nil })
	return w.sign(w.sts.Ring, tok.All)
}

// byIssuer returns a token of https://issuer.test that the credential external
// accepts, with some claims changed.
func (w *world) byIssuer(changes map[string]any) string {
	w.t.Helper()
	claims := map[string]any{"iss": "https://issuer.test", "sub": "job-1", "aud": exchange, "nbf": start.Unix(), "exp": start.Add(time.Hour).Unix()}
	maps.Copy(claims, changes)
	return w.sign(w.issuer, claims)
}

func (w *world) sign(ring *token.Ring, claims map[string]any) string {
	w.t.Helper()
	payload, err := json.Marshal(claims)
	w.must(err)
	raw, err := ring.Sign(payload, 2)
	w.must(err)
	return raw
}

// A reply is an answer of the token service.
type reply struct {
	Status int
	Header http.Header
	Body   map[string]any
}

func (w *world) do(method, target, contentType, body string, header http.Header) reply {
	w.t.Helper()
	in := httptest.NewRequestWithContext(w.t.Context(), method, "https://login.microsoftonline.com"+target, strings.NewReader(body))
	if contentType != "" {
		in.Header.Set("Content-Type", contentType)
	}
	maps.Copy(in.Header, header)
	answer, err := w.edge.Serve(w.sts, edge.Caller{Host: "vm1", TLS: true, Certificate: w.presented}, in)
	w.must(err)
	resp := answer.HTTP(in)
	raw, err := io.ReadAll(resp.Body)
	w.must(err)
	out := reply{Status: resp.StatusCode, Header: resp.Header}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&out.Body); err != nil {
		w.t.Fatalf("%s %s answered %d with %q, which is not JSON: %v", method, target, resp.StatusCode, raw, err)
	}
	return out
}

func (w *world) get(target string) reply { return w.do("GET", target, "", "", nil) }

// post sends a form to the v2.0 token endpoint of contoso.
func (w *world) post(fields ...string) reply {
	w.t.Helper()
	return w.postTo("/"+contoso+"/oauth2/v2.0/token", fields...)
}

func (w *world) postTo(target string, fields ...string) reply {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return w.do("POST", target, "application/x-www-form-urlencoded", form.Encode(), nil)
}

// withAssertion posts a good request with this assertion; fields change or add
// to it.
func (w *world) withAssertion(assertion string, fields ...string) reply {
	w.t.Helper()
	return w.post(append([]string{"grant_type", "client_credentials", "client_id", exporter, "scope", storageScope,
		"client_assertion_type", assertionBearer, "client_assertion", assertion}, fields...)...)
}

// withSecret posts a good request with the exporter's secret; fields change or
// add to it.
func (w *world) withSecret(fields ...string) reply {
	w.t.Helper()
	return w.post(append([]string{"grant_type", "client_credentials", "client_id", exporter, "client_secret", "s3cret", "scope", storageScope}, fields...)...)
}

// claims returns the claims of the access token in an answer, whose signature
// is verified.
func (w *world) claims(r reply) token.Claims {
	w.t.Helper()
	if r.Status != 200 {
		w.t.Fatalf("answered %d: %v\n%s", r.Status, r.Body, w.edge.Journal.Snapshot())
	}
	tok, err := token.Parse(r.Body["access_token"].(string))
	w.must(err)
	key, ok := w.sts.Ring.Lookup(tok.Header.KeyID)
	if !ok {
		w.t.Fatalf("the token is signed with the unpublished key %s", tok.Header.KeyID)
	}
	w.must(tok.Verify(key, "RS256"))
	return tok.Claims
}

// certified gives the exporter a certificate and returns the key it belongs to.
func (w *world) certified() *token.Key {
	w.t.Helper()
	key, err := pool.From(5)()
	w.must(err)
	certificate, err := x509.ParseCertificate(key.Certificate)
	w.must(err)
	w.app(func(a *directory.Application) { a.Certificates = []*x509.Certificate{certificate} })
	return key
}

// bySelf returns an assertion that the exporter signed, with some claims
// changed.
func (w *world) bySelf(key *token.Key, changes map[string]any) string {
	w.t.Helper()
	claims := map[string]any{"iss": exporter, "sub": exporter, "aud": "https://login.microsoftonline.com/" + contoso + "/oauth2/v2.0/token",
		"nbf": start.Unix(), "exp": start.Add(10 * time.Minute).Unix(), "jti": "1"}
	maps.Copy(claims, changes)
	payload, err := json.Marshal(claims)
	w.must(err)
	raw, err := key.Sign(payload, 1)
	w.must(err)
	return raw
}

func (w *world) lastWhy() string {
	entries := w.edge.Journal.Snapshot().Entries
	return entries[len(entries)-1].Decision.Why
}

func certificateOf(t *testing.T, k *token.Key) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
