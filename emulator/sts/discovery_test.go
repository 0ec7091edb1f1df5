package sts

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// body returns an answer byte for byte.
func (w *world) body(target string) string {
	w.t.Helper()
	in := httptest.NewRequestWithContext(w.t.Context(), "GET", target, nil)
	resp, err := w.edge.Serve(w.sts, edge.Caller{TLS: true}, in)
	w.must(err)
	return fmt.Sprintf("%d %s", resp.Status, resp.Body)
}

// The golden files were compared with the recorded documents of the facts.
func TestDiscoveryDocuments(t *testing.T) {
	w := newWorld(t)
	var out []string
	for _, target := range []string{
		"/" + contoso + "/v2.0/.well-known/openid-configuration",
		"/" + contoso + "/.well-known/openid-configuration",
		"/common/v2.0/.well-known/openid-configuration",
		"/organizations/.well-known/openid-configuration",
		"/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.microsoftonline.com%2F" + contoso + "%2Foauth2%2Fv2.0%2Fauthorize",
		"/common/discovery/instance?api-version=1.0&authorization_endpoint=https://login.windows.net/common/oauth2/v2.0/authorize",
		"/common/discovery/instance?api-version=1.1&authorization_endpoint=https://localhost:8443/" + contoso + "/oauth2/v2.0/authorize",
	} {
		out = append(out, target, w.body("https://login.microsoftonline.com"+target), "")
	}
	compareGolden(t, "testdata/discovery.golden", strings.Join(out, "\n"))
}

func TestDocumentsAskedForByDomainHoldTheTenantID(t *testing.T) {
	w := newWorld(t)
	byID := w.body("https://login.microsoftonline.com/" + contoso + "/v2.0/.well-known/openid-configuration?")
	for _, url := range []string{
		"https://sts.windows.net/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration",
		"https://login.microsoftonline.com:443/CONTOSO.onmicrosoft.com/v2.0/.well-known/openid-configuration",
	} {
		if got := w.body(url); got != byID {
			t.Errorf("%s answered %s", url, got)
		}
	}
}

func TestALoopbackAuthorityIsLedBack(t *testing.T) {
	w := newWorld(t)
	got := w.body("https://localhost:8443/" + contoso + "/v2.0/.well-known/openid-configuration")
	if !strings.Contains(got, `"token_endpoint":"https://localhost:8443/`+contoso+`/oauth2/v2.0/token"`) ||
		!strings.Contains(got, `"issuer":"https://login.microsoftonline.com/`+contoso+`/v2.0"`) {
		t.Errorf("document: %s", got)
	}
}

// kid = x5t = SHA-1 of the certificate in x5c, as verified on all real keys.
func TestKeySets(t *testing.T) {
	w := newWorld(t)
	w.must(w.sts.Ring.Rotate())
	for target, issuer := range map[string]string{
		"/" + contoso + "/discovery/v2.0/keys": "https://login.microsoftonline.com/" + contoso + "/v2.0",
		"/common/discovery/v2.0/keys":          "https://login.microsoftonline.com/{tenantid}/v2.0",
		"/common/discovery/keys":               "",
		"/" + contoso + "/discovery/keys":      "",
	} {
		got := w.get(target)
		keys, _ := got.Body["keys"].([]any)
		if len(keys) != 2 {
			t.Fatalf("%s has %d keys, want 2", target, len(keys))
		}
		for _, k := range keys {
			checkKey(t, target, k.(map[string]any), issuer)
		}
		if got.Header.Get("Cache-Control") != "max-age=86400, private" || got.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: headers %v", target, got.Header)
		}
	}
}

