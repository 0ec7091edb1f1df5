package sts

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// boundToken is the token_type of tokens that are bound to the certificate of a
// TLS client (MSAL.NET, MtlsPopAuthenticationOperation.cs).
const boundToken = "mtls_pop"

// authenticateByTLS accepts the certificate that the metadata service issued to a
// managed identity (MSAL.NET, docs/mtlspop_managed_identity.md). Certificates of
// applications are not accepted, although Entra does. The real service ends the
// connection when it does not trust a certificate; here it is as if there was
// none.
func (s *Service) authenticateByTLS(r *edge.Request, g *grant) *Error {
	r.Note("credential", "TLS certificate")
	certificate := r.Caller.Certificate
	switch {
	case certificate == nil:
		return errNoClientCertificate.because(nil, "token_type is %s, but no certificate was presented in TLS to %s; clients are asked for one at %s and the regions below it", boundToken, r.URL.Host, s.Environment.MutualTLSHost)
	case g.client.managed == nil || s.Certified == nil || !s.Certified(certificate):
		return errNoClientCertificate.because(nil, "the certificate of %s was not issued by this cloud to a managed identity; get one at /metadata/identity/issuecredential", certificate.Subject)
	case !strings.EqualFold(certificate.Subject.CommonName, string(g.client.id)):
		return errAssertionIssuer.because(nil, "the certificate is that of %s, and client_id is %s (%s)", certificate.Subject.CommonName, g.client.id, g.client.name)
	case r.Now.Before(certificate.NotBefore) || !r.Now.Before(certificate.NotAfter):
		return errClientCertificateTime.because(nil, "the certificate of %s is valid from %s to %s; it is %s now", g.client.name,
			certificate.NotBefore.UTC().Format(timestamp), certificate.NotAfter.UTC().Format(timestamp), r.Now.Format(timestamp))
	}
	g.method, g.bound = authentication{strength: "2"}, certificate
	return nil
}

// confirmation is the claim that binds a token to a certificate (RFC 8705
// section 3.1).
func confirmation(certificate *x509.Certificate) *token.Confirmation {
	sum := sha256.Sum256(certificate.Raw)
	return &token.Confirmation{X5TS256: base64.RawURLEncoding.EncodeToString(sum[:])}
}
