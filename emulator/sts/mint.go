package sts

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// backdated is how far iat and nbf lie before the moment of issuance, in every
// token that was seen.
const backdated = 5 * time.Minute

// ficInfo is the value of xms_ficinfo. It is a packed structure whose meaning is
// not public; its presence alone marks tokens that a federated identity
// credential was used to get.
const ficInfo = "CAAQABgAIAAoAzAA"

// claimsOf returns the claims of the token that a grant yields. The resource
// decides about the version, not the endpoint.
func (s *Service) claimsOf(g *grant) token.Claims {
	var c token.Claims
	if g.client.managed != nil {
		c = s.identityClaims(*g.client.managed, g.resource, g.identifier, "")
	} else {
		c = s.base1or2(g.tenant.ID, g.client.id, g.client.principal.ObjectID, g.method.strength, g.resource, g.identifier)
		c.Roles = g.client.principal.AppRoles[g.resource.AppID]
		c.IDRel = "7 10"
	}
	if g.bound != nil {
		c.Confirmation = confirmation(g.bound)
	}
	if g.method.federated {
		c.FICInfo = ficInfo
	}
	return c
}

// base1or2 returns the claims that the tokens of applications and of managed
// identities have in common.
func (s *Service) base1or2(tenant directory.TenantID, client directory.ClientID, object directory.ObjectID, strength string, r directory.Resource, identifier string) token.Claims {
	c := token.Claims{
		IDType: "app", ObjectID: string(object), Subject: string(object), TenantID: string(tenant),
		RH: rh(tenant, r.AppID),
	}
	if r.TokenVersion == 2 {
		c.Audience, c.Issuer, c.Version = token.Audience{string(r.AppID)}, s.Environment.IssuerV2(string(tenant)), "2.0"
		c.AZP, c.AZPACR = string(client), strength
		return c
	}
	c.Audience, c.Issuer, c.Version = token.Audience{identifier}, s.Environment.IssuerV1(string(tenant)), "1.0"
	c.AppID, c.AppIDACR, c.IDP = string(client), strength, c.Issuer
	return c
}

// identityClaims returns the claims of a managed identity's token. host is the
// resource it runs on, if any. The facets of v1.0 and v2.0 tokens are as dumped;
// only their odd numbers have a documented meaning.
func (s *Service) identityClaims(m directory.ManagedIdentity, r directory.Resource, identifier string, host directory.ResourceID) token.Claims {
	c := s.base1or2(m.Tenant, m.ClientID, m.ObjectID, "2", r, identifier)
	c.ActFacet, c.SubFacet, c.IDRel = "9 3", "3 9", "7 10"
	if c.Version == "1.0" {
		c.ActFacet, c.SubFacet, c.IDRel = "3 9", "9 3", "7 4"
	}
	c.MIRID = string(m.ResourceID)
	if m.Kind == directory.UserAssigned {
		c.AzureRID = string(host)
	}
	return c
}

// mint signs claims. requestID is the request they are issued in; its packed
// form is the uti claim.
func (s *Service) mint(requestID string, now time.Time, lifetime time.Duration, c token.Claims) (string, error) {
	c.IssuedAt = token.NumericDate(now.Add(-backdated))
	c.NotBefore, c.Expires = c.IssuedAt, token.NumericDate(now.Add(lifetime))
	c.UTI = ident.Packed(requestID)
	sum := sha256.Sum256([]byte(requestID))
	c.AIO = "k2Jg" + base64.StdEncoding.EncodeToString(sum[:24])
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	version := 1
	if c.Version == "2.0" {
		version = 2
	}
	return s.Ring.Sign(payload, version)
}

// rh returns the rh claim. Its layout was read off real tokens: a prefix, the
// tenant and the resource as packed GUIDs, and a suffix.
func rh(tenant directory.TenantID, resource directory.ClientID) string {
	b := []byte{0x01, 0x59, 0x01}
	b = append(b, ident.LittleEndian(string(tenant))...)
	b = append(b, ident.LittleEndian(string(resource))...)
	b = append(b, 0x59, 0x01, 0x00, 0x59, 0x01)
	return "1." + base64.RawURLEncoding.EncodeToString(b) + "."
}

// An IdentityRequest asks for a managed identity's token on behalf of the host
// that it is assigned to.
type IdentityRequest struct {
	Now       time.Time
	RequestID string
	Identity  directory.ManagedIdentity
	Resource  string // as the client named it
	Host      directory.ResourceID
}

// An IdentityToken is a managed identity's token.
type IdentityToken struct {
	Raw             string
	Issued, Expires time.Time
}

// IdentityToken mints a token for a managed identity. Its error is a *[Passed]
// when the resource is unknown.
func (s *Service) IdentityToken(in IdentityRequest) (IdentityToken, error) {
	tenant, ok := s.Directory.Tenant(string(in.Identity.Tenant))
	if !ok {
		return IdentityToken{}, fmt.Errorf("the tenant %s of managed identity %s does not exist", in.Identity.Tenant, in.Identity.Name)
	}
	resource, refusal := s.resource(tenant, in.Resource)
	if refusal != nil {
		return IdentityToken{}, s.pass(refusal, in.RequestID, in.Now)
	}
	raw, err := s.mint(in.RequestID, in.Now, s.Lifetimes.ManagedIdentity, s.identityClaims(in.Identity, resource, in.Resource, in.Host))
	return IdentityToken{Raw: raw, Issued: in.Now, Expires: in.Now.Add(s.Lifetimes.ManagedIdentity)}, err
}
