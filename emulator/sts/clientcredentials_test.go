package sts

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/token"
)

var opaque = cmpopts.IgnoreFields(token.Claims{}, "AIO", "UTI")

// The expected claims are the golden examples of the facts, sections 6.3 to 6.5.
func TestTokensCarryTheDocumentedClaims(t *testing.T) {
	w := newWorld(t)
	assertion, err := token.Parse(w.identityToken(exchange))
	w.must(err)
	if diff := cmp.Diff(token.Claims{
		Audience: token.Audience{"fb60f99c-7a34-4190-8149-302f77469936"}, Issuer: "https://login.microsoftonline.com/" + contoso + "/v2.0",
		IssuedAt: 1799999700, NotBefore: 1799999700, Expires: 1800086400,
		AZP: agentCID, AZPACR: "2", IDType: "app", ObjectID: agentOID, RH: "1.AVkBEREREREREREREREREREREZz5YPs0epBBgUkwL3dGmTZZAQBZAQ.",
		Subject: agentOID, TenantID: contoso, Version: "2.0", ActFacet: "9 3", IDRel: "7 10", SubFacet: "3 9", AzureRID: host,
		MIRID: "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/build-agent",
	}, assertion.Claims, opaque); diff != "" {
		t.Errorf("managed identity token (-want +got):\n%s", diff)
	}
	if assertion.Claims.UTI != "YC8cfTpbDk6aQQwvW2p9AA" || assertion.Header.X5T != "" {
		t.Errorf("uti = %s and x5t = %q in a v2.0 token", assertion.Claims.UTI, assertion.Header.X5T)
	}
	if diff := cmp.Diff(token.Claims{
		Audience: token.Audience{"https://storage.azure.com"}, Issuer: "https://sts.windows.net/" + contoso + "/",
		IssuedAt: 1799999700, NotBefore: 1799999700, Expires: 1800003600,
		AppID: exporter, AppIDACR: "2", IDP: "https://sts.windows.net/" + contoso + "/", IDType: "app", ObjectID: exporterSP,
		RH: "1.AVkBEREREREREREREREREREREYGmBuTU86hCkLbCsClJevFZAQBZAQ.", Subject: exporterSP, TenantID: contoso, Version: "1.0",
		FICInfo: "CAAQABgAIAAoAzAA", IDRel: "7 10",
	}, w.claims(w.withAssertion(assertion.Raw)), opaque); diff != "" {
		t.Errorf("application token (-want +got):\n%s", diff)
	}
}

func TestTheBodiesOfASuccess(t *testing.T) {
	w := newWorld(t)
	v2 := w.withSecret()
	w.claims(v2)
	delete(v2.Body, "access_token")
	if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": 3599.0, "ext_expires_in": 3599.0}, v2.Body); diff != "" {
		t.Errorf("v2.0 body (-want +got):\n%s", diff)
	}
	v1 := w.postTo("/"+contoso+"/oauth2/token", "grant_type", "client_credentials", "client_id", exporter, "client_secret", "s3cret", "resource", "https://storage.azure.com/")
	if got := w.claims(v1); got.Audience[0] != "https://storage.azure.com/" || got.AppIDACR != "1" || got.FICInfo != "" {
		t.Errorf("v1.0 token: aud %v, appidacr %s, xms_ficinfo %q", got.Audience, got.AppIDACR, got.FICInfo)
	}
	delete(v1.Body, "access_token")
	if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599", "expires_on": "1800003600", "not_before": "1799999700", "resource": "https://storage.azure.com/"}, v1.Body); diff != "" {
		t.Errorf("v1.0 body (-want +got):\n%s", diff)
	}
	if got := v2.Header.Get("Cache-Control"); got != "no-store, no-cache" {
		t.Errorf("Cache-Control = %q", got)
	}
}