func checkKey(t *testing.T, target string, key map[string]any, issuer string) {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(key["x5c"].([]any)[0].(string))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(der)
	if want := base64.RawURLEncoding.EncodeToString(sum[:]); key["kid"] != want || key["x5t"] != want {
		t.Errorf("%s: kid %v and x5t %v, want %s", target, key["kid"], key["x5t"], want)
	}
	if got, has := key["issuer"]; has != (issuer != "") || (has && got != issuer) {
		t.Errorf("%s: issuer %v, want %q", target, got, issuer)
	}
	if _, has := key["alg"]; has || certificate.Subject.CommonName != "accounts.accesscontrol.windows.net" {
		t.Errorf("%s: key %v with certificate %s", target, key, certificate.Subject)
	}
}

// IMDS hands the token service's refusal on, with line breaks.
func TestRefusalsArePassedOn(t *testing.T) {
	w := newWorld(t)
	m, _ := w.dir.ManagedIdentity(agentCID)
	_, err := w.sts.IdentityToken(IdentityRequest{Now: start, RequestID: "7d1c2f60-5b3a-4e0e-9a41-0c2f5b6a7d00", Identity: m, Resource: "api://Foo&<"})
	passed, ok := err.(*Passed)
	if !ok {
		t.Fatalf("error %v, want a *Passed", err)
	}
	var body envelope
	w.must(json.Unmarshal(passed.Body(), &body))
	if strings.Contains(string(passed.Body()), `\u0026`) {
		t.Errorf("passed on %s, which escapes what Entra does not", passed.Body())
	}
	if passed.Status() != 400 || passed.Code() != "AADSTS500011" || !strings.Contains(passed.Why(), "api://Foo") || body.Error != "invalid_resource" ||
		!strings.HasPrefix(body.Description, "AADSTS500011: The resource principal named api://Foo&< was not found in the tenant named Contoso. ") ||
		!strings.Contains(body.Description, "\r\nTrace ID: 7d1c2f60-5b3a-4e0e-9a41-0c2f5b6a7d00\r\nCorrelation ID: ") {
		t.Errorf("passed on %s (%s)", passed.Body(), passed.Why())
	}
}

// MSAL.js carries such a document of login.chinacloudapi.cn; MSAL Go stays in
// its region by what the document of the region says.
func TestDocumentsNameTheHostThatWasAsked(t *testing.T) {
	for host, env := range map[string]environment.Environment{
		"login.microsoft.com":                         environment.Public,
		"westeurope.login.microsoft.com":              environment.Public,
		"login.usgovcloudapi.net":                     environment.USGovernment,
		"usgovvirginia.login.microsoftonline.us":      environment.USGovernment,
		"login.chinacloudapi.cn":                      environment.China,
		"chinaeast2.login.partner.microsoftonline.cn": environment.China,
	} {
		w := newWorld(t)
		w.sts.Environment = env
		got := w.body("https://" + strings.ToUpper(host) + ":443/" + contoso + "/v2.0/.well-known/openid-configuration")
		if !strings.Contains(got, `"token_endpoint":"https://`+host+`/`+contoso+`/oauth2/v2.0/token"`) || !strings.Contains(got, `"issuer":"`+env.IssuerV2(contoso)+`"`) {
			t.Errorf("%s: document %s", host, got)
		}
	}
}

func TestConsumersIsATenant(t *testing.T) {
	w := newWorld(t)
	for _, tenant := range []string{"consumers", "9188040D-6c67-4c5b-b112-36a304b66dad"} {
		if got := w.get("/" + tenant + "/v2.0/.well-known/openid-configuration"); got.Body["issuer"] != "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0" {
			t.Errorf("%s: issuer %v", tenant, got.Body["issuer"])
		}
	}
}

func TestRefusedDocumentsHaveTheHeadersOfDocuments(t *testing.T) {
	w := newWorld(t)
	got := w.do("GET", "/nowhere.example.com/v2.0/.well-known/openid-configuration", "", "", http.Header{"X-Client-Sku": {"MSAL.Go"}})
	for name, want := range map[string]string{"Cache-Control": "max-age=86400, private", "Access-Control-Allow-Origin": "*", "Pragma": "", "Expires": "", "X-Ms-Clitelem": ""} {
		if got.Header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, got.Header.Get(name), want)
		}
	}
}
