package fakeentra

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/issuer"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// A Tenant is an Entra tenant.
type Tenant struct {
	directory.Tenant
	cloud *Cloud
	key   string // what it was added under
}

// AddTenant adds a tenant whose identifier is derived from name, with the domain
// <name>.onmicrosoft.com.
func (c *Cloud) AddTenant(name string) *Tenant {
	t := directory.Tenant{ID: scenario.TenantID(c.seed, name), Name: name, Domains: []string{strings.ToLower(name) + ".onmicrosoft.com"}}
	must(c.addTenant(name, t))
	return &Tenant{t, c, name}
}

func (c *Cloud) addTenant(name string, t directory.Tenant) error {
	if name == "" {
		return fmt.Errorf("a tenant needs a name")
	}
	if err := c.directory.AddTenant(t); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tenants == nil {
		c.tenants = map[string]directory.TenantID{}
	}
	c.tenants[name] = t.ID
	return nil
}

// Tenant returns the tenant that was added under name. It panics if there is
// none.
func (c *Cloud) Tenant(name string) *Tenant {
	c.mu.Lock()
	id, ok := c.tenants[name]
	c.mu.Unlock()
	if !ok {
		must(fmt.Errorf("there is no tenant %q", name))
	}
	t, _ := c.directory.Tenant(string(id))
	return &Tenant{t, c, name}
}

// Authority returns the authority URL that clients are configured with, such as
// https://login.microsoftonline.com/<tenant id>.
func (t *Tenant) Authority() string { return t.cloud.environment.Authority(string(t.ID)) }

// Issuer returns the v2.0 issuer of the tenant's tokens.
func (t *Tenant) Issuer() string { return t.cloud.environment.IssuerV2(string(t.ID)) }

// Sign returns a token with exactly these claims, signed with the key that all
// tenants share. It does not check that they make sense.
func (t *Tenant) Sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	must(err)
	raw, err := t.cloud.ring.Sign(payload, 2)
	must(err)
	return raw
}

// A ManagedIdentity is a managed identity and the names it goes by.
type ManagedIdentity struct {
	directory.ManagedIdentity
	cloud *Cloud
}

// AddManagedIdentity adds a user-assigned managed identity.
func (t *Tenant) AddManagedIdentity(name string) *ManagedIdentity {
	return t.addIdentity(name, directory.UserAssigned)
}

// AddSystemAssignedIdentity adds a managed identity that lives and dies with
// the one host it is assigned to.
func (t *Tenant) AddSystemAssignedIdentity(name string) *ManagedIdentity {
	return t.addIdentity(name, directory.SystemAssigned)
}

func (t *Tenant) addIdentity(name string, kind directory.ManagedIdentityKind) *ManagedIdentity {
	seed := t.cloud.seed
	m := directory.ManagedIdentity{
		Name: name, Tenant: t.ID, Kind: kind,
		ClientID: scenario.ManagedIdentityClientID(seed, name), ObjectID: scenario.ManagedIdentityPrincipalID(seed, name),
		ResourceID: scenario.ManagedIdentityResourceID(seed, t.key, name),
	}
	must(t.cloud.addIdentity(m))
	return &ManagedIdentity{m, t.cloud}
}

func (c *Cloud) addIdentity(m directory.ManagedIdentity) error {
	if m.Name == "" {
		return fmt.Errorf("a managed identity needs a name")
	}
	if err := directory.CheckFederated(m.Federated); err != nil {
		return fmt.Errorf("managed identity %q: %w", m.Name, err)
	}
	if err := c.directory.AddManagedIdentity(m); err != nil {
		return err
	}
	c.remember(m.Name, m.ClientID)
	return nil
}

// remember keeps the client ID of an application or a managed identity by name.
func (c *Cloud) remember(name string, id directory.ClientID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients == nil {
		c.clients = map[string]directory.ClientID{}
	}
	c.clients[name] = id
}

func (c *Cloud) clientID(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.clients[name])
}

// ManagedIdentity returns the managed identity that was added under name. It
// panics if there is none.
func (c *Cloud) ManagedIdentity(name string) *ManagedIdentity {
	m, ok := c.directory.ManagedIdentity(c.clientID(name))
	if !ok {
		must(fmt.Errorf("there is no managed identity %q", name))
	}
	return &ManagedIdentity{m, c}
}

