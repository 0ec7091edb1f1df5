package imds

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pattern"
)

// An Authority vouches for what the Instance Metadata Service says. It must
// allow calls from several goroutines.
type Authority interface {
	// Sign returns a document in a signed message of PKCS #7, in DER, with the
	// certificate of its signer, which is for names.
	Sign(document []byte, names ...string) ([]byte, error)
	// Certify returns a certificate, in DER, for the key and the subject of a
	// signing request.
	Certify(request *x509.CertificateRequest, notBefore, notAfter time.Time) ([]byte, error)
}

// The form of timeStamp, and how long a document is valid: in the sample that
// imds verifies it is six hours, and five seconds in another one.
const (
	attestedTime     = "01/02/06 15:04:05 -0000" // UTC, with that sign
	attestedLifetime = 6 * time.Hour
)

// nonceText is swagger's rule. imds speaks of ten digits, and has a sample of
// fifteen characters which is what it puts in for want of a nonce.
var nonceText = pattern.New(`^[0-9A-Za-z-]{1,32}$`)

// attested is the document that tells whoever trusts Azure's certificates which
// virtual machine it comes from. licenseType is there for machines with a
// license of their own only, so it never is.
func (h Host) attested(nonce string, now time.Time) object {
	return object{
		{"nonce", "", cmp.Or(nonce, now.Format("20060102-150405"))},
		{"plan", "", plan()},
		{"sku", "2019-11-01", ""},
		{"subscriptionId", "2019-04-30", h.subscription()},
		{"timeStamp", "", object{
			{"createdOn", "", now.Format(attestedTime)},
			{"expiresOn", "", now.Add(attestedLifetime).Format(attestedTime)},
		}},
		{"vmId", "", h.vmID()},
	}
}

// signerNames are those in the sample of a certificate (imds, section Signature
// validation guidance).
func (h Host) signerNames() []string {
	domain := cmp.Or(h.Environment.MetadataDomain, environment.Public.MetadataDomain)
	return []string{h.location() + "." + domain, domain}
}

// attestedDocument answers with a signed document. It shows the cloud's time,
// but the certificate is valid at the machine's, where it is verified.
func (s *Service) attestedDocument(r *edge.Request) (edge.Response, *refusal) {
	query, no := versioned(r, since(attestedSince))
	if no != nil {
		return edge.Response{}, no
	}
	nonce := query.Get("nonce")
	if query.Has("nonce") && !nonceText.MatchString(nonce) {
		return edge.Response{}, because("nonce", "the nonce is %q; expected up to 32 letters and digits", nonce)
	}
	r.Note("nonce", nonce)
	host, _ := s.Host(r.Caller.Host)
	document := appendJSON(nil, host.attested(nonce, r.Now), query.Get("api-version"))
	signature, err := s.authority.Sign(document, host.signerNames()...)
	if err != nil {
		return edge.Response{}, because("signing-failed", "the document cannot be signed: %v", err)
	}
	return answerJSON(r, edge.JSON(http.StatusOK, struct {
		Encoding  string `json:"encoding"`
		Signature string `json:"signature"`
	}{"pkcs7", base64.StdEncoding.EncodeToString(signature)}).Body), nil
}
