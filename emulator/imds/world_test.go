package imds

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/fixtures"
	"github.com/fakeentra/fakeentra/internal/edge"
)

const (
	contoso = directory.TenantID("11111111-aaaa-4bbb-8ccc-000000000001")

	agentClient    = directory.ClientID("33333333-3333-3333-3333-333333333333") // the one in testdata/wire
	agentPrincipal = directory.ObjectID("33333333-aaaa-4bbb-8ccc-000000000003")
	agentResource  = directory.ResourceID("/subscriptions/77777777-aaaa-4bbb-8ccc-000000000007/resourceGroups/rg1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/build-agent")

	deployerClient = directory.ClientID("44444444-aaaa-4bbb-8ccc-000000000004")
	systemClient   = directory.ClientID("55555555-aaaa-4bbb-8ccc-000000000005")

	exchange = "api%3A%2F%2FAzureADTokenExchange"
	tokenURL = "http://169.254.169.254/metadata/identity/oauth2/token"
	fresh    = tokenURL + "?api-version=2018-02-01&resource=" + exchange
)

// epoch is when the tests begin.
var epoch = time.Unix(1800000000, 0).UTC()

// stopped is a clock that stands still.
type stopped struct{ now time.Time }

func (c *stopped) Now() time.Time { return c.now }

// refused is a refusal by the token service.
type refused struct{ status int }

func (refused) Error() string { return "AADSTS500011" }
func (e refused) Status() int { return e.status }
func (refused) Body() []byte {
	return []byte(`{"error":"invalid_resource","error_description":"AADSTS500011"}`)
}
func (refused) Code() string { return "AADSTS500011" }
func (refused) Why() string  { return "the resource is unknown" }

// issuer is a token service that knows the resources of the directory.
type issuer struct {
	directory *directory.Directory
	ring      *token.Ring
	lifetime  time.Duration
	broken    bool
	mu        sync.Mutex
	minted    []ManagedIdentityRequest
}

func (i *issuer) IssueManagedIdentityToken(req ManagedIdentityRequest) (Grant, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.minted = append(i.minted, req)
	if i.broken {
		return Grant{}, errors.New("the key ring is empty")
	}
	resource, ok := i.directory.Resource(req.Identity.Tenant, req.Resource)
	if !ok {
		return Grant{}, refused{http.StatusBadRequest}
	}
	payload, err := json.Marshal(token.Claims{
		Audience: token.Audience{string(resource.AppID)}, Subject: string(req.Identity.ObjectID),
		Issuer:   environment.Public.IssuerV2(string(req.Identity.Tenant)),
		IssuedAt: token.NumericDate(req.Now), UTI: fmt.Sprint(len(i.minted)),
	})
	if err != nil {
		return Grant{}, err
	}
	raw, err := i.ring.Sign(payload, 2)
	return Grant{Token: raw, Issued: req.Now, Expires: req.Now.Add(i.lifetime)}, err
}

// A world is a cloud of three hosts: vm1 with the user-assigned build-agent,
// crowded with two user-assigned identities, laptop without a source, and
// system with a system-assigned identity besides a user-assigned one.
type world struct {
	*Service
	issuer *issuer
	edge   *edge.Edge
	clock  *stopped
	notary *notary
}

var pool = token.NewPool(fixtures.Keys)

func newWorld(t testing.TB) *world {
	t.Helper()
	d := directory.New(environment.Public.TokenExchangeAudience)
	must(t, d.AddTenant(directory.Tenant{ID: contoso, Name: "contoso"}))
	for _, m := range []directory.ManagedIdentity{
		{Name: "build-agent", Tenant: contoso, ClientID: agentClient, ObjectID: agentPrincipal, ResourceID: agentResource},
		{Name: "deployer", Tenant: contoso, ClientID: deployerClient, ObjectID: "44444444-aaaa-4bbb-8ccc-0000000000ff"},
		{Name: "system-vm", Tenant: contoso, ClientID: systemClient, ObjectID: "55555555-aaaa-4bbb-8ccc-0000000000ff", Kind: directory.SystemAssigned},
	} {
		must(t, d.AddManagedIdentity(m))
	}
	iss := &issuer{directory: d, ring: token.NewRing(pool.From(0)), lifetime: 24 * time.Hour}
	c := &stopped{epoch}
	n := &notary{}
	w := &world{Service: New(Config{Directory: d, Issuer: iss, Authority: n, Seed: "test"}), issuer: iss, clock: c, notary: n}
	w.edge = &edge.Edge{Clock: c, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}, Seed: "test"}
	w.populate(t)
	return w
}

func (w *world) populate(t testing.TB) {
	t.Helper()
	for _, h := range []struct {
		name       string
		source     Source
		identities []directory.ClientID
	}{
		{"vm1", IMDS, []directory.ClientID{agentClient}},
		{"crowded", IMDS, []directory.ClientID{agentClient, deployerClient}},
		{"system", IMDS, []directory.ClientID{agentClient, systemClient}},
		{"empty", IMDS, nil},
		{"laptop", NoSource, nil},
	} {
		must(t, w.AddHost(Host{Name: h.name, Source: h.source, Tenant: contoso, ResourceID: directory.ResourceID("/subscriptions/77777777-aaaa-4bbb-8ccc-000000000007/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/" + h.name)}))
		for _, id := range h.identities {
			must(t, w.Assign(h.name, id))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send carries a request through the edge, with the Metadata header unless the
// headers say otherwise. Headers are pairs of a name and a value.
func (w *world) send(t testing.TB, host, method, url string, headers ...string) edge.Response {
	t.Helper()
	in := httptest.NewRequestWithContext(t.Context(), method, url, nil)
	in.Header.Set("Metadata", "true")
	for i := 0; i < len(headers); i += 2 {
		in.Header[headers[i]] = []string{headers[i+1]}
		if headers[i+1] == "" {
			in.Header.Del(headers[i])
		}
	}
	resp, err := w.edge.Serve(w.Service, edge.Caller{Host: host}, in)
	must(t, err)
	return resp
}

func (w *world) get(t testing.TB, host, url string, headers ...string) edge.Response {
	t.Helper()
	return w.send(t, host, "GET", url, headers...)
}

// last returns the newest entry of the journal.
func (w *world) last() journal.Entry {
	entries := w.edge.Journal.Snapshot().Entries
	return entries[len(entries)-1]
}

// members decodes a body whose values are all strings.
func members(t testing.TB, body []byte) map[string]string {
	t.Helper()
	var m map[string]string
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return m
}
