package directory

import (
	"strings"
	"testing"
)

func TestDirectoryRefusesTakenIdentifiers(t *testing.T) {
	d := New(audience)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.AddTenant(Tenant{ID: "t1", Name: "Contoso", Domains: []string{"contoso.onmicrosoft.com"}}))
	must(d.AddApplication(Application{Name: "exporter", Tenant: "t1", ClientID: "a1", ObjectID: "o1", IdentifierURIs: []string{"api://exporter"}}))
	for want, err := range map[string]error{
		`the tenant ID t1 belongs to "Contoso" already`:                                       d.AddTenant(Tenant{ID: "t1", Name: "Fabrikam"}),
		`the domain CONTOSO.onmicrosoft.com belongs to "Contoso" already`:                     d.AddTenant(Tenant{ID: "t2", Name: "Fabrikam", Domains: []string{"CONTOSO.onmicrosoft.com"}}),
		`application "other": a1 is the client ID of exporter already`:                        d.AddApplication(Application{Name: "other", ClientID: "a1"}),
		`the identifier URI API://Exporter/ belongs to "exporter" already`:                    d.AddApplication(Application{Name: "other", ClientID: "a2", IdentifierURIs: []string{"API://Exporter/"}}),
		`the identifier URI https://graph.microsoft.com belongs to "Microsoft Graph" already`: d.AddApplication(Application{Name: "other", ClientID: "a3", IdentifierURIs: []string{"https://graph.microsoft.com"}}),
		`managed identity "mi": a1 is the client ID of exporter already`:                      d.AddManagedIdentity(ManagedIdentity{Name: "mi", ClientID: "a1"}),
		`there is no application with the client ID nobody`:                                   d.UpdateApplication("nobody", func(*Application) {}),
		`there is no managed identity with the client ID nobody`:                              d.UpdateManagedIdentity("nobody", func(*ManagedIdentity) {}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
	if _, ok := d.Tenant("t2"); ok {
		t.Error("a tenant that was refused is there all the same")
	}
	if got, _ := d.Tenant("Contoso.OnMicrosoft.com"); got.ID != "t1" {
		t.Errorf("Tenant by domain in another case = %q, want t1", got.ID)
	}
	if got := d.Explain("A1"); got != "A1 (client ID of exporter)" {
		t.Errorf("Explain = %q", got)
	}
}

func TestResourceNeedsAServicePrincipalInTheTenant(t *testing.T) {
	d := New(audience)
	if err := d.AddTenant(Tenant{ID: "t1", Name: "Contoso"}); err != nil {
		t.Fatal(err)
	}
	if err := d.AddApplication(Application{Name: "orders", Tenant: "t1", ClientID: "a1", ObjectID: "o1", IdentifierURIs: []string{"api://orders"}, TokenVersion: 2}); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Resource("t1", "api://orders"); ok {
		t.Error("a resource without a service principal was found")
	}
	d.PutServicePrincipal(ServicePrincipal{Name: "orders", Tenant: "t1", ClientID: "a1", ObjectID: "s1"})
	if r, ok := d.Resource("t1", "API://Orders/"); !ok || r.AppID != "a1" || r.TokenVersion != 2 {
		t.Errorf("Resource = %+v, %v", r, ok)
	}
	if _, ok := d.Resource("t2", "api://orders"); ok {
		t.Error("a resource was found in a tenant that it is not present in")
	}
	for _, id := range []string{"https://storage.azure.com", "https://storage.azure.com/", "HTTPS://STORAGE.AZURE.COM", "https:/storage.azure.com/", string(StorageApp)} {
		if r, ok := d.Resource("t2", id); !ok || r.AppID != StorageApp {
			t.Errorf("Resource(%q) = %+v, %v; want Azure Storage", id, r, ok)
		}
	}
	if r, _ := d.Resource("t1", "api://azureadtokenexchange"); r.AppID != TokenExchangeApp || r.TokenVersion != 2 {
		t.Errorf("token exchange resource = %+v", r)
	}
}

func TestPermitted(t *testing.T) {
	const account = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/contosodata"
	const container = account + "/blobServices/default/containers/reports"
	const read, write, list = blobServices + "containers/blobs/read", blobServices + "containers/blobs/write", blobServices + "containers/read"
	for _, tc := range []struct {
		role       string
		scope, on  ResourceID
		permission string
		want       bool
	}{
		{"Storage Blob Data Reader", account, container, read, true},
		{"Storage Blob Data Reader", account, container, write, false},
		{"Storage Blob Data Reader", account, account, list, true},
		{"Storage Blob Data Reader", container, account, list, false},
		{"Storage Blob Data Reader", container, container, read, true},
		{"Storage Blob Data Reader", account + "2", container, read, false},
		{"Storage Blob Data Reader", "/subscriptions/S/RESOURCEGROUPS/rg", container, read, true},
		{"Storage Blob Data Contributor", account, container, write, true},
		{"Storage Blob Data Owner", account, container, blobServices + "containers/blobs/tags/read", true},
		{"Storage Blob Data Contributor", account, container, blobServices + "containers/blobs/tags/read", false},
		{"Owner", "/", container, read, false},
		{"Owner", "/", account, list, false},
	} {
		d := New(audience)
		role, ok := RoleNamed(tc.role)
		if !ok {
			t.Fatalf("no role %q", tc.role)
		}
		d.Assign(RoleAssignment{Principal: "p", Role: role, Scope: tc.scope})
		if got := d.Permitted("p", tc.permission, tc.on); got != tc.want {
			t.Errorf("%s on %s: Permitted(%s, %s) = %v, want %v", tc.role, tc.scope, tc.permission, tc.on, got, tc.want)
		}
		if d.Permitted("someone else", tc.permission, tc.on) {
			t.Errorf("%s: a principal without a role is permitted", tc.role)
		}
	}
}