// AddFederatedIdentityCredential adds f to a user-assigned identity, which then
// can be signed in as by a workload outside Azure. It panics when Microsoft
// Graph would not create f; wrong values show at the exchange.
func (m *ManagedIdentity) AddFederatedIdentityCredential(f directory.FederatedIdentityCredential) *ManagedIdentity {
	must(m.cloud.directory.UpdateManagedIdentity(m.ClientID, func(d *directory.ManagedIdentity) {
		all := append(d.Federated[:len(d.Federated):len(d.Federated)], f)
		must(directory.CheckFederated(all))
		d.Federated = all
	}))
	return m
}

// An Application is an application registration.
type Application struct {
	directory.Application
	cloud     *Cloud
	principal directory.ObjectID
}

// AddApplication adds an application and its service principal.
func (t *Tenant) AddApplication(name string) *Application {
	c := t.cloud
	a := directory.Application{
		Name: name, Tenant: t.ID,
		ClientID: scenario.ApplicationClientID(c.seed, name), ObjectID: scenario.ApplicationObjectID(c.seed, name),
	}
	must(c.addApplication(a))
	t.present(a)
	return c.Application(name)
}

func (c *Cloud) addApplication(a directory.Application) error {
	if a.Name == "" {
		return fmt.Errorf("an application needs a name")
	}
	if err := directory.CheckFederated(a.Federated); err != nil {
		return fmt.Errorf("application %q: %w", a.Name, err)
	}
	if err := c.directory.AddApplication(a); err != nil {
		return err
	}
	c.remember(a.Name, a.ClientID)
	return nil
}

func (t *Tenant) present(a directory.Application) {
	t.cloud.directory.PutServicePrincipal(directory.ServicePrincipal{
		Name: a.Name, Tenant: t.ID, ClientID: a.ClientID,
		ObjectID: scenario.ServicePrincipalID(t.cloud.seed, t.key, a.Name),
	})
}

// Application returns the application that was added under name. It panics if
// there is none.
func (c *Cloud) Application(name string) *Application {
	a, ok := c.directory.Application(c.clientID(name))
	if !ok {
		must(fmt.Errorf("there is no application %q", name))
	}
	p, _ := c.directory.ServicePrincipal(a.Tenant, a.ClientID)
	return &Application{a, c, p.ObjectID}
}

// PrincipalID returns the object ID of the application's service principal in
// its home tenant.
func (a *Application) PrincipalID() directory.ObjectID { return a.principal }

// edit changes the registration, and the handle with it.
func (a *Application) edit(change func(*directory.Application)) *Application {
	must(a.cloud.directory.UpdateApplication(a.ClientID, func(d *directory.Application) {
		change(d)
		a.Application = *d
	}))
	return a
}

// Trust adds a federated identity credential that names m by its tenant's
// issuer and its principal (object) ID.
func (a *Application) Trust(m *ManagedIdentity) *Application {
	env := a.cloud.environment
	return a.AddFederatedIdentityCredential(directory.FederatedIdentityCredential{
		Name: "trust-" + m.Name, Issuer: env.IssuerV2(string(m.Tenant)), Subject: string(m.ObjectID), Audiences: []string{env.TokenExchangeAudience},
	})
}

// AddFederatedIdentityCredential adds f as it stands, right or wrong. It panics
// when Microsoft Graph would not create f: more than 20 credentials, not
// exactly one audience, a name of a wrong form, or an issuer and subject that
// another credential has.
func (a *Application) AddFederatedIdentityCredential(f directory.FederatedIdentityCredential) *Application {
	return a.edit(func(d *directory.Application) {
		all := append(d.Federated[:len(d.Federated):len(d.Federated)], f)
		must(directory.CheckFederated(all))
		d.Federated = all
	})
}

// UpdateFederatedIdentityCredential replaces the credential that has the name of
// f. It panics when there is none, or when Microsoft Graph would refuse f.
func (a *Application) UpdateFederatedIdentityCredential(f directory.FederatedIdentityCredential) *Application {
	return a.edit(func(d *directory.Application) {
		all := slices.Clone(d.Federated)
		i := slices.IndexFunc(all, func(old directory.FederatedIdentityCredential) bool { return old.Name == f.Name })
		if i < 0 {
			must(fmt.Errorf("application %q has no federated identity credential %q", d.Name, f.Name))
		}
		all[i] = f
		must(directory.CheckFederated(all))
		d.Federated = all
	})
}

