package scenario

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/fixtures"
)

// everything uses every key of the format.
const everything = `fakeentra: 1
cloud: usgov
clock: 2025-01-15T12:00:00+01:00
seed: everything
era: 2023
token-lifetimes: {managed-identity: 8h, application: 90m}
tenants:
  contoso:
    id: AAAAAAAA-1111-1111-1111-111111111111
    display-name: Contoso Ltd
    domains: [Contoso.example, contoso.onmicrosoft.us]
    policies: {workload-identity-federation: disabled, github-enterprises: [contoso]}
    managed-identities:
      agent:
        client-id: 44444444-4444-4444-4444-444444444444
        principal-id: 33333333-3333-3333-3333-333333333333
        resource-id: /subscriptions/{contoso}/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/agent
        kind: user-assigned
        federated-identity-credentials:
          from-github: {trusts: github, subject: "repo:contoso/agent"}
      machine: {kind: system-assigned}
    applications:
      exporter:
        client-id: 22222222-2222-2222-2222-222222222222
        object-id: 12121212-1212-1212-1212-121212121212
        principal-id: 55555555-5555-5555-5555-555555555555
        sign-in-audience: AzureADMultipleOrgs
        secrets: [{value: s1}, {value: s2, expires: 2026-01-01T00:00:00Z}]
        certificates: [{file: keys/one.pem}]
        disabled: true
        blocked-by-conditional-access: true
        app-roles:
          orders: [Orders.Read]
          api://orders/: [Orders.Write]
          https://graph.microsoft.us: [Sites.Selected]
        federated-identity-credentials:
          by-name: {trusts: agent, visible-after: 3m, description: short}
          spelled: {issuer: "https://login.example/{contoso.id}", subject: "{agent.client-id}/{exporter.principal-id}", audiences: ["api://{exporter.object-id}"]}
          flexible: {trusts: github, claims-matching-expression: "claims['sub'] matches 'repo:contoso/*'"}
      orders:
        public-client: true
        service-principal: false
        identifier-uris: ["api://orders", "api://{contoso}/orders"]
        requested-access-token-version: 2
        app-role-assignment-required: true
  fabrikam:
    service-principals:
      exporter: {principal-id: 77777777-7777-7777-7777-777777777777, disabled: false, blocked-by-conditional-access: false, app-roles: {orders: [Orders.Read]}}
issuers:
  github: {url: "https://token.actions.githubusercontent.com"}
hosts:
  vm1: {source: imds, resource-id: "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/one", identities: [agent, machine]}
  vm2: {source: imds, tenant: fabrikam}
  laptop: {source: none}
storage-accounts:
  contosodata:
    tenant: contoso
    resource-id: /subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/contosodata
    allow-blob-public-access: true
    containers:
      reports:
        2026/q1.csv: "1"
        q2.json: {content: "{}", content-type: application/json}
        q3.bin: {content-base64: AAE=}
      empty: {}
    roles:
      agent: [Storage Blob Data Reader, Storage Blob Delegator]
    container-roles:
      reports: {exporter: storage blob data contributor}
  fabrikamdata:
    tenant: fabrikam
    roles: {exporter: Storage Blob Data Owner}
faults:
  - {name: busy, op: imds.token, after: 1, times: 2, respond: {status: 429, header: {retry-after: 1}, body: later}}
  - {op: sts.token, delay: 1.5s}
  - {op: blob.list-blobs, hangup: true}
  - {op: blob.get, refuse: ServerBusy}
  - {op: imds.token, for: 70s, refuse: updating-410}
  - {op: imds.token, hang: true}
  - {op: imds.token, reset: true}
`

