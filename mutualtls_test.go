package fakeentra_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/csrtest"
)

// A boundClient follows the steps of MSAL.NET 4.87 (docs/mtlspop_managed_identity.md)
// on a host with IMDSv2. MSAL.NET itself does so on Windows with KeyGuard only.
type boundClient struct {
	t     *testing.T
	vm    *fakeentra.Host
	key   *rsa.PrivateKey
	proxy func(*http.Request) (*url.URL, error)
	roots *x509.CertPool
}

func newBoundClient(t *testing.T, entra *fakeentra.Cloud, vm *fakeentra.Host) *boundClient {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &boundClient{t: t, vm: vm, key: key, roots: x509.NewCertPool()}
	c.roots.AddCert(entra.CA())
	for _, entry := range vm.Environ() {
		if value, ok := strings.CutPrefix(entry, "HTTPS_PROXY="); ok {
			address, err := url.Parse(value)
			if err != nil {
				t.Fatal(err)
			}
			c.proxy = http.ProxyURL(address)
		}
	}
	return c
}

// A credential is what IMDSv2 answers a signing request with.
type credential struct {
	ClientID    string `json:"client_id"`
	TenantID    string `json:"tenant_id"`
	Certificate []byte `json:"certificate"`
	Kind        string `json:"identity_type"`
	Endpoint    string `json:"mtls_authentication_endpoint"`
}

// issue gets a certificate.
func (c *boundClient) issue() credential {
	c.t.Helper()
	var platform struct {
		Unit     json.RawMessage `json:"cuId"`
		ClientID string
		TenantID string
	}
	_, body := metadata(c.t, c.vm, "GET", "/identity/getplatformmetadata?cred-api-version=2.0", "")
	if err := json.Unmarshal([]byte(body), &platform); err != nil {
		c.t.Fatalf("%v in %s", err, body)
	}
	der, err := csrtest.Request{Key: c.key, Algorithm: x509.SHA256WithRSAPSS, ClientID: platform.ClientID, TenantID: platform.TenantID, Unit: string(platform.Unit)}.DER()
	if err != nil {
		c.t.Fatal(err)
	}
	var got credential
	status, body := metadata(c.t, c.vm, "POST", "/identity/issuecredential?cred-api-version=2.0", `{"csr":"`+base64.StdEncoding.EncodeToString(der)+`","attestation_token":"e30.e30.x"}`)
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		c.t.Fatalf("%d %s, %v", status, body, err)
	}
	return got
}

// token asks for a bound token, with a certificate unless it is nil, over HTTP/2
// or HTTP/1.1.
func (c *boundClient) token(got credential, certificate []byte, http2 bool) map[string]any {
	c.t.Helper()
	config := &tls.Config{RootCAs: c.roots}
	if certificate != nil {
		config.Certificates = []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: c.key}}
	}
	transport := &http.Transport{Proxy: c.proxy, TLSClientConfig: config, ForceAttemptHTTP2: http2}
	defer transport.CloseIdleConnections()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {got.ClientID}, "scope": {"https://storage.azure.com/.default"}, "token_type": {"mtls_pop"}}
	resp, err := (&http.Client{Transport: transport}).PostForm(got.Endpoint+"/"+got.TenantID+"/oauth2/v2.0/token", form)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		c.t.Fatalf("%d %s, %v", resp.StatusCode, body, err)
	}
	return answer
}

func TestATokenIsBoundToACertificateOfIMDSv2(t *testing.T) {
	entra := fakeentra.Start(t)
	agent := entra.AddTenant("contoso").AddManagedIdentity("build-agent")
	vm := entra.AddHost("vm1", fakeentra.IMDS, fakeentra.WithMachine(fakeentra.Machine{IMDSv2: true, Location: "eastus"})).Assign(agent)
	client := newBoundClient(t, entra, vm)
	got := client.issue()
	if got.ClientID != string(agent.ClientID) || got.TenantID != string(agent.Tenant) || got.Kind != "UserAssigned" || got.Endpoint != "https://eastus.mtlsauth.microsoft.com" {
		t.Errorf("credential %+v", got)
	}
	certificate, err := x509.ParseCertificate(got.Certificate)
	if err != nil || certificate.Subject.CommonName != got.ClientID || certificate.NotAfter.Sub(entra.Now()).Round(time.Hour) != 7*24*time.Hour {
		t.Errorf("certificate of %v until %v, %v", certificate.Subject, certificate.NotAfter, err)
	}
	sum := sha256.Sum256(got.Certificate)
	for _, http2 := range []bool{true, false} {
		answer := client.token(got, got.Certificate, http2)
		raw, _ := answer["access_token"].(string)
		bound, err := token.Parse(raw)
		if err != nil || answer["token_type"] != "mtls_pop" || bound.Claims.Confirmation == nil || bound.Claims.Confirmation.X5TS256 != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("HTTP/2 %v: %v, %v; want a token that is bound to the certificate", http2, answer, err)
		}
	}
}

func TestWithoutACertificateNoTokenIsBound(t *testing.T) {
	entra := fakeentra.Start(t)
	contoso := entra.AddTenant("contoso")
	vm := entra.AddHost("vm1", fakeentra.IMDS, fakeentra.WithMachine(fakeentra.Machine{IMDSv2: true})).Assign(contoso.AddManagedIdentity("build-agent"))
	other := entra.AddHost("vm2", fakeentra.IMDS, fakeentra.WithMachine(fakeentra.Machine{IMDSv2: true})).Assign(contoso.AddManagedIdentity("deployer"))
	client := newBoundClient(t, entra, vm)
	mine, theirs := client.issue(), (&boundClient{t: t, vm: other, key: client.key}).issue()
	for name, tc := range map[string]struct {
		certificate []byte
		want        string
	}{
		"none":              {nil, "AADSTS392200"},
		"another machine's": {theirs.Certificate, "AADSTS700021"},
	} {
		answer := client.token(mine, tc.certificate, false)
		if text, _ := answer["error_description"].(string); !strings.HasPrefix(text, tc.want) || !strings.HasPrefix(answer["error_uri"].(string), "https://mtlsauth.microsoft.com/error?code=") {
			t.Errorf("%s: %v, want %s", name, answer, tc.want)
		}
	}
	entra.Advance(8 * 24 * time.Hour)
	if text, _ := client.token(mine, mine.Certificate, false)["error_description"].(string); !strings.HasPrefix(text, "AADSTS392204: The provided client certificate has expired.") {
		t.Errorf("after eight days: %s", text)
	}
}

// Elsewhere nobody is asked for a certificate: some clients stop to ask a person.
func TestClientsAreAskedForCertificatesAtMutualTLSOnly(t *testing.T) {
	entra := fakeentra.Start(t)
	client := newBoundClient(t, entra, entra.AddHost("vm1", fakeentra.IMDS))
	for name, want := range map[string]bool{"login.microsoftonline.com": false, "mtlsauth.microsoft.com": true, "westus.mtlsauth.microsoft.com": true, "westus.login.microsoft.com": false} {
		asked := false
		transport := &http.Transport{Proxy: client.proxy, TLSClientConfig: &tls.Config{RootCAs: client.roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}}}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + name + "/common/discovery/keys")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		transport.CloseIdleConnections()
		if asked != want {
			t.Errorf("%s asks for a certificate: %v, want %v", name, asked, want)
		}
	}
}
