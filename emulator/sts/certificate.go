package sts

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// checkCertificate checks an assertion that the application signed itself.
// Source: Microsoft's page "Application authentication certificate
// credentials"; the order of the checks is inferred.
func (s *Service) checkCertificate(r *edge.Request, g *grant, a *token.Token) *Error {
	certificate, err := registered(g.client, a)
	if err != nil {
		return err
	}
	if err := checkSignature(a, certificate.PublicKey, "RS256", "PS256"); err != nil {
		return err
	}
	if r.Now.Before(certificate.NotBefore) || r.Now.After(certificate.NotAfter) {
		return errCertificateTime.because(nil, "the certificate of %s is valid from %s to %s; it is %s now", g.client.name,
			certificate.NotBefore.UTC().Format(timestamp), certificate.NotAfter.UTC().Format(timestamp), r.Now.Format(timestamp))
	}
	if err := s.checkOwnAudience(r, g, a.Claims.Audience); err != nil {
		return err
	}
	if err := checkOwnIssuer(g, a.Claims); err != nil {
		return err
	}
	return checkTime(r.Now, a.Claims)
}

// checkOwnIssuer wants the client as issuer and as subject (RFC 7523 section 3).
func checkOwnIssuer(g *grant, c token.Claims) *Error {
	if !strings.EqualFold(c.Issuer, string(g.client.id)) {
		return errAssertionIssuer.because(nil, "the assertion was issued by %q, but client_id is %s (%s)", c.Issuer, g.client.id, g.client.name)
	}
	if c.Subject != c.Issuer {
		return errAssertionSubject.because(nil, "the assertion's sub is %q and its iss is %q; both are the client ID", c.Subject, c.Issuer)
	}
	return nil
}

// checkOwnAudience wants the token endpoint or the issuer of the tenant as the
// audience. An array is refused as Entra was seen to refuse one with two values
// (panva/openid-client#348); one value in an array is unknown, and accepted.
func (s *Service) checkOwnAudience(r *edge.Request, g *grant, audience token.Audience) *Error {
	if len(audience) > 1 {
		return errAssertionMalformed.because(nil, "the assertion has %d audiences; Entra takes one", len(audience))
	}
	var got string
	if len(audience) == 1 {
		got = audience[0]
	}
	for _, host := range append([]string{r.URL.Host}, s.Environment.LoginAliases...) {
		for _, tenant := range []string{string(g.tenant.ID), r.Vars["tenant"]} {
			base := "https://" + host + "/" + tenant
			if slices.Contains([]string{base + "/oauth2/v2.0/token", base + "/oauth2/token", base + "/v2.0", base + "/"}, got) {
				return nil
			}
		}
	}
	if got == s.Environment.IssuerV1(string(g.tenant.ID)) {
		return nil
	}
	return errAssertionAudience.because(nil, "the assertion is for %q; expected https://%s/%s/oauth2/v2.0/token", got, s.Environment.LoginHost, g.tenant.ID)
}

// registered returns the certificate of the client that the assertion names.
func registered(c client, a *token.Token) (*x509.Certificate, *Error) {
	for _, certificate := range c.certificates {
		if names(a.Header, certificate.Raw) {
			return certificate, nil
		}
	}
	thumbprint := strings.ToUpper(hex.EncodeToString(decodeThumbprint(cmp.Or(a.Header.X5T, a.Header.KeyID, a.Header.X5TS256))))
	return nil, errKeyNotRegistered.because(values{"client": string(c.id), "thumbprint": thumbprint},
		"the assertion names the certificate %s, which is none of the %d that %s has", thumbprint, len(c.certificates), c.name)
}

// names reports whether a header points at a certificate. Clients write
// thumbprints in every way: SHA-1 as x5t or as kid, SHA-256 as x5t#S256, in
// base64 of either alphabet, with and without padding.
func names(h token.Header, der []byte) bool {
	short, long := sha1.Sum(der), sha256.Sum256(der)
	for _, name := range []string{h.X5T, h.KeyID} {
		if thumbprint := decodeThumbprint(name); slices.Equal(thumbprint, short[:]) {
			return true
		}
	}
	return slices.Equal(decodeThumbprint(h.X5TS256), long[:])
}

// decodeThumbprint reads a thumbprint in hexadecimal or in base64 of either
// alphabet. It returns nil for anything else.
func decodeThumbprint(s string) []byte {
	if b, err := hex.DecodeString(s); err == nil && len(b) == sha1.Size {
		return b
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(s))
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}
