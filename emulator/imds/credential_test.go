package imds

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/csrtest"
)

const (
	platformURL   = "http://169.254.169.254/metadata/identity/getplatformmetadata?cred-api-version=2.0"
	credentialURL = "http://169.254.169.254/metadata/identity/issuecredential?cred-api-version=2.0"
)

// clientKey is one key for all tests: making them is slow.
var clientKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// credentialWorld has the host modern, which has IMDSv2 and two identities.
func credentialWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	must(t, w.AddHost(Host{Name: "modern", Source: IMDS, Tenant: contoso, Machine: Machine{IMDSv2: true}, Environment: environment.USGovernment}))
	must(t, w.Assign("modern", agentClient))
	must(t, w.Assign("modern", deployerClient))
	return w
}

func (w *world) unit() string {
	host, _ := w.Host("modern")
	return `{"vmId":"` + host.vmID() + `","vmssId":null}`
}

// request is what MSAL.NET would send for the build agent.
func (w *world) request() csrtest.Request {
	return csrtest.Request{Key: clientKey(), Algorithm: x509.SHA256WithRSAPSS, ClientID: string(agentClient), TenantID: string(contoso), Unit: w.unit()}
}

func credentialBody(t testing.TB, r csrtest.Request) string {
	t.Helper()
	der, err := r.DER()
	must(t, err)
	return `{"csr":"` + base64.StdEncoding.EncodeToString(der) + `","attestation_token":"a.b.c"}`
}

func TestPlatformMetadataSaysWhatGoesIntoASigningRequest(t *testing.T) {
	w := credentialWorld(t)
	host, _ := w.Host("modern")
	want := `{"cuId":{"vmId":"` + host.vmID() + `","vmssId":""},"clientId":"` + string(agentClient) + `","tenantId":"` + string(contoso) + `","attestationEndpoint":"https://shared.usgovvirginia.attest.azure.net"}`
	for _, selector := range []string{"&client_id=" + string(agentClient), "&object_id=" + string(agentPrincipal), "&mi_res_id=" + string(agentResource)} {
		resp := w.get(t, "modern", platformURL+selector)
		if got := string(resp.Body); resp.Status != 200 || got != want || resp.Header.Get("Server") != server {
			t.Errorf("%s: %d %s\nwant %s", selector, resp.Status, got, want)
		}
	}
}

