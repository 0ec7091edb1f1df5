package imds

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// IMDSv2 binds tokens to a certificate of the client: it hands out certificates,
// and the token service hands out tokens over mutual TLS. Microsoft documents it
// nowhere but in MSAL.NET, in ManagedIdentity/V2 and docs/msi_v2, so that all
// of it is approximate.

// The only version of IMDSv2, how long its certificates last, and what is put up
// with as a signing request, in base64.
const (
	credentialVersion  = "2.0"
	credentialLifetime = 7 * 24 * time.Hour
	maxSigningRequest  = 16 << 10
	rsaBits            = 2048
)

// credentialSelectors are those of IMDSv2, which calls a resource ID what App
// Service does.
var credentialSelectors = spelling{client: []string{"client_id"}, object: []string{"object_id"}, resource: []string{"mi_res_id", "msi_res_id"}}

// A computeUnit identifies the machine in a signing request.
type computeUnit struct {
	VMID   string `json:"vmId"`
	VMSSID string `json:"vmssId"`
}

// credentialRequest checks what both operations have in common: that the host
// has IMDSv2, the method, the version, and the identity.
func (s *Service) credentialRequest(r *edge.Request, method string) (Host, directory.ManagedIdentity, *refusal) {
	host, _ := s.Host(r.Caller.Host)
	var none directory.ManagedIdentity
	// The refusal has status 400 because a 404 is retried five times over 24
	// seconds by MSAL.NET 4.84, while after a 400 it asks for a bearer token.
	if !host.Machine.IMDSv2 {
		return host, none, because("imdsv2-off", "%s has no IMDSv2, in which tokens are bound to a certificate; ask for a bearer token at /metadata/identity/oauth2/token, or switch imdsv2 on", host.Name)
	}
	if r.Method != method {
		return host, none, because("method-not-allowed", "%s is not a method of %s", r.Method, r.URL.Path)
	}
	query, no := parameters(r)
	if no != nil {
		return host, none, no
	}
	if v := query.Get("cred-api-version"); v != credentialVersion {
		return host, none, because("cred-api-version", "cred-api-version is %q; expected %s", v, credentialVersion)
	}
	m, no := s.credentialIdentity(r, host, query)
	return host, m, no
}

func (s *Service) credentialIdentity(r *edge.Request, host Host, query url.Values) (directory.ManagedIdentity, *refusal) {
	sel, no := credentialSelectors.of(query)
	if no != nil {
		return directory.ManagedIdentity{}, no
	}
	m, no := s.identify(host, sel)
	r.Note("", m.Name)
	return m, no
}

// platformMetadata tells what goes into a signing request. Nothing answers at
// the attestation endpoint: Azure Attestation is not emulated.
func (s *Service) platformMetadata(r *edge.Request) (edge.Response, *refusal) {
	host, m, no := s.credentialRequest(r, http.MethodGet)
	if no != nil {
		return edge.Response{}, no
	}
	return answerJSON(r, edge.JSON(http.StatusOK, struct {
		Unit        computeUnit `json:"cuId"`
		ClientID    string      `json:"clientId"`
		TenantID    string      `json:"tenantId"`
		Attestation string      `json:"attestationEndpoint"`
	}{computeUnit{VMID: host.vmID()}, string(m.ClientID), string(m.Tenant), "https://shared." + host.location() + ".attest.azure.net"}).Body), nil
}

// issueCredential answers a signing request with a certificate. That there is an
// attestation token is checked, and nothing about it.
func (s *Service) issueCredential(r *edge.Request) (edge.Response, *refusal) {
	host, m, no := s.credentialRequest(r, http.MethodPost)
	if no != nil {
		return edge.Response{}, no
	}
	request, no := signingRequest(r.Data)
	if no == nil {
		no = checkSigningRequest(request, host, m)
	}
	if no != nil {
		return edge.Response{}, no
	}
	certificate, err := s.authority.Certify(request, r.Now.Add(-backdated), r.Now.Add(credentialLifetime))
	if err != nil {
		return edge.Response{}, because("credential-failed", "the certificate cannot be issued: %v", err)
	}
	kind := "UserAssigned"
	if m.Kind == directory.SystemAssigned {
		kind = "SystemAssigned"
	}
	env := host.Environment
	if env.Name == "" {
		env = environment.Public
	}
	return answerJSON(r, edge.JSON(http.StatusOK, struct {
		ClientID    string `json:"client_id"`
		TenantID    string `json:"tenant_id"`
		Certificate string `json:"certificate"`
		Kind        string `json:"identity_type"`
		Endpoint    string `json:"mtls_authentication_endpoint"`
	}{string(m.ClientID), string(m.Tenant), base64.StdEncoding.EncodeToString(certificate), kind, "https://" + host.location() + "." + env.MutualTLSHost}).Body), nil
}

