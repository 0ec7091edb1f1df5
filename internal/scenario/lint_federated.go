package scenario

import (
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// credentials checks the federated identity credentials of one application or
// managed identity.
func (l *linter) credentials(path string, t Tenant, owner string, all []FederatedIdentityCredential) {
	first := map[string]string{}
	for _, c := range all {
		at := path + ".federated-identity-credentials." + c.Name
		l.subjectIsClientID(at, c)
		authority, entra := authorityOf(l.env, c.Issuer)
		if !entra {
			l.foreignIssuer(at, c)
			l.immutable(at, c)
			continue
		}
		l.audience(at, c)
		if l.entraIssuer(at, c, authority) {
			l.sameTenant(at, t, owner, c, authority)
			l.subject(at, c, authority)
		}
		if other, again := first[c.Subject]; again && c.Subject != "" {
			l.warn(at+".subject", "fic-duplicate-subject", "%s and %s have the same subject for an issuer of Entra, which is refused with AADSTS700263; keep the one with the issuer %s", other, c.Name, l.env.IssuerV2(authority.tenant))
		}
		first[c.Subject] = c.Name
	}
}

// An authority is what an issuer of Entra says, right or wrong.
type authority struct {
	cloud  environment.Environment
	tenant string // as written
}

// authorityOf takes an issuer apart whose host is one of Entra's in any cloud,
// env if it is one of its.
func authorityOf(env environment.Environment, issuer string) (authority, bool) {
	u, err := url.Parse(issuer)
	if err != nil {
		return authority{}, false
	}
	host := lower(u.Host)
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	for _, e := range append([]environment.Environment{env}, environment.All()...) {
		if slices.Contains(e.LoginAliases, host) || e.V1IssuerHost == host {
			return authority{e, tenant}, true
		}
	}
	return authority{}, false
}

func (l *linter) subjectIsClientID(at string, c FederatedIdentityCredential) {
	if name, is := l.clients[lower(c.Subject)]; is {
		l.warn(at+".subject", "fic-subject-is-client-id", "the subject is the client ID of %s, and Entra compares the principal ID; write \"{%s.principal-id}\", or trusts: %s", name, name, name)
	}
}

// foreignIssuer checks an issuer that is not Entra's.
func (l *linter) foreignIssuer(at string, c FederatedIdentityCredential) {
	if l.issuers[c.Issuer] != "" {
		return
	}
	slash := c.Issuer + "/"
	if trimmed, has := strings.CutSuffix(c.Issuer, "/"); has {
		slash = trimmed
	}
	if name := l.issuers[slash]; name != "" {
		l.warn(at+".issuer", "fic-issuer-trailing-slash", "the issuer %s differs from %s by the slash at its end, and issuers are compared letter by letter; write %s", quoted(c.Issuer), name, slash)
		return
	}
	l.warn(at+".issuer", "issuer-unknown", "the issuer %s is neither Entra's nor one of issuers, so nothing signs its tokens; add it under issuers", quoted(c.Issuer))
}

// immutable warns of an expression for GitHub that another repository of the same
// name could satisfy (Microsoft: "Set up a flexible federated identity
// credential", August 2026). Whether older credentials are refused is not said.
func (l *linter) immutable(at string, c FederatedIdentityCredential) {
	e := c.ClaimsMatchingExpression
	if c.Issuer != gitHubIssuer || e == "" || strings.Contains(e, "claims['repository_id']") || strings.Contains(e, "claims['repository_owner_id']") {
		return
	}
	l.warn(at+".claims-matching-expression", "fic-expression-without-immutable-claim", "the expression compares names alone, which can be given to another repository, and Entra asks for repository_id or repository_owner_id besides sub since August 2026; add and claims['repository_id'] eq '<number>'")
}

func (l *linter) audience(at string, c FederatedIdentityCredential) {
	for _, a := range c.Audiences {
		if a == l.env.TokenExchangeAudience {
			continue
		}
		if i := slices.IndexFunc(environment.All(), func(e environment.Environment) bool { return e.TokenExchangeAudience == a }); i >= 0 {
			l.warn(at+".audiences", "fic-audience-of-another-cloud", "the audience %s is that of the cloud %s, and this one is %s; write %s", quoted(a), environment.All()[i].Name, l.env.Name, l.env.TokenExchangeAudience)
			continue
		}
		why := ""
		switch {
		case strings.EqualFold(a, l.env.TokenExchangeAudience):
			why = " in other letter case"
		case lower(a) == string(directory.TokenExchangeApp):
			why = ", although tokens carry that GUID as aud"
		}
		l.warn(at+".audiences", "fic-audience-not-exchange", "the audience %s is not accepted with an issuer of Entra%s; write %s", quoted(a), why, l.env.TokenExchangeAudience)
	}
}

// entraIssuer reports whether the issuer is one that managed identity tokens
// have: that of a tenant, version 2.0, letter by letter.
func (l *linter) entraIssuer(at string, c FederatedIdentityCredential, a authority) bool {
	at += ".issuer"
	right := l.env.IssuerV2(lower(a.tenant))
	switch trimmed := strings.TrimRight(c.Issuer, "/"); {
	case c.Issuer == right && ident.IsGUID(a.tenant):
		return true
	case a.cloud.Name != l.env.Name:
		l.warn(at, "fic-issuer-of-another-cloud", "the issuer %s is of the cloud %s, whose tokens are refused in %s; write %s", quoted(c.Issuer), a.cloud.Name, l.env.Name, right)
	case !strings.HasSuffix(lower(trimmed), "/v2.0"):
		l.warn(at, "fic-issuer-without-v2", "the issuer %s is not that of v2.0 tokens, which managed identities get for the exchange; write %s", quoted(c.Issuer), right)
	case trimmed != c.Issuer:
		l.warn(at, "fic-issuer-trailing-slash", "the issuer %s ends with a slash, and issuers are compared letter by letter; write %s", quoted(c.Issuer), right)
	default:
		l.warn(at, "issuer-unknown", "the issuer %s is not written as Entra writes it, with %s and the tenant ID in lower case, and issuers are compared letter by letter; write https://%s/<tenant ID>/v2.0", quoted(c.Issuer), l.env.LoginHost, l.env.LoginHost)
	}
	return false
}

func (l *linter) sameTenant(at string, t Tenant, owner string, c FederatedIdentityCredential, a authority) {
	issuing := l.tenants[a.tenant]
	if issuing == "" {
		l.warn(at+".issuer", "issuer-unknown", "the issuer %s is of a tenant that is not in this file, so nothing signs its tokens; define a tenant with that id", quoted(c.Issuer))
		return
	}
	if issuing != t.Name {
		l.warn(at, "fic-tenant-mismatch", "%s is registered in %s and trusts a managed identity of %s, which is refused with AADSTS700236; use a managed identity of %s", owner, t.Name, issuing, t.Name)
	}
}

// belowApplication reports whether a subject is of the form that Entra uses for
// paths below an application, such as service connections of Azure DevOps.
func belowApplication(subject string) bool { return strings.HasPrefix(subject, "/eid1/c/") }

// subject checks who an issuer of Entra would have to issue the token to.
func (l *linter) subject(at string, c FederatedIdentityCredential, a authority) {
	issuing := l.tenants[a.tenant]
	if issuing == "" || l.clients[lower(c.Subject)] != "" || c.Subject == "" || belowApplication(c.Subject) {
		return // reported already, or not of this file
	}
	at += ".subject"
	p, known := l.subjects[c.Subject]
	folded, other := l.subjects[lower(c.Subject)]
	switch {
	case !known && other:
		l.warn(at, "fic-unknown-subject", "the subject %s is the principal ID of %s in other letter case, and subjects are compared letter by letter; write it in lower case", c.Subject, folded.name)
	case !known:
		l.warn(at, "fic-unknown-subject", "nothing in %s has the principal ID %s; write \"{name.principal-id}\" with the name of a managed identity", issuing, quoted(c.Subject))
	case p.application:
		l.warn(at, "fic-unknown-subject", "the subject is the service principal of the application %s, and only tokens of managed identities are accepted; write \"{name.principal-id}\" with the name of one", p.name)
	case p.tenant != issuing:
		l.warn(at, "fic-tenant-mismatch", "the subject is %s of %s, and the issuer is that of %s, which never issues its tokens; use the issuer and a managed identity of one tenant", p.name, p.tenant, issuing)
	case p.kind == directory.SystemAssigned:
		l.warn(at, "fic-system-assigned", "%s is system-assigned, which Microsoft documents as not supported in federated identity credentials; use a user-assigned managed identity", p.name)
	}
}
