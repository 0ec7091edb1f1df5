// Package directory holds what a tenant knows: applications, service
// principals, managed identities, federated identity credentials and role
// assignments. It is data and rules only; nothing in it knows about HTTP or
// about tokens on the wire.
package directory

import (
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A TenantID identifies a tenant, in lower case.
type TenantID string

// An ObjectID identifies a directory object, in lower case. The ObjectID of a
// managed identity's service principal is what Azure calls its principal ID.
type ObjectID string

// A ClientID identifies an application or a managed identity to clients, in
// lower case; Graph calls it appId.
type ClientID string

// A ResourceID is an Azure Resource Manager identifier. It is compared without
// regard to letter case.
type ResourceID string

// A Tenant is an Entra tenant.
type Tenant struct {
	ID      TenantID
	Name    string // display name, such as "Contoso"
	Domains []string
	Policies
}

// Policies are the tenant-wide settings that decide about assertions.
type Policies struct {
	// FederationDisabled switches workload identity federation off.
	FederationDisabled bool
	// GitHubEnterprises, when not empty, are the values that the enterprise
	// claim of GitHub's tokens must have.
	GitHubEnterprises []string
}

// An Application is an application registration in its home tenant.
type Application struct {
	Name             string
	Tenant           TenantID
	ClientID         ClientID
	ObjectID         ObjectID
	MultiTenant      bool
	Public           bool // a public client, which must not present a credential
	Federated        []FederatedIdentityCredential
	Secrets          []ClientSecret
	Certificates     []*x509.Certificate
	IdentifierURIs   []string // what others name it by as a resource
	TokenVersion     int      // accessTokenAcceptedVersion as a resource: 1 or 2
	AssignmentNeeded bool     // as a resource: appRoleAssignmentRequired
}

// A ClientSecret is a password of an application.
type ClientSecret struct {
	Value   string
	Expires time.Time // the zero time means never
}

// A ServicePrincipal is the presence of an application in a tenant.
type ServicePrincipal struct {
	Name     string
	Tenant   TenantID
	ClientID ClientID
	ObjectID ObjectID
	Disabled bool
	Blocked  bool                  // a Conditional Access policy denies it tokens
	AppRoles map[ClientID][]string // app roles granted, by resource
}

// A ManagedIdentity is a service principal that Azure owns the credentials of.
type ManagedIdentity struct {
	Name       string
	Tenant     TenantID
	ClientID   ClientID
	ObjectID   ObjectID // the subject of its tokens
	ResourceID ResourceID
	Kind       ManagedIdentityKind
	Federated  []FederatedIdentityCredential
}

// ManagedIdentityKind says who decides how long the identity lives.
type ManagedIdentityKind int

// The two kinds of managed identities.
const (
	UserAssigned ManagedIdentityKind = iota
	SystemAssigned
)

// A Principal is something that a role can be granted to.
type Principal interface{ PrincipalID() ObjectID }

// PrincipalID returns the object ID of the identity's service principal.
func (m ManagedIdentity) PrincipalID() ObjectID { return m.ObjectID }

// PrincipalID returns the object ID of the service principal.
func (s ServicePrincipal) PrincipalID() ObjectID { return s.ObjectID }

// A Directory is the content of all tenants of one cloud. Its methods may be
// called from several goroutines. What it returns shares slices and maps with
// it: treat them as read-only.
type Directory struct {
	exchange     string
	mu           sync.RWMutex
	tenants      map[TenantID]Tenant
	domains      map[string]TenantID
	applications map[ClientID]Application
	identities   map[ClientID]ManagedIdentity
	principals   map[presence]ServicePrincipal
	resources    map[string]Resource // by normalised identifier
	assignments  map[ObjectID][]RoleAssignment
	names        map[string]string // identifier to what it identifies
}

type presence struct {
	tenant TenantID
	client ClientID
}

// New returns a Directory that knows the resources of Microsoft and nothing
// else. exchangeAudience is the cloud's token exchange audience.
func New(exchangeAudience string) *Directory {
	d := &Directory{exchange: exchangeAudience}
	d.Reset()
	return d
}

// Reset forgets everything that was added.
func (d *Directory) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tenants, d.domains = map[TenantID]Tenant{}, map[string]TenantID{}
	d.applications, d.identities = map[ClientID]Application{}, map[ClientID]ManagedIdentity{}
	d.principals, d.assignments = map[presence]ServicePrincipal{}, map[ObjectID][]RoleAssignment{}
	d.resources, d.names = map[string]Resource{}, map[string]string{}
	for _, r := range firstParty(d.exchange) {
		d.addResource(r)
	}
}

