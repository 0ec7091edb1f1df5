package sts

import (
	"crypto/subtle"
	"crypto/x509"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// A client is who asks for a token: an application, or a managed identity that
// federates with an issuer outside Azure.
type client struct {
	id           directory.ClientID
	name         string
	home         directory.TenantID
	public       bool
	federated    []directory.FederatedIdentityCredential
	secrets      []directory.ClientSecret
	certificates []*x509.Certificate
	managed      *directory.ManagedIdentity
	principal    directory.ServicePrincipal // in the tenant of the request
}

func (s *Service) findClient(r *edge.Request, g *grant) *Error {
	id := g.form.Get("client_id")
	if id == "" {
		return missing("client_id", "the form has no client_id")
	}
	app, ok := s.Directory.Application(id)
	if !ok {
		return s.findIdentity(r, g, id)
	}
	r.Note("", app.Name)
	if app.Tenant != g.tenant.ID && !app.MultiTenant {
		return s.clientNotFound(g, id, "%s is registered in tenant %s and is not multi-tenant, but the request went to %s", app.Name, app.Tenant, g.tenant.Name)
	}
	principal, ok := s.Directory.ServicePrincipal(g.tenant.ID, app.ClientID)
	if !ok {
		return errNoServicePrincipal.because(values{"client": id, "tenant": string(g.tenant.ID)},
			"%s has no service principal in %s; an administrator of %s has to consent to it (scenario: service-principals)", app.Name, g.tenant.Name, g.tenant.Name)
	}
	if principal.Disabled {
		return errDisabled.because(values{"client": id, "name": app.Name}, "the service principal of %s in %s is disabled", app.Name, g.tenant.Name)
	}
	g.client = client{id: app.ClientID, name: app.Name, home: app.Tenant, public: app.Public, federated: app.Federated,
		secrets: app.Secrets, certificates: app.Certificates, principal: principal}
	return nil
}

// findIdentity resolves a client ID that is no application's.
func (s *Service) findIdentity(r *edge.Request, g *grant, id string) *Error {
	m, ok := s.Directory.ManagedIdentity(id)
	if !ok || m.Tenant != g.tenant.ID {
		return s.clientNotFound(g, id, "no application of %s has the client ID %s; it is the %s", g.tenant.Name, id, s.whatIs(id))
	}
	r.Note("", m.Name)
	g.client = client{id: m.ClientID, name: m.Name, home: m.Tenant, federated: m.Federated, managed: &m,
		principal: directory.ServicePrincipal{Name: m.Name, Tenant: m.Tenant, ClientID: m.ClientID, ObjectID: m.ObjectID}}
	return nil
}

func (s *Service) clientNotFound(g *grant, id, why string, args ...any) *Error {
	return errClientNotFound.because(values{"client": id, "tenant": g.tenant.Name}, why, args...)
}

// authenticate checks the one credential that the client presents.
func (s *Service) authenticate(r *edge.Request, g *grant) *Error {
	if g.form.Get("token_type") == boundToken {
		return s.authenticateByTLS(r, g)
	}
	assertion, secret := g.form.Get("client_assertion"), g.form.Get("client_secret")
	switch {
	case assertion == "" && g.form.Has("client_assertion_type"):
		return missing("client_assertion", "there is a client_assertion_type but no client_assertion")
	case assertion == "" && secret == "":
		return errNoClientCredential.because(nil, "%s presented no credential: no client_assertion and no client_secret", g.client.name)
	case g.client.public:
		return errPublicClient.because(nil, "%s is a public client, but the request carries a credential", g.client.name)
	case assertion != "":
		return s.authenticateByAssertion(r, g, assertion)
	}
	r.Note("credential", "secret")
	g.method = authentication{strength: "1"}
	return s.checkSecret(r, g.client, secret)
}

func (s *Service) checkSecret(r *edge.Request, c client, secret string) *Error {
	if c.managed != nil {
		return errIdentitySecret.because(values{"client": string(c.id)}, "%s is a managed identity, which has no secrets", c.name)
	}
	for _, candidate := range c.secrets {
		if subtle.ConstantTimeCompare([]byte(candidate.Value), []byte(secret)) == 0 {
			continue
		}
		if !candidate.Expires.IsZero() && !r.Now.Before(candidate.Expires) {
			return errSecretExpired.because(values{"client": string(c.id)}, "the secret of %s expired at %s; it is %s now", c.name, candidate.Expires.Format(timestamp), r.Now.Format(timestamp))
		}
		return nil
	}
	return errSecret.because(values{"client": string(c.id)}, "the secret is none of the %d that %s has", len(c.secrets), c.name)
}
