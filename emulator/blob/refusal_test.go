package blob

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/token"
)

// provocations has a request for every row of the table of refusals.
var provocations = []struct {
	row     string
	ask     ask
	prepare func(*world, *ask)
}{
	{row: "NoAuthenticationInformation", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "-"}}},
	{row: "PublicAccessNotPermitted", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "-", "x-ms-version": "-"}}},
	{row: "InvalidAuthenticationInfo/issuer", ask: ask{request: "GET /reports/a.txt"}, prepare: claiming(func(c *token.Claims) { c.Issuer = "https://sts.windows.net/" + fabrikam + "/" })},
	{row: "InvalidAuthenticationInfo/audience", ask: ask{request: "GET /reports/a.txt"}, prepare: claiming(func(c *token.Claims) { c.Audience = token.Audience{"https://graph.microsoft.com"} })},
	{row: "InvalidAuthenticationInfo/expired", ask: ask{request: "GET /reports/a.txt"}, prepare: claiming(func(c *token.Claims) { c.Expires -= 3600 + 301 })},
	{row: "InvalidAuthenticationInfo/not-yet-valid", ask: ask{request: "GET /reports/a.txt"}, prepare: claiming(func(c *token.Claims) { c.NotBefore += 302 })},
	{row: "InvalidAuthenticationInfo/signature", ask: ask{request: "GET /reports/a.txt"}, prepare: func(w *world, a *ask) {
		w.ring = token.NewRing(pool.From(3)) // a key that the service does not know
	}},
	{row: "InvalidAuthenticationInfo/token", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "Bearer abc"}}},
	{row: "InvalidAuthenticationInfo/header", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "Bearer"}}},
	{row: "AuthenticationFailed/version", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"x-ms-version": "2017-07-29"}}},
	{row: "AuthenticationFailed/http", ask: ask{request: "GET http://contosodata.blob.core.windows.net/reports/a.txt"}},
	{row: "AuthenticationFailed/token", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"x-ms-version": "2018-11-09"}}, prepare: claiming(func(c *token.Claims) { c.Expires = 0 })},
	{row: "KeyBasedAuthenticationNotPermitted", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "SharedKey contosodata:c2ln"}}},
	{row: "AuthorizationPermissionMismatch", ask: ask{request: "GET /reports/a.txt", as: stranger}},
	{row: "UnauthorizedBlobOverwrite", ask: ask{request: "PUT /reports/a.txt", header: block64, as: adder}},
	{row: "InsufficientAccountPermissions", ask: ask{request: "PUT https://contosodata-secondary.blob.core.windows.net/reports/a.txt", header: block64}},
	{row: "AuthorizationFailure", ask: ask{request: "GET /reports/a.txt"}, prepare: faulty("AuthorizationFailure")},
	{row: "ResourceNotFound", ask: ask{request: "GET https://nowhere.blob.core.windows.net/c/b"}},
	{row: "UnsupportedHttpVerb", ask: ask{request: "POST /reports/a.txt"}},
	{row: "NotImplemented", ask: ask{request: "PUT /reports/a.txt?comp=lease"}},
	{row: "InternalError", ask: ask{request: "GET /reports/a.txt"}, prepare: faulty("InternalError")},
	{row: "ServerBusy", ask: ask{request: "GET /reports/a.txt"}, prepare: faulty("ServerBusy")},
	{row: "ContainerNotFound", ask: ask{request: "GET /nothing?restype=container"}},
	{row: "BlobNotFound", ask: ask{request: "GET /reports/b.txt"}},
	{row: "ContainerAlreadyExists", ask: ask{request: "PUT /reports?restype=container"}},
	{row: "BlobAlreadyExists", ask: ask{request: "PUT /reports/a.txt", header: map[string]string{"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"}}},
	{row: "InvalidResourceName", ask: ask{request: "PUT /Reports?restype=container"}},
	{row: "OutOfRangeInput/name", ask: ask{request: "PUT /ab?restype=container"}},
	{row: "OutOfRangeInput", ask: ask{request: "GET /reports/large", header: map[string]string{"Range": "bytes=0-", "x-ms-range-get-content-md5": "true"}}, prepare: func(w *world, _ *ask) {
		w.put("reports", "large", strings.Repeat("x", maxDigested+1))
	}},
	{row: "InvalidUri", ask: ask{request: "GET /reports/%FF"}},
	{row: "InvalidHeaderValue", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"Range": "lines=1-2"}}},
	{row: "MissingRequiredHeader", ask: ask{request: "PUT /reports/a.txt"}},
	{row: "InvalidQueryParameterValue", ask: ask{request: "GET /reports?restype=container&comp=list&include=everything"}},
	{row: "OutOfRangeQueryParameterValue", ask: ask{request: "GET /reports?restype=container&comp=list&maxresults=0"}},
	{row: "MissingRequiredQueryParameter", ask: ask{request: "PUT /reports/a.txt?comp=block", body: "x"}},
	{row: "InvalidMetadata", ask: ask{request: "PUT /reports/a.txt?comp=metadata", header: map[string]string{"x-ms-meta-1a": "v"}}},
	{row: "EmptyMetadataKey", ask: ask{request: "PUT /reports/a.txt?comp=metadata", header: map[string]string{"x-ms-meta-": "v"}}},
	{row: "MetadataTooLarge", ask: ask{request: "PUT /reports/a.txt?comp=metadata", header: map[string]string{"x-ms-meta-a": strings.Repeat("v", maxMetadata)}}},
	{row: "InvalidMd5", ask: ask{request: "PUT /reports/a.txt", header: map[string]string{"x-ms-blob-type": "BlockBlob", "Content-MD5": "abc"}}},
	{row: "Md5Mismatch", ask: ask{request: "PUT /reports/a.txt", header: map[string]string{"x-ms-blob-type": "BlockBlob", "Content-MD5": md5Of([]byte("other"))}}},
	{row: "Crc64Mismatch", ask: ask{request: "PUT /reports/a.txt", header: map[string]string{"x-ms-blob-type": "BlockBlob", "x-ms-content-crc64": crc64Of([]byte("other"))}}},
	{row: "InvalidInput", ask: ask{request: "PUT /reports/a.txt", header: map[string]string{"x-ms-blob-type": "BlockBlob", "Content-Length": "5"}, body: "four"}},
	{row: "RequestBodyTooLarge", ask: ask{request: "PUT /reports/a.txt", header: map[string]string{"x-ms-blob-type": "BlockBlob", "Content-Length": "268435457"}}},
	{row: "InvalidRange", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"Range": "bytes=5-"}}},
	{row: "ConditionNotMet", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"If-Match": `"0x1"`}}},
	{row: "ConditionNotMet/read", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"If-Modified-Since": start.Format(http.TimeFormat)}}},
	{row: "MultipleConditionHeadersNotSupported", ask: ask{request: "DELETE /reports/a.txt", header: map[string]string{"If-Match": `"0x1"`, "If-None-Match": `"0x2"`}}},
	{row: "ConditionHeadersNotSupported", ask: ask{request: "GET /reports?restype=container&comp=list", header: map[string]string{"If-Match": "*"}}},
	{row: "UnsatisfiableCondition", ask: ask{request: "GET /reports/a.txt", header: map[string]string{"If-None-Match": "*"}}},
	{row: "InvalidBlockId", ask: ask{request: "PUT /reports/a.txt?comp=block&blockid=1", body: "x"}},
	{row: "InvalidBlockList", ask: ask{request: "PUT /reports/a.txt?comp=blocklist", body: "<BlockList><Latest>MQ==</Latest></BlockList>"}},
	{row: "InvalidBlobOrBlock", ask: ask{request: "PUT /reports/a.txt?comp=block&blockid=MTIzNA==", body: "x"}, prepare: func(w *world, _ *ask) {
		w.must(http.StatusCreated, ask{request: "PUT /reports/a.txt?comp=block&blockid=MQ==", body: "x"})
	}},
	{row: "BlockListTooLong", ask: ask{request: "PUT /reports/a.txt?comp=blocklist", body: "<BlockList>" + strings.Repeat("<Latest>MQ==</Latest>", maxCommitted+1) + "</BlockList>"}},
	{row: "BlockCountExceedsLimit", ask: ask{request: "PUT /reports/a.txt?comp=block&blockid=bmV3", body: "x"}, prepare: func(w *world, _ *ask) {
		w.store.update(func(tx transaction) {
			for i := range maxStaged {
				id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%06d", i))
				tx.stage(place{"contosodata", "reports", "a.txt"}, block{id, []byte("x")})
			}
		})
	}},
	{row: "InvalidXmlDocument", ask: ask{request: "PUT /reports/a.txt?comp=blocklist", body: "<BlockList><Newest>MQ==</Newest></BlockList>"}},
}