// AddTenant adds a tenant. It fails when the identifier or a domain is taken.
func (d *Directory) AddTenant(t Tenant) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, taken := d.tenants[t.ID]; taken {
		return fmt.Errorf("tenant %q: the tenant ID %s belongs to %q already", t.Name, t.ID, old.Name)
	}
	for _, domain := range t.Domains {
		if owner, taken := d.domains[strings.ToLower(domain)]; taken {
			return fmt.Errorf("tenant %q: the domain %s belongs to %q already", t.Name, domain, d.tenants[owner].Name)
		}
	}
	for _, domain := range t.Domains {
		d.domains[strings.ToLower(domain)] = t.ID
	}
	d.tenants[t.ID] = t
	d.names[string(t.ID)] = "tenant ID of " + t.Name
	return nil
}

// Tenant returns the tenant with an identifier or a verified domain, in any
// letter case.
func (d *Directory) Tenant(idOrDomain string) (Tenant, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	key := strings.ToLower(idOrDomain)
	if t, ok := d.tenants[TenantID(key)]; ok {
		return t, true
	}
	t, ok := d.tenants[d.domains[key]]
	return t, ok
}

// AddApplication adds an application registration, without a service
// principal. It fails when the client ID or an identifier URI is taken.
func (d *Directory) AddApplication(a Application) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if what, taken := d.names[string(a.ClientID)]; taken {
		return fmt.Errorf("application %q: %s is the %s already", a.Name, a.ClientID, what)
	}
	for _, uri := range a.IdentifierURIs {
		if owner, taken := d.resources[normalise(uri)]; taken {
			return fmt.Errorf("application %q: the identifier URI %s belongs to %q already", a.Name, uri, owner.Name)
		}
	}
	d.names[string(a.ClientID)] = "client ID of " + a.Name
	d.names[string(a.ObjectID)] = "application object ID of " + a.Name
	d.putApplication(a)
	return nil
}

// UpdateApplication replaces an application by what edit makes of it. It fails
// when there is no such application.
func (d *Directory) UpdateApplication(id ClientID, edit func(*Application)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.applications[id]
	if !ok {
		return fmt.Errorf("there is no application with the client ID %s", id)
	}
	edit(&a)
	d.putApplication(a)
	return nil
}

func (d *Directory) putApplication(a Application) {
	d.applications[a.ClientID] = a
	d.addResource(Resource{
		Name: a.Name, AppID: a.ClientID, Tenant: a.Tenant, Identifiers: a.IdentifierURIs,
		TokenVersion: max(a.TokenVersion, 1), AssignmentNeeded: a.AssignmentNeeded,
	})
}

// Application returns the application with a client ID in any letter case.
func (d *Directory) Application(id string) (Application, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, ok := d.applications[ClientID(strings.ToLower(id))]
	return a, ok
}

// AddManagedIdentity adds a managed identity, which is its own service
// principal. It fails when one of its identifiers is taken.
func (d *Directory) AddManagedIdentity(m ManagedIdentity) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range []string{string(m.ClientID), string(m.ObjectID)} {
		if what, taken := d.names[id]; taken {
			return fmt.Errorf("managed identity %q: %s is the %s already", m.Name, id, what)
		}
	}
	d.identities[m.ClientID] = m
	d.names[string(m.ClientID)] = "client ID of " + m.Name
	d.names[string(m.ObjectID)] = "principal ID of " + m.Name
	return nil
}

// UpdateManagedIdentity replaces a managed identity by what edit makes of it.
// It fails when there is no such identity.
func (d *Directory) UpdateManagedIdentity(id ClientID, edit func(*ManagedIdentity)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.identities[id]
	if !ok {
		return fmt.Errorf("there is no managed identity with the client ID %s", id)
	}
	edit(&m)
	d.identities[id] = m
	return nil
}

// ManagedIdentity returns the managed identity with a client ID in any letter
// case.
func (d *Directory) ManagedIdentity(id string) (ManagedIdentity, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	m, ok := d.identities[ClientID(strings.ToLower(id))]
	return m, ok
}

// PutServicePrincipal adds a service principal, or replaces the one that the
// application has in that tenant.
func (d *Directory) PutServicePrincipal(s ServicePrincipal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.principals[presence{s.Tenant, s.ClientID}] = s
	d.names[string(s.ObjectID)] = "service principal of " + s.Name + " in " + d.tenants[s.Tenant].Name
}

// RemoveServicePrincipal takes an application out of a tenant.
func (d *Directory) RemoveServicePrincipal(tenant TenantID, client ClientID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.principals, presence{tenant, client})
}

// ServicePrincipal returns the service principal of an application in a
// tenant.
func (d *Directory) ServicePrincipal(tenant TenantID, client ClientID) (ServicePrincipal, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s, ok := d.principals[presence{tenant, client}]
	return s, ok
}

// Describe says what an identifier identifies, as in "client ID of exporter".
// It returns "" for one that the directory does not know.
func (d *Directory) Describe(id string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.names[strings.ToLower(id)]
}

// Explain returns id followed by what it identifies in brackets, for the
// sentences of the journal.
func (d *Directory) Explain(id string) string {
	if what := d.Describe(id); what != "" {
		return id + " (" + what + ")"
	}
	return id
}