func parsed(t *testing.T, text string, opts ...Option) *Scenario {
	t.Helper()
	s, err := Parse("test.yaml", []byte(text), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func certificatePEM(t *testing.T) (string, *x509.Certificate) {
	t.Helper()
	rest, err := fixtures.Keys.ReadFile("keys/key1.pem")
	if err != nil {
		t.Fatal(err)
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatal("key1.pem has no certificate")
		}
		if block.Type == "CERTIFICATE" {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			return string(pem.EncodeToMemory(block)), c
		}
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Scenario{}), cmp.Comparer(func(a, b *x509.Certificate) bool { return a.Equal(b) })); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

func TestEveryKeyArrivesInTheScenario(t *testing.T) {
	text, certificate := certificatePEM(t)
	s := parsed(t, everything, Files(fstest.MapFS{"keys/one.pem": {Data: []byte(text)}}))
	equal(t, "the clock", s.Clock, time.Date(2025, 1, 15, 11, 0, 0, 0, time.UTC))
	equal(t, "the rest of the head", []any{s.Name, s.Cloud, s.Seed, s.Era, s.TokenLifetimes, s.Environment().LoginHost},
		[]any{"test.yaml", "usgov", "everything", "2023", TokenLifetimes{8 * time.Hour, 90 * time.Minute}, "login.microsoftonline.us"})
	contoso := s.Tenants[0]
	equal(t, "the application", contoso.Applications[0], Application{
		Name: "exporter", Line: 23, MultiTenant: true, TokenVersion: 1,
		ClientID: "22222222-2222-2222-2222-222222222222", ObjectID: "12121212-1212-1212-1212-121212121212",
		Secrets:      []directory.ClientSecret{{Value: "s1"}, {Value: "s2", Expires: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
		Certificates: []*x509.Certificate{certificate},
		ServicePrincipal: &ServicePrincipal{
			Application: "exporter", Line: 23, ClientID: "22222222-2222-2222-2222-222222222222", PrincipalID: "55555555-5555-5555-5555-555555555555",
			Disabled: true, Blocked: true,
			AppRoles: map[directory.ClientID][]string{
				ApplicationClientID("everything", "orders"): {"Orders.Read", "Orders.Write"},
				"00000003-0000-0000-c000-000000000000":      {"Sites.Selected"},
			},
		},
		Federated: []FederatedIdentityCredential{
			{Name: "by-name", Line: 37, Issuer: "https://login.microsoftonline.us/aaaaaaaa-1111-1111-1111-111111111111/v2.0", Subject: "33333333-3333-3333-3333-333333333333",
				Audiences: []string{"api://AzureADTokenExchangeUSGov"}, Description: "short", VisibleAfter: 3 * time.Minute},
			{Name: "spelled", Line: 38, Issuer: "https://login.example/aaaaaaaa-1111-1111-1111-111111111111",
				Subject: "44444444-4444-4444-4444-444444444444/55555555-5555-5555-5555-555555555555", Audiences: []string{"api://12121212-1212-1212-1212-121212121212"}},
			{Name: "flexible", Line: 39, Issuer: "https://token.actions.githubusercontent.com", Audiences: []string{"api://AzureADTokenExchangeUSGov"},
				ClaimsMatchingExpression: "claims['sub'] matches 'repo:contoso/*'"},
		},
	})
	equal(t, "the resource", contoso.Applications[1], Application{
		Name: "orders", Line: 40, Public: true, TokenVersion: 2, AssignmentNeeded: true,
		ClientID: ApplicationClientID("everything", "orders"), ObjectID: ApplicationObjectID("everything", "orders"),
		IdentifierURIs: []string{"api://orders", "api://aaaaaaaa-1111-1111-1111-111111111111/orders"},
	})
	equal(t, "the issuers", s.Issuers, []Issuer{{Name: "github", Line: 50, URL: "https://token.actions.githubusercontent.com"}})
}

func TestTenantsIdentitiesAndConsentArriveInTheScenario(t *testing.T) {
	s := parsed(t, strings.Replace(everything, "        certificates: [{file: keys/one.pem}]\n", "", 1))
	contoso, fabrikam := s.Tenants[0], s.Tenants[1]
	contoso.Applications = nil
	const vm = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/one"
	equal(t, "the tenant", contoso, Tenant{
		Name: "contoso", Line: 8, ID: "aaaaaaaa-1111-1111-1111-111111111111", DisplayName: "Contoso Ltd",
		Domains:  []string{"contoso.example", "contoso.onmicrosoft.us"},
		Policies: directory.Policies{FederationDisabled: true, GitHubEnterprises: []string{"contoso"}},
		ManagedIdentities: []ManagedIdentity{
			{Name: "agent", Line: 14, ClientID: "44444444-4444-4444-4444-444444444444", PrincipalID: "33333333-3333-3333-3333-333333333333",
				ResourceID: "/subscriptions/aaaaaaaa-1111-1111-1111-111111111111/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/agent",
				Federated: []FederatedIdentityCredential{{Name: "from-github", Line: 20, Issuer: "https://token.actions.githubusercontent.com",
					Subject: "repo:contoso/agent", Audiences: []string{"api://AzureADTokenExchangeUSGov"}}}},
			{Name: "machine", Line: 21, Kind: directory.SystemAssigned, ResourceID: vm,
				ClientID: ManagedIdentityClientID("everything", "machine"), PrincipalID: ManagedIdentityPrincipalID("everything", "machine")},
		},
	})
	equal(t, "the other tenant", fabrikam, Tenant{
		Name: "fabrikam", Line: 45, ID: TenantID("everything", "fabrikam"), DisplayName: "Fabrikam", Domains: []string{"fabrikam.onmicrosoft.com"},
		ServicePrincipals: []ServicePrincipal{{Application: "exporter", Line: 47, ClientID: "22222222-2222-2222-2222-222222222222",
			PrincipalID: "77777777-7777-7777-7777-777777777777",
			AppRoles:    map[directory.ClientID][]string{ApplicationClientID("everything", "orders"): {"Orders.Read"}}}},
	})
	equal(t, "the hosts", s.Hosts, []Host{
		{Name: "vm1", Line: 51, Source: SourceIMDS, Tenant: "contoso", ResourceID: vm, Identities: []string{"agent", "machine"}},
		{Name: "vm2", Line: 52, Source: SourceIMDS, Tenant: "fabrikam", ResourceID: HostResourceID(SourceIMDS, "everything", "fabrikam", "vm2")},
		{Name: "laptop", Line: 53, Source: SourceNone},
	})
}

func TestAccountsAndFaultsArriveInTheScenario(t *testing.T) {
	s := parsed(t, strings.Replace(everything, "        certificates: [{file: keys/one.pem}]\n", "", 1))
	role := func(name string) directory.Role {
		r, ok := directory.RoleNamed(name)
		if !ok {
			t.Fatalf("no role %s", name)
		}
		return r
	}
	const account = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/contosodata"
	fabrikam := StorageAccountResourceID("everything", "fabrikam", "fabrikamdata")
	equal(t, "the accounts", s.StorageAccounts, []StorageAccount{
		{
			Name: "contosodata", Line: 55, Tenant: "contoso", ResourceID: account, AllowBlobPublicAccess: true,
			Containers: []Container{
				{Name: "reports", Line: 60, Blobs: []Blob{
					{Name: "2026/q1.csv", Line: 61, Content: []byte("1")},
					{Name: "q2.json", Line: 62, Content: []byte("{}"), ContentType: "application/json"},
					{Name: "q3.bin", Line: 63, Content: []byte{0, 1}},
				}},
				{Name: "empty", Line: 64},
			},
			Roles: []RoleAssignment{
				{Principal: "agent", Line: 66, PrincipalID: "33333333-3333-3333-3333-333333333333", Role: role("Storage Blob Data Reader"), Scope: account},
				{Principal: "agent", Line: 66, PrincipalID: "33333333-3333-3333-3333-333333333333", Role: role("Storage Blob Delegator"), Scope: account},
				{Principal: "exporter", Line: 68, PrincipalID: "55555555-5555-5555-5555-555555555555", Role: role("Storage Blob Data Contributor"),
					Container: "reports", Scope: account + "/blobServices/default/containers/reports"},
			},
		},
		{
			Name: "fabrikamdata", Line: 69, Tenant: "fabrikam", ResourceID: fabrikam,
			Roles: []RoleAssignment{{Principal: "exporter", Line: 71, PrincipalID: "77777777-7777-7777-7777-777777777777", Role: role("Storage Blob Data Owner"), Scope: fabrikam}},
		},
	})
	equal(t, "the faults", s.Faults, []Fault{
		{73, fault.Rule{Name: "busy", Op: "imds.token", After: 1, Times: 2, Do: fault.Respond{Status: 429, Header: http.Header{"Retry-After": {"1"}}, Body: "later"}}},
		{74, fault.Rule{Op: "sts.token", Do: fault.Delay(1500 * time.Millisecond)}},
		{75, fault.Rule{Op: "blob.list-blobs", Do: fault.Hangup{}}},
		{76, fault.Rule{Op: "blob.get", Do: fault.Refuse("ServerBusy")}},
		{77, fault.Rule{Op: "imds.token", For: 70 * time.Second, Do: fault.Refuse("updating-410")}},
		{78, fault.Rule{Op: "imds.token", Do: fault.Hang{}}},
		{79, fault.Rule{Op: "imds.token", Do: fault.Reset{}}},
	})
}

func TestDefaultsAreThoseOfTheDocumentation(t *testing.T) {
	s := parsed(t, "fakeentra: 1\ntenants: {contoso: {managed-identities: {agent: {}}}}\nhosts: {vm1: {source: imds}}\nstorage-accounts: {contosodata: {}}")
	equal(t, "the head", []any{s.Cloud, s.Clock, s.Seed, s.Era, s.TokenLifetimes},
		[]any{"public", time.Time{}, "fakeentra", "2025", TokenLifetimes{24 * time.Hour, time.Hour}})
	equal(t, "the tenant's ID", string(s.Tenants[0].ID), "6f9c261c-41ef-50ea-aaf0-99b9480a1035")
	equal(t, "the host", s.Hosts[0].Tenant, "contoso")
	equal(t, "the account", s.StorageAccounts[0].Tenant, "contoso")
}

func TestCredentialsOfTheDirectoryAppearWhenTheyAreVisible(t *testing.T) {
	start := time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)
	c := FederatedIdentityCredential{Name: "fic", Issuer: "i", Subject: "s", Audiences: []string{"a"}}
	equal(t, "one that is visible at once", c.Directory(start), directory.FederatedIdentityCredential{Name: "fic", Issuer: "i", Subject: "s", Audiences: []string{"a"}})
	c.VisibleAfter = time.Minute
	equal(t, "when a late one is visible", c.Directory(start).VisibleFrom, start.Add(time.Minute))
}

func TestOperationsOfFaultsHaveToExist(t *testing.T) {
	const text = "fakeentra: 1\nfaults:\n- {op: imds.tokn, hangup: true}\n"
	_, err := Parse("f.yaml", []byte(text), Operations(func() []journal.Op { return []journal.Op{"imds.token", "sts.token"} }))
	want := `f.yaml:3: there is no operation "imds.tokn"; did you mean "imds.token"? expected imds.token or sts.token`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