var block64 = map[string]string{"x-ms-blob-type": "BlockBlob"}

func claiming(edit func(*token.Claims)) func(*world, *ask) {
	return func(w *world, a *ask) {
		c := w.claims(owner)
		edit(&c)
		header := map[string]string{"Authorization": "Bearer " + w.mint(c)}
		for name, v := range a.header {
			header[name] = v
		}
		a.header = header
	}
}

func faulty(code string) func(*world, *ask) {
	return func(w *world, _ *ask) { w.edge.Faults.Add(fault.Rule{Op: "blob.get", Do: fault.Refuse(code)}) }
}

func TestEveryRefusalIsSentAsItsRowSays(t *testing.T) {
	rows := map[string]Refusal{}
	for _, r := range Refusals() {
		rows[r.Name] = r
	}
	for _, p := range provocations {
		t.Run(p.row, func(t *testing.T) {
			want, known := rows[p.row]
			if !known {
				t.Fatal("there is no such row")
			}
			w := newWorld(t)
			w.put("reports", "a.txt", "hello")
			if p.prepare != nil {
				p.prepare(w, &p.ask)
			}
			got := w.do(p.ask)
			if got.status != want.Status {
				t.Fatalf("status %d, want %d; %s", got.status, want.Status, w.last())
			}
			if e := w.last(); e.Decision.Code != want.Code() || e.Decision.Why == "" {
				t.Errorf("the journal says %+v", e.Decision)
			}
			if want.Status != http.StatusNotModified {
				text := "<Error><Code>" + want.Code() + "</Code><Message>" + escaped(want.Text) + "\nRequestId:"
				if !strings.HasPrefix(got.body, xmlBegin+text) || !strings.Contains(got.body, escaped(want.Detail)) {
					t.Errorf("body %q, want %q", got.body, text)
				}
			}
			if code := got.header.Get("x-ms-error-code"); code != want.Code() && p.ask.header["x-ms-version"] != "-" {
				t.Errorf("x-ms-error-code is %q", code)
			}
		})
	}
}