// signingRequest reads the body of issuecredential.
func signingRequest(body []byte) (*x509.CertificateRequest, *refusal) {
	var in struct {
		CSR         string `json:"csr"`
		Attestation string `json:"attestation_token"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, because("csr", `the body is not what it should be (%v); expected {"csr":"...","attestation_token":"..."}`, err)
	}
	if in.Attestation == "" {
		return nil, because("attestation-missing", "the body has no attestation_token; MSAL.NET sends one with WithAttestationSupport(), here any text will do")
	}
	if len(in.CSR) > maxSigningRequest {
		return nil, because("csr", "the signing request has %d characters; expected %d at most", len(in.CSR), maxSigningRequest)
	}
	der, err := base64.StdEncoding.DecodeString(in.CSR)
	if err != nil {
		return nil, because("csr", "the signing request is not base64 (%v); expected PKCS #10 without the lines of PEM", err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, because("csr", "the signing request cannot be read (%v); expected PKCS #10", err)
	}
	return request, nil
}

// checkSigningRequest wants what MSAL.NET's Csr.cs makes.
func checkSigningRequest(request *x509.CertificateRequest, host Host, m directory.ManagedIdentity) *refusal {
	key, ok := request.PublicKey.(*rsa.PublicKey)
	switch unit, err := unitOf(request); {
	case !ok || key.N.BitLen() != rsaBits:
		return because("csr", "the key is %s; expected RSA of %d bits", request.PublicKeyAlgorithm, rsaBits)
	case request.SignatureAlgorithm != x509.SHA256WithRSAPSS:
		return because("csr", "the signature is %s; expected RSASSA-PSS with SHA-256", request.SignatureAlgorithm)
	case request.CheckSignature() != nil:
		return because("csr", "the signature is not that of the key in the request")
	case !strings.EqualFold(request.Subject.CommonName, string(m.ClientID)) || !strings.EqualFold(domainComponent(request), string(m.Tenant)):
		return because("csr", "the subject is %s; expected CN=%s, DC=%s, as the platform metadata says", request.Subject, m.ClientID, m.Tenant)
	case err != nil:
		return because("csr", "the attribute %v: %v; expected the cuId of the platform metadata, in JSON", unitAttribute, err)
	case !strings.EqualFold(unit.VMID, host.vmID()):
		return because("csr", "the request is for the machine %q; expected %s", unit.VMID, host.vmID())
	}
	return nil
}

// The attribute of a signing request that has the compute unit, and that of a
// name that has a domain component (RFC 4519 section 2.4).
var (
	unitAttribute   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 90, 2, 10}
	domainAttribute = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
)

func domainComponent(request *x509.CertificateRequest) string {
	for _, name := range request.Subject.Names {
		if text, ok := name.Value.(string); ok && name.Type.Equal(domainAttribute) {
			return text
		}
	}
	return ""
}

// unitOf reads the compute unit out of the attributes, which crypto/x509 leaves
// aside (RFC 2986 section 4.1).
func unitOf(request *x509.CertificateRequest) (computeUnit, error) {
	var info struct {
		Version    int
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Attributes []struct {
			Type   asn1.ObjectIdentifier
			Values []asn1.RawValue `asn1:"set"`
		} `asn1:"tag:0,set"`
	}
	if _, err := asn1.Unmarshal(request.RawTBSCertificateRequest, &info); err != nil {
		return computeUnit{}, err
	}
	var unit computeUnit
	for _, a := range info.Attributes {
		if a.Type.Equal(unitAttribute) && len(a.Values) == 1 {
			err := json.Unmarshal(a.Values[0].Bytes, &unit)
			return unit, err
		}
	}
	return unit, errors.New("it is missing")
}