// AddSecret adds a client secret that does not expire.
func (a *Application) AddSecret(value string) *Application {
	return a.edit(func(d *directory.Application) {
		d.Secrets = append(d.Secrets[:len(d.Secrets):len(d.Secrets)], directory.ClientSecret{Value: value})
	})
}

// AddCertificate registers a certificate that the application signs assertions
// with. It panics when there is none.
func (a *Application) AddCertificate(certificate *x509.Certificate) *Application {
	if certificate == nil || len(certificate.Raw) == 0 {
		must(fmt.Errorf("application %q was given no certificate; expected one that x509.ParseCertificate returned", a.Name))
	}
	return a.edit(func(d *directory.Application) {
		d.Certificates = append(d.Certificates[:len(d.Certificates):len(d.Certificates)], certificate)
	})
}

// MultiTenant allows other tenants to consent to the application.
func (a *Application) MultiTenant() *Application {
	return a.edit(func(d *directory.Application) { d.MultiTenant = true })
}

// Expose makes the application a resource that others can ask tokens for by
// this application ID URI. version is that of the tokens it accepts, 1 or 2.
func (a *Application) Expose(identifierURI string, version int) *Application {
	return a.edit(func(d *directory.Application) {
		d.IdentifierURIs = append(d.IdentifierURIs[:len(d.IdentifierURIs):len(d.IdentifierURIs)], identifierURI)
		d.TokenVersion = version
	})
}

// Consent provisions a service principal for an application that is registered
// in another tenant. One that is there already, as in the home tenant, stays as
// it is. It panics when the application is not multi-tenant.
func (t *Tenant) Consent(a *Application) *Tenant {
	if _, present := t.cloud.directory.ServicePrincipal(t.ID, a.ClientID); present {
		return t
	}
	registered, _ := t.cloud.directory.Application(string(a.ClientID))
	if !registered.MultiTenant {
		must(fmt.Errorf("tenant %s cannot consent to %s, which is registered in another tenant and is not multi-tenant; call MultiTenant on it", t.Name, a.Name))
	}
	t.present(registered)
	return t
}

// An Issuer is an OpenID Connect issuer outside Entra that an application can
// trust.
type Issuer struct {
	cloud *Cloud
	*issuer.Issuer
}

// AddIssuer adds an OpenID Connect issuer outside Entra, such as
// https://token.actions.githubusercontent.com, whose discovery document and
// keys are served under its own host name. It panics when url is not https, or
// is on a host that another emulator answers for.
func (c *Cloud) AddIssuer(url string) *Issuer {
	i := &issuer.Issuer{Name: strings.TrimPrefix(url, "https://"), URL: url, Ring: c.issuerRing(url)}
	must(c.checkIssuerHost(url))
	must(c.issuers.Add(i))
	return &Issuer{c, i}
}

// checkIssuerHost refuses an issuer whose documents nobody could fetch. What is
// no URL at all is left to the service.
func (c *Cloud) checkIssuerHost(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || !c.router.Knows(u.Hostname()) || c.issuers.Knows(strings.ToLower(u.Hostname())) {
		return nil
	}
	return fmt.Errorf("issuer %s: %s is emulated already; expected a host outside Entra and Azure", issuer, u.Hostname())
}

// issuerRing returns the keys of an issuer, other than those of the tenants and of
// the issuers before it. They stay over Reset and Reload.
func (c *Cloud) issuerRing(name string) *token.Ring {
	l := c.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rings[name] == nil {
		l.rings[name] = token.NewRing(pool().From(c.number + 1 + len(l.rings)))
	}
	return l.rings[name]
}

// Sign returns a token with exactly these claims, signed by the issuer.
func (i *Issuer) Sign(claims map[string]any) string {
	raw, err := i.Issuer.Sign(claims)
	must(err)
	return raw
}

// RotateKeys makes the issuer sign with a new key. The old ones stay published
// until RetireKeys is called.
func (i *Issuer) RotateKeys() { must(i.Ring.Rotate()) }

// RetireKeys takes every key but the newest out of publication.
func (i *Issuer) RetireKeys() { i.Ring.Retire() }
