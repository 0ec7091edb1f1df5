package blob

import (
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/token"
)

type noKeys struct{}

func (noKeys) Lookup(string) (crypto.PublicKey, bool) { return nil, false }

func TestTokensAreJudgedByTheirClaims(t *testing.T) {
	w := newWorld(t)
	account, _ := w.Account("contosodata")
	for name, tc := range map[string]struct {
		edit func(*token.Claims)
		want *Refusal
		why  string
	}{
		"good":                    {func(*token.Claims) {}, nil, ""},
		"slash":                   {func(c *token.Claims) { c.Audience = token.Audience{"https://storage.azure.com/"} }, nil, ""},
		"two slashes":             {func(c *token.Claims) { c.Audience = token.Audience{"https://storage.azure.com//"} }, errWrongAudience, "expected https://storage.azure.com"},
		"client ID":               {func(c *token.Claims) { c.Audience = token.Audience{string(directory.StorageApp)} }, nil, ""},
		"own endpoint":            {func(c *token.Claims) { c.Audience = token.Audience{endpoint} }, nil, ""},
		"own endpoint with slash": {func(c *token.Claims) { c.Audience = token.Audience{endpoint + "/"} }, nil, ""},
		"other account": {func(c *token.Claims) { c.Audience = token.Audience{"https://contosopublic.blob.core.windows.net"} }, errWrongAudience,
			"contosopublic"},
		"no audience":   {func(c *token.Claims) { c.Audience = nil }, errWrongAudience, "expected"},
		"assertion":     {func(c *token.Claims) { c.Audience = token.Audience{"api://AzureADTokenExchange"} }, errWrongAudience, "exchanged at the token endpoint first"},
		"v2 issuer":     {func(c *token.Claims) { c.Issuer = "https://login.microsoftonline.com/" + contoso + "/v2.0" }, errWrongIssuer, "v1.0 tokens"},
		"other tenant":  {func(c *token.Claims) { c.Issuer = "https://sts.windows.net/" + fabrikam + "/" }, errWrongIssuer, "tenant ID of fabrikam"},
		"other tid":     {func(c *token.Claims) { c.TenantID = fabrikam }, errWrongIssuer, "not the tenant of its issuer"},
		"no slash":      {func(c *token.Claims) { c.Issuer = "https://sts.windows.net/" + contoso }, errWrongIssuer, "expected https://sts.windows.net/"},
		"evil suffix":   {func(c *token.Claims) { c.Issuer = "https://sts.windows.net.evil.example/" + contoso + "/" }, errWrongIssuer, "evil.example"},
		"other cloud":   {func(c *token.Claims) { c.Issuer = "https://sts.chinacloudapi.cn/" + contoso + "/" }, errWrongIssuer, "of the china cloud"},
		"expired":       {func(c *token.Claims) { c.Expires = token.NumericDate(start.Add(-time.Hour)) }, errExpired, "1h0m1s before the request"},
		"never expires": {func(c *token.Claims) { c.Expires = 0 }, errExpired, "1970"},
		"not yet valid": {func(c *token.Claims) { c.NotBefore = token.NumericDate(start.Add(time.Hour)) }, errNotYetValid, "after the request"},
		"issuer first":  {func(c *token.Claims) { c.Issuer, c.Audience, c.Expires = "x", nil, 0 }, errWrongIssuer, ""},
	} {
		claims := w.claims(owner)
		tc.edit(&claims)
		_, e := w.authenticate(w.mint(claims), account, w.now)
		switch {
		case e == nil && tc.want == nil:
		case e == nil || tc.want == nil || e.Refusal != tc.want:
			t.Errorf("%s: got %v, want %v", name, e, tc.want)
		case !strings.Contains(e.Reason, tc.why):
			t.Errorf("%s: why %q lacks %q", name, e.Reason, tc.why)
		}
	}
}

