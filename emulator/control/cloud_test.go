package control

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

var noon = time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)

// A testCloud is a Cloud that does little more than to note what it was told.
type testCloud struct {
	journal *journal.Journal
	plan    fault.Plan
	ca      []byte
	broken  error // what Reset, Advance and SetTime answer

	mu   sync.Mutex
	now  time.Time
	told []string
}

func newTestCloud() *testCloud {
	return &testCloud{journal: journal.New(journal.Limits{}), now: noon, ca: []byte("-----BEGIN CERTIFICATE-----\n")}
}

func (c *testCloud) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, fmt.Sprintf(format, args...))
}

func (c *testCloud) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.told)
}

func (c *testCloud) Journal() journal.Log { return c.journal.Snapshot() }
func (c *testCloud) ClearJournal()        { c.journal.Reset() }

func (c *testCloud) Inject(rules ...fault.Rule) error {
	for _, r := range rules {
		if err := r.Check(func(op journal.Op) bool { return op == "imds.token" || op == "sts.token" }); err != nil {
			return err
		}
	}
	c.plan.Add(rules...)
	return nil
}
func (c *testCloud) Faults() []fault.Status { return c.plan.Status() }
func (c *testCloud) ClearFaults()           { c.plan.Reset() }

func (c *testCloud) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testCloud) Advance(d time.Duration) error { return c.SetTime(c.Now().Add(d)) }

func (c *testCloud) SetTime(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.now = t.UTC()
	}
	return c.broken
}

func (c *testCloud) RotateKeys(issuer string) error { return c.keys("rotate", issuer) }
func (c *testCloud) RetireKeys(issuer string) error { return c.keys("retire", issuer) }

func (c *testCloud) keys(what, issuer string) error {
	if issuer != "" && issuer != "github" {
		return fmt.Errorf("there is no issuer %q; known: github", issuer)
	}
	c.note("%s %q", what, issuer)
	return nil
}

func (c *testCloud) SignToken(issuer string, claims map[string]any) (string, error) {
	if issuer != "github" {
		return "", fmt.Errorf("there is no issuer %q; known: github", issuer)
	}
	payload, err := json.Marshal(claims)
	return "signed " + string(payload), err
}

func (c *testCloud) Reset() error {
	c.note("reset")
	return c.broken
}

func (c *testCloud) CA() []byte { return c.ca }

func (c *testCloud) OpenDoors(host string) (HostDoors, error) {
	if host != "web" {
		return HostDoors{}, fmt.Errorf("there is no host %q; there are: web", host)
	}
	return HostDoors{Host: host, Doors: map[string]string{"proxy": "http://127.0.0.1:8081"}, Variables: []string{"IDENTITY_HEADER=x"}}, nil
}

func (c *testCloud) Info() Info {
	return Info{
		Version: "1.2.3", Scenario: "msi-fic-blob.yaml", Environment: "public",
		Tenants: []Tenant{{Name: "contoso", ID: "11111111-1111-1111-1111-111111111111", Domains: []string{"contoso.onmicrosoft.com"}}},
		Applications: []Application{{Name: "exporter", Tenant: "contoso", ClientID: "22222222-2222-2222-2222-222222222222",
			ServicePrincipals: []ServicePrincipal{{"contoso", "55555555-5555-5555-5555-555555555555"}}}},
		ManagedIdentities: []ManagedIdentity{{Name: "build-agent", Tenant: "contoso", Kind: "user-assigned",
			ClientID: "44444444-4444-4444-4444-444444444444", PrincipalID: "33333333-3333-3333-3333-333333333333", ResourceID: "/subscriptions/s"}},
		Issuers:         []Issuer{{"github", "https://token.actions.githubusercontent.com"}},
		Hosts:           []Host{{Name: "vm1", Source: "imds", Identities: []string{"build-agent"}}},
		StorageAccounts: []StorageAccount{{Name: "contosodata", Tenant: "contoso", ResourceID: "/subscriptions/s/a", BlobEndpoint: "https://contosodata.blob.core.windows.net/", Containers: []string{"reports"}}},
		Doors:           map[string]string{"proxy": "http://127.0.0.1:8080"},
	}
}

// record adds an exchange to the journal.
func (c *testCloud) record(e journal.Entry) {
	e.Seq, e.Time = c.journal.Open(), noon
	c.journal.Close(e)
}

// serving returns a client of c over loopback.
func serving(t *testing.T, c Cloud, names ...string) (*Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(Handler(c, names...))
	t.Cleanup(s.Close)
	return NewClient(s.URL, nil), s
}