func TestEveryRowHasATestAndASource(t *testing.T) {
	provoked := map[string]bool{}
	for _, p := range provocations {
		provoked[p.row] = true
	}
	seen := map[string]bool{}
	for _, r := range Refusals() {
		if !provoked[r.Name] || r.Source == "" || r.Text == "" || r.Status < 300 || seen[r.Name] {
			t.Errorf("%s: provoked %v, source %q, text %q, status %d, twice %v", r.Name, provoked[r.Name], r.Source, r.Text, r.Status, seen[r.Name])
		}
		seen[r.Name] = true
	}
}

// The lengths are those of recorded answers, except for 404 and 302, which
// follow from the same layout.
func TestErrorBodiesHaveTheLengthOfRecordedOnes(t *testing.T) {
	for row, want := range map[string]int{
		"InvalidAuthenticationInfo/issuer": 402, "InvalidAuthenticationInfo/audience": 406, "InvalidAuthenticationInfo/expired": 404,
		"NoAuthenticationInformation": 302, "AuthorizationPermissionMismatch": 279, "AuthorizationFailure": 246, "AuthenticationFailed/version": 437,
	} {
		for _, p := range provocations {
			if p.row != row {
				continue
			}
			w := newWorld(t)
			if p.prepare != nil {
				p.prepare(w, &p.ask)
			}
			got := w.do(p.ask)
			if len(got.body) != want || got.header.Get("Content-Length") != fmt.Sprint(want) {
				t.Errorf("%s: %d bytes, Content-Length %s; want %d", row, len(got.body), got.header.Get("Content-Length"), want)
			}
		}
	}
}