func TestOnlyRS256SignaturesOfPublishedKeysCount(t *testing.T) {
	w := newWorld(t)
	account, _ := w.Account("contosodata")
	good := w.mint(w.claims(owner))
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for name, tc := range map[string]struct {
		raw  string
		want *Refusal
		why  string
	}{
		"alg none":         {"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + payload + ".", errWrongSignature, `"none"; expected RS256`},
		"alg HS256":        {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + payload + "." + signature, errWrongSignature, `"HS256"; expected RS256`},
		"changed payload":  {head + "." + strings.Replace(payload, payload[10:12], "AA", 1) + "." + signature, nil, ""},
		"no signature":     {head + "." + payload + ".", errWrongSignature, "does not fit the key"},
		"no kid":           {"eyJhbGciOiJSUzI1NiJ9." + payload + "." + signature, errWrongSignature, `the key ""`},
		"not a JWT":        {"abc", errUnreadableToken, "not a JWT"},
		"two parts":        {head + "." + payload, errUnreadableToken, "not a JWT"},
		"claims no object": {head + ".W10." + signature, errUnreadableToken, "not a JWT"},
	} {
		_, e := w.authenticate(tc.raw, account, w.now)
		if e == nil || tc.want != nil && e.Refusal != tc.want || !strings.Contains(e.Reason, tc.why) {
			t.Errorf("%s: got %v", name, e)
		}
	}
	if err := w.ring.Rotate(); err != nil {
		t.Fatal(err)
	}
	if _, e := w.authenticate(good, account, w.now); e != nil {
		t.Errorf("after rotation: %v", e)
	}
	w.ring.Retire()
	if _, e := w.authenticate(good, account, w.now); e == nil || e.Refusal != errWrongSignature || !strings.Contains(e.Reason, "does not publish") {
		t.Errorf("after retirement: %v", e)
	}
}

func TestCredentialsAreOneSchemeAndOneParameter(t *testing.T) {
	for _, tc := range []struct {
		values            []string
		scheme, parameter string
		ok                bool
	}{
		{[]string{"Bearer abc"}, "Bearer", "abc", true},
		{[]string{"bearer  abc "}, "bearer", "abc", true},
		{[]string{"Bearer"}, "Bearer", "", false},
		{[]string{"Bearer "}, "Bearer", "", false},
		{[]string{""}, "", "", false},
		{[]string{" abc"}, "", "abc", false},
		{[]string{"Bearer a", "Bearer b"}, "", "", false},
		{[]string{"Bearer a\tb"}, "Bearer", "a\tb", false},
	} {
		if scheme, parameter, ok := splitCredentials(tc.values); scheme != tc.scheme || parameter != tc.parameter || ok != tc.ok {
			t.Errorf("%q: %q, %q, %v", tc.values, scheme, parameter, ok)
		}
	}
}

func TestAnonymousRequestsAreAnsweredByVersionAndAccess(t *testing.T) {
	const open = "https://contosopublic.blob.core.windows.net"
	w := newWorld(t)
	for name, access := range map[string]string{"listed": "container", "known": "blob", "hidden": "-"} {
		w.must(201, ask{request: "PUT " + open + "/" + name + "?restype=container", header: map[string]string{"x-ms-blob-public-access": access}})
		w.must(201, ask{request: "PUT " + open + "/" + name + "/a.txt", header: block64, body: "hello"})
	}
	w.must(409, ask{request: "PUT /secret?restype=container", header: map[string]string{"x-ms-blob-public-access": "blob"}})
	for _, tc := range []struct {
		request, version string
		want             int
		code             string
	}{
		{"GET " + open + "/listed?restype=container&comp=list", latest, 200, ""},
		{"GET " + open + "/listed/a.txt", latest, 200, ""},
		{"GET " + open + "/listed/a.txt", "-", 200, ""},
		{"GET " + open + "/listed/b.txt", latest, 404, "BlobNotFound"},
		{"PUT " + open + "/listed/b.txt", latest, 401, "NoAuthenticationInformation"},
		{"DELETE " + open + "/listed/a.txt", latest, 401, "NoAuthenticationInformation"},
		{"GET " + open + "/?comp=list", latest, 401, "NoAuthenticationInformation"},
		{"GET " + open + "/known/a.txt", latest, 200, ""},
		{"GET " + open + "/known/a.txt?comp=blocklist", latest, 200, ""},
		{"GET " + open + "/known/a.txt?comp=blocklist&blocklisttype=All", latest, 401, "NoAuthenticationInformation"},
		{"GET " + open + "/known?restype=container&comp=list", latest, 401, "NoAuthenticationInformation"},
		{"GET " + open + "/hidden/a.txt", latest, 401, "NoAuthenticationInformation"},
		{"GET " + open + "/hidden/a.txt", "2019-07-07", 404, "ResourceNotFound"},
		{"GET " + open + "/missing/a.txt", "2019-12-12", 401, "NoAuthenticationInformation"},
		{"GET " + open + "/missing/a.txt", "-", 404, ""},
		{"GET /reports/a.txt", "2019-07-07", 409, "PublicAccessNotPermitted"},
		{"GET /reports/a.txt", "2019-12-12", 401, "NoAuthenticationInformation"},
		{"GET /reports/a.txt?sv=2022-11-02&sig=x", latest, 403, "KeyBasedAuthenticationNotPermitted"},
		{"GET /reports/a.txt?skoid=" + owner + "&sig=x", latest, 501, "NotImplemented"},
	} {
		got := w.do(ask{request: tc.request, header: map[string]string{"Authorization": "-", "x-ms-version": tc.version, "x-ms-blob-type": "BlockBlob"}})
		if got.status != tc.want || got.header.Get("x-ms-error-code") != tc.code {
			t.Errorf("%s with %s: %d %s, want %d %s", tc.request, tc.version, got.status, got.header.Get("x-ms-error-code"), tc.want, tc.code)
		}
		if challenged := got.header.Get("WWW-Authenticate") != ""; challenged != (tc.want == 401) {
			t.Errorf("%s: WWW-Authenticate %q", tc.request, got.header.Get("WWW-Authenticate"))
		}
	}
}

func TestEachOperationNeedsItsPermission(t *testing.T) {
	const put = "<BlockList></BlockList>"
	for request, action := range map[string]permission{
		"GET /?comp=list":                              readContainers,
		"PUT /new?restype=container":                   writeContainer,
		"GET /reports?restype=container":               readContainers,
		"PUT /reports?restype=container&comp=metadata": writeContainer,
		"GET /reports?restype=container&comp=list":     readBlobs,
		"PUT /reports/b.txt":                           writeBlob,
		"PUT /reports/a.txt?comp=block&blockid=MQ==":   writeBlob,
		"PUT /reports/a.txt?comp=blocklist":            writeBlob,
		"GET /reports/a.txt?comp=blocklist":            readBlobs,
		"GET /reports/a.txt":                           readBlobs,
		"HEAD /reports/a.txt":                          readBlobs,
		"HEAD /reports/a.txt?comp=metadata":            readBlobs,
		"PUT /reports/a.txt?comp=metadata":             writeBlob,
		"PUT /reports/a.txt?comp=properties":           writeBlob,
		"DELETE /reports/a.txt":                        removeBlob,
		"DELETE /reports?restype=container":            removeContainer,
	} {
		w := newWorld(t)
		w.put("reports", "a.txt", "hello")
		a := ask{request: request, header: block64, body: put, as: stranger}
		w.must(403, a)
		if why := w.last().Decision.Why; !strings.Contains(why, action.action+" on ") || !strings.Contains(why, action.role) || !strings.Contains(why, "has no role at all") {
			t.Errorf("%s: %s", request, why)
		}
		w.Directory.Assign(directory.RoleAssignment{Principal: stranger, Role: directory.Role{Name: "exact", DataActions: []string{action.action}}, Scope: "/subscriptions/s"})
		if got := w.do(a); got.status >= 300 {
			t.Errorf("%s with %s: %d %s", request, action.action, got.status, got.body)
		}
		role := named(t, action.role)
		w.Directory.Assign(directory.RoleAssignment{Principal: "named", Role: role, Scope: "/"})
		if !w.Directory.Permitted("named", action.action, "/x") {
			t.Errorf("%s does not include %s", action.role, action.action)
		}
	}
}

func TestRolesOnAContainerReachNoFurther(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	w.put("other", "a.txt", "hello")
	account, _ := w.Account("contosodata")
	w.Directory.Assign(directory.RoleAssignment{Principal: stranger, Role: named(t, "Storage Blob Data Reader"), Scope: account.ResourceID + "/blobServices/default/containers/reports"})
	w.must(200, ask{request: "GET /reports/a.txt", as: stranger})
	w.must(403, ask{request: "GET /other/a.txt", as: stranger})
	if why := w.last().Decision.Why; !strings.Contains(why, "which does not cover it") {
		t.Error(why)
	}
	w.must(403, ask{request: "GET /?comp=list", as: stranger})
	w.must(403, ask{request: "GET /missing/a.txt", as: stranger}) // not 404: nobody may find out
	w.Directory.Assign(directory.RoleAssignment{Principal: stranger, Role: named(t, "Owner"), Scope: "/subscriptions/s"})
	w.must(403, ask{request: "GET /other/a.txt", as: stranger})
	if why := w.last().Decision.Why; !strings.Contains(why, "Owner on /subscriptions/s, which gives no access to data") {
		t.Error(why)
	}
}

func TestThoseWhoMayAddBlobsCannotReplaceThem(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	w.must(201, ask{request: "PUT /reports/b.txt", header: block64, as: adder})
	w.must(403, ask{request: "PUT /reports/b.txt", header: block64, as: adder})
	w.must(403, ask{request: "PUT /reports/c.txt?comp=block&blockid=MQ==", body: "x", as: adder})
}

func TestTokensWithoutAPrincipalHaveNoRole(t *testing.T) {
	w := newWorld(t)
	c := w.claims("")
	w.must(403, ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "Bearer " + w.mint(c)}})
	if why := w.last().Decision.Why; !strings.Contains(why, "no oid claim") {
		t.Error(why)
	}
}

func TestTheJournalKnowsTheTokenAndTheBlob(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	raw := w.mint(w.claims(owner))
	w.edge.Journal.Issued(w.edge.Journal.Open(), raw)
	w.must(200, ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "Bearer " + raw}})
	if got := w.last().String(); got != "2 blob.get 200 contosodata/reports/a.txt token=#1" {
		t.Error(got)
	}
}
