package sts

import (
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// attestationCodes is MSAL.NET's table of the refusals of attestation tokens.
const attestationCodes = "MSAL.NET docs/msi_v2/msiv2_revocation_spec.md"

// The refusals of mutual TLS. Those of attestation tokens, which are not
// verified here, are for fault rules: MSAL.NET gets itself another certificate.
var (
	errNoClientCertificate = row(Refusal{
		Name: "no-client-certificate", Code: 392200, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "Client certificate is missing from the request.",
		Source: "MSAL.NET, MockHelpers.cs of its tests in 2024; the status is inferred",
	})
	errClientCertificateTime = row(Refusal{
		Name: "client-certificate-time", Code: 392204, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "The provided client certificate has expired.",
		Source: "MSAL.NET, MockHelpers.cs of its tests in 2024; the status is inferred",
	})
	_ = row(Refusal{
		Name: "mutual-tls-disabled", Code: 51000, OAuth: "invalid_request", Status: http.StatusPreconditionFailed, Fidelity: edge.Approximate,
		Text:   "MtlsClientAuth is/are disabled",
		Source: "MSAL.NET, its tests and docs for mutual TLS, which take the status and the code; error name is inferred; only raised by a fault",
	})
	_ = row(attestation("attestation-time", 1000610, "The attestation token is not within its valid time range.", edge.Approximate))
	_ = row(attestation("attestation-issuer", 1000611, "The attestation token contains an invalid issuer.", edge.Approximate))
	_ = row(attestation("attestation-claim", 1000612, "The attestation token contains an invalid claim value.", edge.Approximate))
	_ = row(attestation("attestation-jku", 1000613, "The attestation token contains invalid Jku header. The value must be a URL with a domain name that matches the token issuer.", edge.Faithful))
	_ = row(attestation("attestation-signature", 1000614, "The attestation token contains an invalid signature.", edge.Approximate))
)

// attestation describes a refusal of an attestation token. Only one text is
// published; the others follow the names of the codes.
func attestation(name string, code int, text string, fidelity edge.Fidelity) Refusal {
	return Refusal{Name: name, Code: code, OAuth: "invalid_client", Status: http.StatusUnauthorized, Text: text, Fidelity: fidelity, Source: attestationCodes}
}