// Section 2.5 of the facts: what real clients send and Entra accepts.
func TestQuirksOfRealClientsAreAccepted(t *testing.T) {
	for name, fields := range map[string][]string{
		"MSAL Go asks for OIDC scopes too":        {"scope", storageScope + " openid offline_access profile", "client_info", "1"},
		".NET Storage has two slashes":            {"scope", "https://storage.azure.com//.default"},
		"MSAL Node carries telemetry in the body": {"x-client-SKU", "msal.js.node", "x-ms-lib-capability", "retry-after, h429", "client-request-id", strangeCID},
		"the tenant's claims parameter":           {"claims", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`},
		"old SDKs say response_type":              {"response_type", "token"},
		"upper-case client ID":                    {"client_id", strings.ToUpper(exporter)},
		"the resource by its client ID":           {"scope", string(directory.StorageApp) + "/.default"},
		"another letter case of the resource":     {"scope", "https://Storage.Azure.com/.default"},
		"the same scope twice":                    {"scope", storageScope + " openid " + storageScope},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.claims(w.withAssertion(w.identityToken(exchange), fields...))
		})
	}
	w := newWorld(t)
	for _, target := range []string{"/contoso.onmicrosoft.com/oauth2/v2.0/token", "//" + contoso + "/oauth2/v2.0/token/", "/" + contoso + "/OAuth2/V2.0/Token", "/" + strings.ToUpper(contoso) + "/oauth2/v2.0/token?client-request-id=" + strangeCID} {
		got := w.postTo(target, "grant_type", "client_credentials", "client_id", exporter, "client_secret", "s3cret", "scope", storageScope)
		if w.claims(got).TenantID != contoso {
			t.Errorf("%s: token of another tenant", target)
		}
	}
	basic := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(exporter+":"+url.QueryEscape("s3cret")))}}
	w.claims(w.do("POST", "/"+contoso+"/oauth2/v2.0/token", "application/x-www-form-urlencoded; charset=utf-8", "grant_type=client_credentials&scope="+url.QueryEscape(storageScope), basic))
}

func TestCorrelationAndClientHeaders(t *testing.T) {
	w := newWorld(t)
	got := w.do("POST", "/"+contoso+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", "", http.Header{
		"Client-Request-Id": {strings.ToUpper(strangeCID)}, "Return-Client-Request-Id": {"true"}, "X-Client-Sku": {"MSAL.NetCore"}})
	if got.Body["correlation_id"] != strangeCID || got.Header.Get("client-request-id") != strangeCID || got.Header.Get("x-ms-clitelem") != "1,0,0,," {
		t.Errorf("correlation %v, headers %v", got.Body["correlation_id"], got.Header)
	}
	if plain := w.postTo("/" + contoso + "/oauth2/v2.0/token"); plain.Header.Get("client-request-id") != "" || plain.Header.Get("x-ms-clitelem") != "" {
		t.Errorf("a client that did not ask for them got %v", plain.Header)
	}
}

// Clients point at their certificate in every way (section 2.5 of the facts).
func TestCertificateAssertions(t *testing.T) {
	w := newWorld(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	w.must(err)
	key, err := token.NewKey(private)
	w.must(err)
	other := w.certified()
	w.claims(w.withAssertion(w.bySelf(other, nil)))

	own, err := token.ParsePEM(key.PEM())
	w.must(err)
	w.clock.now = time.Now().UTC()
	w.app(func(a *directory.Application) { a.Certificates = append(a.Certificates, certificateOf(t, own)) })
	short, long := sha1.Sum(own.Certificate), sha256.Sum256(own.Certificate)
	for name, header := range map[string]map[string]any{
		"x5t":                       {"x5t": base64.RawURLEncoding.EncodeToString(short[:])},
		"x5t with padding":          {"x5t": base64.URLEncoding.EncodeToString(short[:])},
		"kid only (Terraform)":      {"kid": base64.URLEncoding.EncodeToString(short[:])},
		"kid in hexadecimal":        {"kid": strings.ToUpper(hex.EncodeToString(short[:]))},
		"standard x5t#S256 (Go)":    {"x5t#S256": base64.StdEncoding.EncodeToString(long[:])},
		"padded x5t#S256 (Python)":  {"x5t#S256": base64.URLEncoding.EncodeToString(long[:])},
		"x5c as one string (.NET)":  {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "x5c": "MII"},
		"x5c as an array (SN/I)":    {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "x5c": []string{"MII"}},
		"times as strings (.NET)":   {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "as": "string"},
		"times as floats (Python)":  {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "as": "float"},
		"PS256 (MSAL Go, MSAL.NET)": {"x5t#S256": base64.RawURLEncoding.EncodeToString(long[:]), "alg": "PS256"},
		"no nbf and no iat":         {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "as": "none"},
		"audience is the issuer":    {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "aud": environment.Public.IssuerV2(contoso)},
		"audience in an array":      {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "aud": []string{environment.Public.IssuerV2(contoso)}},
		"audience is the v1 path":   {"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "aud": "https://login.microsoftonline.com/" + contoso + "/oauth2/token"},
	} {
		got := w.withAssertion(selfSignedBy(t, private, w.clock.now, header))
		if got.Status != 200 {
			t.Errorf("%s: %v (%s)", name, got.Body["error_description"], w.lastWhy())
		}
	}
	got := w.withAssertion(selfSignedBy(t, private, w.clock.now, map[string]any{"x5t": base64.RawURLEncoding.EncodeToString(short[:]), "aud": []string{"a", "b"}}))
	if got.Body["error_codes"].([]any)[0] != 50027.0 {
		t.Errorf("two audiences: %v", got.Body)
	}
}

// selfSignedBy signs an assertion of the exporter with a header of choice.
func selfSignedBy(t *testing.T, private *rsa.PrivateKey, now time.Time, header map[string]any) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": exporter, "sub": exporter, "aud": "https://login.microsoftonline.com/" + contoso + "/oauth2/v2.0/token", "exp": now.Add(10 * time.Minute).Unix(), "nbf": now.Unix()}
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	switch header["as"] {
	case "string":
		claims["exp"], claims["nbf"] = jsonNumber(now.Add(10*time.Minute)), jsonNumber(now)
	case "float":
		claims["exp"], claims["iat"] = float64(now.Add(10*time.Minute).Unix())+0.25, float64(now.Unix())+0.75
	case "none":
		delete(claims, "nbf")
	}
	if header["alg"] == "PS256" {
		method = jwt.SigningMethodPS256
	}
	if aud, ok := header["aud"]; ok {
		claims["aud"] = aud
	}
	tok := jwt.NewWithClaims(method, claims)
	for _, name := range []string{"x5t", "x5t#S256", "kid", "x5c"} {
		if v, ok := header[name]; ok {
			tok.Header[name] = v
		}
	}
	raw, err := tok.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestCrossTenant(t *testing.T) {
	w := newWorld(t)
	token := w.identityToken(exchange)
	fields := []string{"grant_type", "client_credentials", "client_id", exporter, "scope", storageScope, "client_assertion_type", assertionBearer, "client_assertion", token}
	remote := "/" + fabrikam + "/oauth2/v2.0/token"
	if got := w.postTo(remote, fields...); got.Status != 401 || got.Body["error_codes"].([]any)[0] != 7000229.0 {
		t.Fatalf("without a service principal in Fabrikam: %d %v", got.Status, got.Body)
	}
	w.dir.PutServicePrincipal(directory.ServicePrincipal{Name: "exporter", Tenant: fabrikam, ClientID: exporter, ObjectID: remoteSP})
	got := w.claims(w.postTo(remote, fields...))
	if got.TenantID != fabrikam || got.Issuer != environment.Public.IssuerV1(fabrikam) || got.ObjectID != remoteSP || got.AppID != exporter {
		t.Fatalf("token in Fabrikam: tid %s, iss %s, oid %s, appid %s", got.TenantID, got.Issuer, got.ObjectID, got.AppID)
	}
	w.app(func(a *directory.Application) { a.MultiTenant = false })
	if got := w.postTo(remote, fields...); got.Status != 400 || got.Body["error_codes"].([]any)[0] != 700016.0 {
		t.Fatalf("single-tenant application in Fabrikam: %d %v", got.Status, got.Body)
	}
}

// The facts, section 6.4: dumps of tokens for Azure Resource Manager.
func TestFacetsOfIdentitiesDependOnTheVersion(t *testing.T) {
	w := newWorld(t)
	v1, err := token.Parse(w.identityToken("https://management.azure.com/"))
	w.must(err)
	if c := v1.Claims; c.ActFacet != "3 9" || c.SubFacet != "9 3" || c.IDRel != "7 4" || c.Audience[0] != "https://management.azure.com/" {
		t.Errorf("xms_act_fct %q, xms_sub_fct %q, xms_idrel %q, aud %v", c.ActFacet, c.SubFacet, c.IDRel, c.Audience)
	}
}

func TestAppRolesReachTheToken(t *testing.T) {
	w := newWorld(t)
	w.must(w.dir.AddApplication(directory.Application{Name: "orders", Tenant: contoso, ClientID: ordersCID, ObjectID: "o0", IdentifierURIs: []string{"api://orders"}, AssignmentNeeded: true, TokenVersion: 2}))
	w.dir.PutServicePrincipal(directory.ServicePrincipal{Name: "orders", Tenant: contoso, ClientID: ordersCID, ObjectID: "o1"})
	w.principal(func(p *directory.ServicePrincipal) {
		p.AppRoles = map[directory.ClientID][]string{ordersCID: {"Orders.Read"}}
	})
	got := w.claims(w.withSecret("scope", "api://orders/.default"))
	if diff := cmp.Diff([]string{"Orders.Read"}, got.Roles); diff != "" || got.Audience[0] != ordersCID || got.Version != "2.0" || got.AZP != exporter {
		t.Errorf("roles %v, aud %v, ver %s, azp %s", got.Roles, got.Audience, got.Version, got.AZP)
	}
}

func TestASemicolonInASecretIsPartOfIt(t *testing.T) {
	w := newWorld(t).app(func(a *directory.Application) { a.Secrets = []directory.ClientSecret{{Value: "a;b"}} })
	w.claims(w.do("POST", "/"+contoso+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", "grant_type=client_credentials&client_id="+exporter+"&client_secret=a;b&scope="+url.QueryEscape(storageScope), nil))
}

func TestMalformedTokenRequests(t *testing.T) {
	w := newWorld(t)
	target := "/" + contoso + "/oauth2/v2.0/token"
	for name, tc := range map[string]struct {
		contentType, body string
		code              float64
	}{
		"JSON":               {"application/json", `{"grant_type":"client_credentials"}`, 900144},
		"no content type":    {"", "grant_type=client_credentials", 900144},
		"semicolons":         {"application/x-www-form-urlencoded", "a=b;c=d", 900144},
		"no escapes":         {"application/x-www-form-urlencoded", "a=%zz", 9002313},
		"empty":              {"application/x-www-form-urlencoded", "", 900144},
		"only an id":         {"application/x-www-form-urlencoded", "grant_type=client_credentials", 900144},
		"type, no assertion": {"application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=" + exporter + "&scope=s&client_assertion_type=" + url.QueryEscape(assertionBearer), 900144},
		"over a megabyte":    {"application/x-www-form-urlencoded", "a=" + strings.Repeat("x", 1<<20), 9002313},
		"NUL client":         {"application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=%00", 700016},
	} {
		if got := w.do("POST", target, tc.contentType, tc.body, nil); got.Body["error_codes"].([]any)[0] != tc.code {
			t.Errorf("%s: %v, want %v", name, got.Body["error_codes"], tc.code)
		}
	}
	for _, path := range []string{"/", "/" + contoso, "/" + contoso + "/oauth2/v2.0/authorize", "/a/b/c/d/e"} {
		if got := w.get(path); got.Status != 404 || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s answered %d %s, want a 404 in JSON", path, got.Status, got.Header.Get("Content-Type"))
		}
	}
}

func FuzzTokenForm(f *testing.F) {
	f.Add("grant_type=client_credentials&client_id="+exporter+"&client_secret=s3cret&scope=https%3A%2F%2Fstorage.azure.com%2F.default", "application/x-www-form-urlencoded")
	f.Add("client_assertion=e30.e30.&client_assertion_type="+assertionBearer, "application/x-www-form-urlencoded")
	f.Add("%", "text/plain; charset")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		w := newWorld(t)
		got := w.do("POST", "/"+contoso+"/oauth2/v2.0/token", contentType, body, nil)
		if got.Status == 200 && !strings.Contains(body, "s3cret") {
			t.Fatalf("a token without a credential for %q", body)
		}
		if got.Status != 200 && got.Body["error"] == nil {
			t.Fatalf("%d without an error for %q", got.Status, body)
		}
	})
}

func FuzzAssertion(f *testing.F) {
	w := newWorld(&testing.T{})
	f.Add(w.identityToken(exchange))
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.")
	f.Fuzz(func(t *testing.T, assertion string) {
		w := newWorld(t)
		w.clock.now = start.Add(48 * time.Hour) // every good seed has expired
		if got := w.withAssertion(assertion); got.Status == 200 {
			t.Fatalf("a token for %q", assertion)
		}
	})
}

func jsonNumber(at time.Time) string {
	b, _ := json.Marshal(at.Unix())
	return string(b)
}
