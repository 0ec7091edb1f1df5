package scenario

import (
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

// defineTenant names a tenant, its managed identities and its applications,
// and gives them their identifiers.
func (b *builder) defineTenant(t *value) {
	e := b.define(kindTenant, t.name, t)
	e.properties["id"] = b.identifier(t, "id", string(TenantID(b.out.Seed, t.name)), "tenant ID")
	e.properties[""] = e.properties["id"]
	for _, domain := range b.domains(t) {
		b.claim(domain.text, "domain of "+t.name, domain.spot)
	}
	for _, m := range t.all("managed-identities") {
		e := b.define(kindIdentity, t.name, m)
		if e == nil {
			continue
		}
		e.properties["client-id"] = b.identifier(m, "client-id", string(ManagedIdentityClientID(b.out.Seed, m.name)), "client ID")
		e.properties["principal-id"] = b.identifier(m, "principal-id", string(ManagedIdentityPrincipalID(b.out.Seed, m.name)), "principal ID")
	}
	for _, a := range t.all("applications") {
		b.defineApplication(t, a)
	}
}

// domains returns the domains of a tenant, of which there is one at least.
func (b *builder) domains(t *value) []*value {
	if t.get("domains") != nil {
		return t.all("domains")
	}
	return []*value{{spot: t.spot, text: lower(t.name) + ".onmicrosoft.com"}}
}

func (b *builder) tenant(v *value) Tenant {
	policies := v.get("policies")
	t := Tenant{
		Name: v.name, Line: v.line,
		ID:          directory.TenantID(b.ownID(kindTenant, v, "id")),
		DisplayName: v.string("display-name", strings.ToUpper(v.name[:1])+v.name[1:]),
		Policies: directory.Policies{
			FederationDisabled: policies.string("workload-identity-federation", "enabled") == "disabled",
			GitHubEnterprises:  policies.strings("github-enterprises"),
		},
	}
	for _, d := range b.domains(v) {
		t.Domains = append(t.Domains, lower(d.text))
	}
	for _, m := range v.all("managed-identities") {
		t.ManagedIdentities = append(t.ManagedIdentities, b.managedIdentity(m))
	}
	for _, a := range v.all("applications") {
		t.Applications = append(t.Applications, b.application(v, a))
	}
	for _, s := range v.all("service-principals") {
		if e := b.one(kindApplication, s.name); e != nil {
			t.ServicePrincipals = append(t.ServicePrincipals, b.servicePrincipal(v.name, e, s))
		}
	}
	return t
}

func (b *builder) managedIdentity(v *value) ManagedIdentity {
	m := ManagedIdentity{
		Name: v.name, Line: v.line,
		ClientID:    directory.ClientID(b.ownID(kindIdentity, v, "client-id")),
		PrincipalID: directory.ObjectID(b.ownID(kindIdentity, v, "principal-id")),
		ResourceID:  directory.ResourceID(b.ownID(kindIdentity, v, "resource-id")),
		Federated:   b.federated(v),
	}
	if systemAssigned(v) {
		m.Kind = directory.SystemAssigned
	}
	if at := v.get("federated-identity-credentials"); at != nil && systemAssigned(v) {
		b.found.add(at.spot, "%s is system-assigned and has federated-identity-credentials; expected a user-assigned managed identity or an application", v.name)
	}
	return m
}

func systemAssigned(m *value) bool { return m.string("kind", "user-assigned") == "system-assigned" }

// identityResource returns the resource ID of a managed identity. A
// system-assigned one goes by that of its host.
func (b *builder) identityResource(e *entity) directory.ResourceID {
	if spelled := e.from.get("resource-id"); spelled != nil {
		return directory.ResourceID(b.expand(spelled))
	}
	if host, on := b.attached[e.name]; on {
		return host.ResourceID
	}
	if systemAssigned(e.from) {
		return HostResourceID(SourceIMDS, b.out.Seed, e.tenant, e.name)
	}
	return ManagedIdentityResourceID(b.out.Seed, e.tenant, e.name)
}

// one returns the thing of a kind and a name without reporting anything.
func (b *builder) one(kind, name string) *entity {
	for _, e := range b.byName[name] {
		if e.kind == kind {
			return e
		}
	}
	return nil
}

// ownID returns a property of the thing that v defines.
func (b *builder) ownID(kind string, v *value, property string) string {
	if e := b.one(kind, v.name); e != nil {
		return e.properties[property]
	}
	return ""
}

// definePresence gives an application its service principal in another tenant.
func (b *builder) definePresence(t, s *value) {
	app := b.find(s.name, s.spot, kindApplication)
	if app == nil {
		return
	}
	if app.tenant == t.name {
		b.found.add(s.spot, "%q is an application of %s itself (line %d); expected what is said here to be said there", s.name, t.name, app.line)
		return
	}
	derived := string(ServicePrincipalID(b.out.Seed, t.name, s.name))
	id := b.identifier(s, "principal-id", derived, "principal ID in "+t.name)
	b.presences[presence{t.name, s.name}] = directory.ObjectID(id)
}

func (b *builder) servicePrincipal(tenant string, app *entity, v *value) ServicePrincipal {
	return ServicePrincipal{
		Application: app.name, Line: v.line,
		ClientID:    directory.ClientID(app.properties["client-id"]),
		PrincipalID: b.presences[presence{tenant, app.name}],
		Disabled:    v.flag("disabled", false),
		Blocked:     v.flag("blocked-by-conditional-access", false),
		AppRoles:    b.appRoles(v),
	}
}

// appRoles returns app roles by the client ID of their resource.
func (b *builder) appRoles(v *value) map[directory.ClientID][]string {
	var out map[directory.ClientID][]string
	for _, of := range v.all("app-roles") {
		identifier := b.expandText(of.name, of.spot)
		r, known := b.resources.Resource("", identifier)
		if e := b.one(kindApplication, identifier); e != nil {
			r.AppID, known = directory.ClientID(e.properties["client-id"]), true
		}
		if !known {
			b.unknown(of.spot, "resource "+quoted(identifier), identifier, b.names(kindApplication))
			continue
		}
		if out == nil {
			out = map[directory.ClientID][]string{}
		}
		for _, role := range of.inside {
			out[r.AppID] = append(out[r.AppID], role.text)
		}
	}
	return out
}