func TestACertificateIsIssuedForSevenDays(t *testing.T) {
	w := credentialWorld(t)
	resp := w.post(t, "modern", credentialURL+"&client_id="+string(agentClient)+"&bypass_cache=true", credentialBody(t, w.request()))
	var got map[string]string
	if err := json.Unmarshal(resp.Body, &got); err != nil || resp.Status != 200 {
		t.Fatalf("%d %s, %v\n%s", resp.Status, resp.Body, err, w.last().Decision.Why)
	}
	subject, err := base64.StdEncoding.DecodeString(got["certificate"])
	if err != nil || !strings.HasSuffix(string(subject), fmt.Sprintf("|%d|%d", epoch.Unix()-300, epoch.Unix()+7*86400)) || !strings.Contains(string(subject), "CN="+string(agentClient)) {
		t.Errorf("certificate %s, %v; want one for %s that is valid until %d", subject, err, agentClient, epoch.Unix()+7*86400)
	}
	for name, want := range map[string]string{"client_id": string(agentClient), "tenant_id": string(contoso), "identity_type": "UserAssigned", "mtls_authentication_endpoint": "https://usgovvirginia.mtlsauth.microsoftonline.us"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestSigningRequestsThatMSALWouldNotSendAreRefused(t *testing.T) {
	w := credentialWorld(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	with := func(edit func(*csrtest.Request)) string {
		r := w.request()
		edit(&r)
		return credentialBody(t, r)
	}
	good := credentialBody(t, w.request())
	der, err := w.request().DER()
	must(t, err)
	der[len(der)-1] ^= 1
	for name, tc := range map[string]struct{ body, row, why string }{
		"no JSON":              {"csr=x", "csr", `expected {"csr"`},
		"no attestation token": {`{"csr":"AAAA"}`, "attestation-missing", "no attestation_token"},
		"an empty one":         {strings.Replace(good, "a.b.c", "", 1), "attestation-missing", "no attestation_token"},
		"no base64":            {`{"csr":"-----BEGIN","attestation_token":"a"}`, "csr", "is not base64"},
		"no request":           {`{"csr":"AAAA","attestation_token":"a"}`, "csr", "expected PKCS #10"},
		"too large":            {`{"csr":"` + strings.Repeat("A", maxSigningRequest+1) + `","attestation_token":"a"}`, "csr", "has 16385 characters; expected 16384 at most"},
		"another curve":        {with(func(r *csrtest.Request) { r.Key, r.Algorithm, r.Unit = curve, x509.ECDSAWithSHA256, "" }), "csr", "the key is ECDSA; expected RSA of 2048 bits"},
		"a small key":          {with(func(r *csrtest.Request) { r.Key = crypto.Signer(small) }), "csr", "expected RSA of 2048 bits"},
		"PKCS #1 padding":      {with(func(r *csrtest.Request) { r.Algorithm, r.Unit = x509.SHA256WithRSA, "" }), "csr", "the signature is SHA256-RSA; expected RSASSA-PSS"},
		"a forged signature":   {`{"csr":"` + base64.StdEncoding.EncodeToString(der) + `","attestation_token":"a"}`, "csr", "not that of the key"},
		"another client":       {with(func(r *csrtest.Request) { r.ClientID = string(deployerClient) }), "csr", "expected CN=" + string(agentClient)},
		"another tenant":       {with(func(r *csrtest.Request) { r.TenantID = "x" }), "csr", "DC=" + string(contoso)},
		"no machine":           {with(func(r *csrtest.Request) { r.Unit = "" }), "csr", "it is missing"},
		"a machine in YAML":    {with(func(r *csrtest.Request) { r.Unit = "vmId: x" }), "csr", "expected the cuId"},
		"another machine":      {with(func(r *csrtest.Request) { r.Unit = `{"vmId":"x"}` }), "csr", `for the machine "x"`},
	} {
		resp := w.post(t, "modern", credentialURL+"&client_id="+string(agentClient), tc.body)
		want, _ := named(tc.row)
		if got := w.last().Decision; resp.Status != 400 || string(resp.Body) != envelope+want.text+`"}` || got.Code != tc.row || !strings.Contains(got.Why, tc.why) {
			t.Errorf("%s: %d %s, %s: %s", name, resp.Status, resp.Body, got.Code, got.Why)
		}
	}
	w.notary.broken = true
	if resp := w.post(t, "modern", credentialURL+"&client_id="+string(agentClient), good); resp.Status != 500 || w.last().Decision.Code != "credential-failed" {
		t.Errorf("an authority that fails: %d %s", resp.Status, resp.Body)
	}
}

func TestQueriesOfIMDSv2AreChecked(t *testing.T) {
	w := credentialWorld(t)
	for _, tc := range []struct{ method, url, row string }{
		{"GET", strings.Replace(platformURL, "2.0", "1.0", 1), "cred-api-version"},
		{"POST", strings.Replace(credentialURL, "cred-", "", 1), "cred-api-version"},
		{"POST", platformURL, "method-not-allowed"},
		{"GET", credentialURL, "method-not-allowed"},
		{"GET", platformURL, "multiple-identities"},
		{"GET", platformURL + "&client_id=x", "identity-not-found"},
		{"GET", platformURL + "&client_id=x&mi_res_id=y", "two-selectors"},
		{"GET", platformURL + "&client_id=x&client_id=y", "duplicate-parameter"},
	} {
		w.send(t, "modern", tc.method, tc.url)
		if got := w.last().Decision.Code; got != tc.row {
			t.Errorf("%s %s: %q, want %s", tc.method, tc.url, got, tc.row)
		}
	}
	// A probe of MSAL.NET asks without the header and wants status 400.
	if resp := w.get(t, "modern", platformURL, "Metadata", ""); resp.Status != 400 {
		t.Errorf("the probe got %d, want 400", resp.Status)
	}
}

// Whatever is posted, a certificate is issued for what was asked for, or the
// request is refused with a reason.
func FuzzSigningRequest(f *testing.F) {
	w := credentialWorld(f)
	der, err := w.request().DER()
	must(f, err)
	f.Add(der)
	f.Add([]byte{})
	f.Add([]byte("0\x82\x01\x00"))
	host, _ := w.Host("modern")
	agent := w.Assigned("modern")[0]
	f.Fuzz(func(t *testing.T, der []byte) {
		body, err := json.Marshal(map[string]string{"csr": base64.StdEncoding.EncodeToString(der), "attestation_token": "a"})
		must(t, err)
		request, no := signingRequest(body)
		if no == nil {
			no = checkSigningRequest(request, host, agent)
		}
		resp := w.post(t, "modern", credentialURL+"&client_id="+string(agentClient), string(body))
		if (no == nil) != (resp.Status == 200) || no != nil && (no.why == "" || resp.Status != 400) {
			t.Fatalf("%x: %d, %+v", der, resp.Status, no)
		}
	})
}
