package blob

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oneLine takes the line breaks and the indentation out of a golden document.
func oneLine(document string) string {
	var b strings.Builder
	for line := range strings.Lines(document) {
		b.WriteString(strings.TrimSpace(line))
	}
	return xmlBegin + b.String()
}

func TestAListOfBlobsIsOneLineOfXML(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "2026/a.txt", "hello")
	w.put("reports", "2026/q1/b.txt", "hello")
	w.put("reports", "other", "hello")
	w.must(200, ask{request: "PUT /reports/2026/a.txt?comp=metadata", header: header{"x-ms-meta-colour": "<blue>"}})
	etag := strings.Trim(w.must(200, ask{request: "HEAD /reports/2026/a.txt"}).header.Get("ETag"), `"`)
	got := w.must(200, ask{request: "GET /reports?restype=container&comp=list&prefix=2026%2F&delimiter=%2F&include=metadata%2Ctags&maxresults=9"})
	want := oneLine(`<?xml?>
	<EnumerationResults ServiceEndpoint="https://contosodata.blob.core.windows.net/" ContainerName="reports">
	 <Prefix>2026/</Prefix><MaxResults>9</MaxResults><Delimiter>/</Delimiter>
	 <Blobs>
	  <Blob><Name>2026/a.txt</Name>
	   <Properties><Creation-Time>Thu, 23 Apr 2026 20:46:51 GMT</Creation-Time><Last-Modified>Thu, 23 Apr 2026 20:46:51 GMT</Last-Modified><Etag>` + etag + `</Etag>
	    <Content-Length>5</Content-Length><Content-Type>text/plain</Content-Type><Content-Encoding /><Content-Language /><Content-CRC64 />
	    <Content-MD5>XUFAKrxLKna5cZ2REBfFkg==</Content-MD5><Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType>
	    <AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>
	   <Metadata><colour>&lt;blue&gt;</colour></Metadata><OrMetadata /></Blob>
	  <BlobPrefix><Name>2026/q1/</Name></BlobPrefix>
	 </Blobs><NextMarker /></EnumerationResults>`)
	want = strings.Replace(want, "<?xml?>", "", 1)
	if diff := cmp.Diff(want, got.body); diff != "" || got.header.Get("Content-Type") != "application/xml" {
		t.Error(diff)
	}
}

func TestAListOfContainersIsOneLineOfXML(t *testing.T) {
	w := newWorld(t)
	const open = "https://contosopublic.blob.core.windows.net"
	made := w.must(201, ask{request: "PUT " + open + "/reports?restype=container", header: header{"x-ms-blob-public-access": "blob", "x-ms-meta-a": "1"}})
	w.must(201, ask{request: "PUT " + open + "/sales?restype=container"})
	got := w.must(200, ask{request: "GET " + open + "/?comp=list&include=metadata&prefix=re"})
	want := oneLine(`<EnumerationResults ServiceEndpoint="https://contosopublic.blob.core.windows.net/"><Prefix>re</Prefix><Containers><Container><Name>reports</Name>
	 <Properties><Last-Modified>Thu, 23 Apr 2026 20:46:51 GMT</Last-Modified><Etag>` + made.header.Get("ETag") + `</Etag><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>
	 <PublicAccess>blob</PublicAccess><DefaultEncryptionScope>$account-encryption-key</DefaultEncryptionScope><DenyEncryptionScopeOverride>false</DenyEncryptionScopeOverride>
	 <HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties><Metadata><a>1</a></Metadata></Container></Containers><NextMarker /></EnumerationResults>`)
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Error(diff)
	}
}

func TestContainersTellTheirProperties(t *testing.T) {
	w := newWorld(t)
	w.must(201, ask{request: "PUT /reports?restype=container", header: header{"x-ms-meta-a": "1"}})
	w.must(200, ask{request: "PUT /reports?restype=container&comp=metadata", header: header{"x-ms-meta-b": "2"}})
	got := w.must(200, ask{request: "HEAD /reports?restype=container"}).header
	for name, want := range map[string]string{
		"x-ms-lease-status": "unlocked", "x-ms-lease-state": "available", "x-ms-has-immutability-policy": "false", "x-ms-has-legal-hold": "false",
		"x-ms-default-encryption-scope": "$account-encryption-key", "x-ms-deny-encryption-scope-override": "false", "x-ms-blob-public-access": "",
		"x-ms-meta-a": "", "x-ms-meta-b": "2", "Last-Modified": same,
	} {
		if v := got.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	w.must(202, ask{request: "DELETE /reports?restype=container"})
	w.must(404, ask{request: "HEAD /reports?restype=container"})
	w.must(404, ask{request: "GET /reports?restype=container&comp=list"})
}

func TestNamesThatXMLCannotHoldAreEncoded(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "dir/\uffff.txt", "x")
	for v, want := range map[string]string{latest: `<Name Encoded="true">dir%2F%EF%BF%BF.txt</Name>`, "2020-10-02": "<Name>dir/\ufffd.txt</Name>"} {
		got := w.must(200, ask{request: "GET /reports?restype=container&comp=list", header: header{"x-ms-version": v}})
		if !strings.Contains(got.body, want) {
			t.Errorf("%s: %s", v, got.body)
		}
	}
}

func TestPagesContinueAfterADeletedBlob(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		w.put("reports", name, name)
	}
	first := w.must(200, ask{request: "GET /reports?restype=container&comp=list&maxresults=1"}).body
	_, rest, _ := strings.Cut(first, "<NextMarker>")
	marker, _, _ := strings.Cut(rest, "</NextMarker>")
	w.must(202, ask{request: "DELETE /reports/b"})
	second := w.must(200, ask{request: "GET /reports?restype=container&comp=list&marker=" + marker}).body
	if !strings.Contains(second, "<Name>c</Name>") || strings.Contains(second, "<Name>a</Name>") || !strings.Contains(second, "<Marker>"+marker+"</Marker>") {
		t.Error(second)
	}
}

func TestListParametersAreChecked(t *testing.T) {
	for query, want := range map[string]*Refusal{
		"": nil, "maxresults=5000": nil, "maxresults=5001": nil, "include=metadata,tags&include=copy": nil, "include=": nil,
		"maxresults=0": errQueryRange, "maxresults=-1": errQueryRange, "maxresults=ten": errQueryRange, "maxresults=99999999999": errQueryRange,
		"marker=!": errQuery, "prefix=%ff": errQuery, "include=all": errQuery, "include=uncommittedblobs": errNotEmulated,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		l, e := parseListing(values, includeBlobs)
		if (e == nil) != (want == nil) || e != nil && e.Refusal != want || e == nil && l.limit != maxResults {
			t.Errorf("%q: limit %d, %v", query, l.limit, e)
		}
	}
}
