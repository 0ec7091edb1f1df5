package blob

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

const (
	contoso  = "0a1b2c3d-0000-4000-8000-00000000aaaa"
	fabrikam = "0a1b2c3d-0000-4000-8000-00000000bbbb"
	owner    = "11111111-0000-4000-8000-000000000001"
	reader   = "11111111-0000-4000-8000-000000000002"
	adder    = "11111111-0000-4000-8000-000000000003"
	stranger = "11111111-0000-4000-8000-000000000004"
	endpoint = "https://contosodata.blob.core.windows.net"
	latest   = "2026-12-06"
)

var start = time.Date(2026, 4, 23, 20, 46, 51, 606204500, time.UTC)

// pool is shared, so that the keys are read once.
var pool = token.NewPool(os.DirFS("../../fixtures"))

// world is a Blob service with two accounts behind an edge.
type world struct {
	*Service
	t    *testing.T
	ring *token.Ring
	edge *edge.Edge
	now  time.Time
}

// Now makes a world a clock.
func (w *world) Now() time.Time { return w.now }

func newWorld(t *testing.T) *world {
	t.Helper()
	d := directory.New(environment.Public.TokenExchangeAudience)
	w := &world{t: t, now: start, ring: token.NewRing(pool.From(0))}
	w.Service = New(Config{Environment: environment.Public, Directory: d, Keys: w.ring, Seed: "test"})
	w.edge = &edge.Edge{Clock: w, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}, Seed: "test"}
	for id, name := range map[directory.TenantID]string{contoso: "contoso", fabrikam: "fabrikam"} {
		if err := d.AddTenant(directory.Tenant{ID: id, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	data := directory.ResourceID("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/contosodata")
	for _, a := range []Account{
		{Name: "contosodata", Tenant: contoso, ResourceID: data},
		{Name: "contosopublic", Tenant: contoso, ResourceID: data + "2", PublicAccess: true},
	} {
		if err := w.AddAccount(a); err != nil {
			t.Fatal(err)
		}
	}
	for id, role := range map[directory.ObjectID]directory.Role{
		owner:  named(t, "Storage Blob Data Owner"),
		reader: named(t, "Storage Blob Data Reader"),
		adder:  {Name: "adder", DataActions: []string{addBlob.action}},
	} {
		d.PutServicePrincipal(directory.ServicePrincipal{Name: role.Name, Tenant: contoso, ClientID: directory.ClientID("client of " + id), ObjectID: id})
		d.Assign(directory.RoleAssignment{Principal: id, Role: role, Scope: "/subscriptions/s"})
	}
	return w
}

func named(t *testing.T, name string) directory.Role {
	t.Helper()
	r, ok := directory.RoleNamed(name)
	if !ok {
		t.Fatalf("no role %s", name)
	}
	return r
}

// claims are those of a good token.
func (w *world) claims(principal string) token.Claims {
	return token.Claims{
		Audience: token.Audience{storageAudience}, Issuer: "https://sts.windows.net/" + contoso + "/", TenantID: contoso, ObjectID: principal,
		NotBefore: token.NumericDate(w.now), Expires: token.NumericDate(w.now.Add(time.Hour)), Version: "1.0",
	}
}

func (w *world) mint(c token.Claims) string {
	w.t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := w.ring.Sign(payload, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

// RoundTrip makes a world a transport.
func (w *world) RoundTrip(in *http.Request) (*http.Response, error) {
	resp, err := w.edge.Serve(w.Service, edge.Caller{TLS: in.URL.Scheme == "https"}, in)
	if err != nil {
		return nil, err
	}
	return resp.HTTP(in), nil
}

// An ask is a request, by the owner of everything and with the latest version
// unless its header says otherwise. A header field "-" is left out.
type ask struct {
	request string // method and URL; a URL that begins with / is on the endpoint
	header  map[string]string
	body    string
	as      string
}

// A reply is an answer whose body was read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(a ask) reply {
	w.t.Helper()
	method, url, _ := strings.Cut(a.request, " ")
	if strings.HasPrefix(url, "/") {
		url = endpoint + url
	}
	in := httptest.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(a.body))
	if a.as == "" {
		a.as = owner
	}
	in.Header.Set("x-ms-version", latest)
	in.Header.Set("Authorization", "Bearer "+w.mint(w.claims(a.as)))
	for name, v := range a.header {
		if in.Header.Set(name, v); v == "-" {
			in.Header.Del(name)
		}
	}
	resp, err := w.RoundTrip(in)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// must asks and fails the test unless the status is as wanted.
func (w *world) must(status int, a ask) reply {
	w.t.Helper()
	got := w.do(a)
	if got.status != status {
		w.t.Fatalf("%s: got %d, want %d; %s\n%s", a.request, got.status, status, got.body, w.edge.Journal.Snapshot())
	}
	return got
}

func (w *world) last() journal.Entry {
	entries := w.edge.Journal.Snapshot().Entries
	return entries[len(entries)-1]
}

// put stores a blob without going through the service's checks.
func (w *world) put(container, name, content string) {
	w.t.Helper()
	if err := w.PutBlob("contosodata", container, name, []byte(content), "text/plain", w.now); err != nil {
		w.t.Fatal(err)
	}
}
