package scenario

import (
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

// federated returns the federated identity credentials of an application or a
// managed identity.
func (b *builder) federated(owner *value) []FederatedIdentityCredential {
	var out []FederatedIdentityCredential
	var graph []directory.FederatedIdentityCredential
	sound := true
	for _, v := range owner.all("federated-identity-credentials") {
		c, ok := b.credential(v)
		d := c.Directory(b.out.Clock)
		if err := directory.CheckFederated([]directory.FederatedIdentityCredential{d}); ok && err != nil {
			b.found.add(v.spot, "%v", err)
			ok = false
		}
		out, graph, sound = append(out, c), append(graph, d), sound && ok
	}
	if err := directory.CheckFederated(graph); sound && err != nil {
		b.found.add(owner.get("federated-identity-credentials").spot, "%s: %v", owner.name, err)
	}
	return out
}

// credential returns one federated identity credential, and whether it is fit
// to be compared with Microsoft Graph's rules.
func (b *builder) credential(v *value) (FederatedIdentityCredential, bool) {
	c := FederatedIdentityCredential{
		Name: v.name, Line: v.line,
		Issuer:                   b.expand(v.get("issuer")),
		Subject:                  b.expand(v.get("subject")),
		ClaimsMatchingExpression: b.expand(v.get("claims-matching-expression")),
		Audiences:                []string{b.out.Environment().TokenExchangeAudience},
		Description:              v.string("description", ""),
		VisibleAfter:             v.duration("visible-after", 0),
	}
	if v.get("audiences") != nil {
		c.Audiences = nil
		for _, item := range v.all("audiences") {
			c.Audiences = append(c.Audiences, b.expand(item))
		}
	}
	if len(c.Description) > 600 { // Graph's limit
		b.found.add(v.get("description").spot, "description has %d characters; expected 600 at most", len(c.Description))
	}
	if trusts := v.get("trusts"); trusts != nil {
		return c, b.trust(&c, v, trusts) && !v.broken
	}
	if v.broken {
		return c, false
	}
	return c, b.spelled(v)
}

// spelled reports what a credential without "trusts" lacks.
func (b *builder) spelled(v *value) bool {
	switch {
	case v.get("issuer") == nil:
		b.found.add(v.spot, "%s names nobody to trust; expected trusts: <managed identity>, or issuer and subject", v.name)
	case v.get("subject") == nil && v.get("claims-matching-expression") == nil:
		b.found.add(v.spot, "%s has no subject; expected subject or claims-matching-expression", v.name)
	default:
		return true
	}
	return false
}

// trust writes out "trusts": a managed identity stands for its tenant's issuer
// and its principal ID, an issuer for its URL.
func (b *builder) trust(c *FederatedIdentityCredential, v, trusts *value) bool {
	e := b.find(trusts.text, trusts.spot, kindIdentity, kindIssuer)
	if e == nil {
		return false
	}
	excluded := []string{"issuer"}
	if e.kind == kindIdentity {
		excluded = append(excluded, "subject", "claims-matching-expression")
	}
	for _, key := range excluded {
		if at := v.get(key); at != nil {
			b.found.add(at.spot, "%s says %s besides trusts: %s, which stands for it; expected one of the two", v.name, key, trusts.text)
			return false
		}
	}
	if e.kind == kindIssuer {
		c.Issuer = e.properties["url"]
		if v.get("subject") == nil && v.get("claims-matching-expression") == nil && !v.broken {
			b.found.add(v.spot, "%s has no subject; expected the sub claim of the tokens of %s, or claims-matching-expression", v.name, e.name)
			return false
		}
		return true
	}
	c.Issuer = b.out.Environment().IssuerV2(b.one(kindTenant, e.tenant).properties["id"])
	c.Subject = e.properties["principal-id"]
	return true
}

func lower(s string) string { return strings.ToLower(s) }