func TestARefusedTokenIsAnsweredByteForByte(t *testing.T) {
	w := newWorld(t)
	c := w.claims(owner)
	c.Issuer = "https://sts.windows.net/" + fabrikam + "/"
	got := w.do(ask{request: "GET /reports/a.txt", header: map[string]string{"Authorization": "Bearer " + w.mint(c), "x-ms-client-request-id": "mine"}})
	id := got.header.Get("x-ms-request-id")
	want := "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>InvalidAuthenticationInfo</Code><Message>" +
		"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.\n" +
		"RequestId:" + id + "\nTime:2026-04-23T20:46:51.6062045Z</Message>" +
		"<AuthenticationErrorDetail>Issuer validation failed. Issuer did not match.</AuthenticationErrorDetail></Error>"
	if got.body != want || len(id) != 36 {
		t.Errorf("body %q\nwant %q", got.body, want)
	}
	for name, want := range map[string]string{
		"WWW-Authenticate": "Bearer authorization_uri=https://login.microsoftonline.com/" + contoso + "/oauth2/authorize resource_id=https://storage.azure.com",
		"Server":           "Microsoft-HTTPAPI/2.0", "x-ms-error-code": "InvalidAuthenticationInfo", "Content-Type": "application/xml",
		"x-ms-version": "", "x-ms-client-request-id": "", "Date": "Thu, 23 Apr 2026 20:46:51 GMT",
	} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
}

func TestRefusalsNameTheirServerAndVersionAsRecorded(t *testing.T) {
	w := newWorld(t)
	w.edge.Faults.Add(fault.Rule{Op: "blob.get", Times: 1, Do: fault.Refuse("AuthorizationFailure")})
	id := map[string]string{"x-ms-client-request-id": "mine"}
	for name, tc := range map[string]struct {
		ask                            ask
		server, version, id, challenge string
	}{
		"firewall":    {ask{request: "GET /c/b", header: id}, "Microsoft-HTTPAPI/2.0", "", "mine", ""},
		"no role":     {ask{request: "HEAD /c/b", header: id, as: stranger}, "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0", latest, "mine", ""},
		"old version": {ask{request: "HEAD /c/b", header: map[string]string{"x-ms-version": "-", "x-ms-client-request-id": "mine"}}, "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0", "", "", ""},
	} {
		got := w.do(tc.ask).header
		if got.Get("Server") != tc.server || got.Get("x-ms-version") != tc.version || got.Get("x-ms-client-request-id") != tc.id || got.Get("WWW-Authenticate") != tc.challenge {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAFaultCanNameARow(t *testing.T) {
	w := newWorld(t)
	w.edge.Faults.Add(fault.Rule{Op: "blob.get", Do: fault.Refuse("InvalidAuthenticationInfo/expired")})
	got := w.do(ask{request: "GET /reports/a.txt"})
	if got.status != 401 || !strings.Contains(got.body, "The token is expired.") || !strings.Contains(got.header.Get("WWW-Authenticate"), contoso) {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
}

func TestTheEdgesLimitsAreRefusedInXML(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	got := w.must(413, ask{request: "PUT /reports/a.txt?comp=metadata", body: strings.Repeat("x", 1<<20+1)})
	if !strings.Contains(got.body, "<Code>RequestBodyTooLarge</Code>") {
		t.Error(got.body)
	}
}

func TestTheClockSkewIsFiveMinutes(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	header := map[string]string{"Authorization": "Bearer " + w.mint(w.claims(owner))}
	for _, tc := range []struct {
		at   time.Duration
		want int
	}{{-301 * time.Second, 401}, {-300 * time.Second, 200}, {time.Hour + 300*time.Second, 200}, {time.Hour + 301*time.Second, 401}} {
		w.now = start.Truncate(time.Second).Add(tc.at) // claims have no fractions
		w.must(tc.want, ask{request: "GET /reports/a.txt", header: header})
	}
}
