package blob

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestABodyHasTheLengthItDeclares(t *testing.T) {
	for _, tc := range []struct {
		body     io.Reader
		declared string
		want     *Refusal
	}{
		{strings.NewReader("hello"), "5", nil},
		{strings.NewReader("hello"), "", nil},
		{strings.NewReader("hello"), "6", errInput},
		{strings.NewReader("hello"), "4", errInput},
		{strings.NewReader("hello"), "five", errHeader},
		{strings.NewReader("hello"), "-5", errHeader},
		{strings.NewReader("hello world"), "11", errBodyTooLarge},
		{strings.NewReader("hello world"), "", errBodyTooLarge},
		{io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(io.ErrUnexpectedEOF)), "5", errInput},
		{iotest.ErrReader(errors.New("broken")), "", errInput},
	} {
		content, e := readBody(tc.body, tc.declared, 10)
		if tc.want == nil && (e != nil || string(content) != "hello") || tc.want != nil && (e == nil || e.Refusal != tc.want || content != nil) {
			t.Errorf("declared %q: %q, %v; want %v", tc.declared, content, e, tc.want)
		}
	}
}

func TestAnUploadThatBreaksOffChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "old")
	for _, h := range []header{{"Content-Length": "9"}, {"Content-MD5": md5Of(nil)}, {"x-ms-meta-a-b": "1"}, {"If-Match": `"0x1"`}} {
		h["x-ms-blob-type"] = "BlockBlob"
		if got := w.do(ask{request: "PUT /reports/a.txt", header: h, body: "new"}); got.status < 400 {
			t.Errorf("%v: %d", h, got.status)
		}
	}
	if got := w.must(200, ask{request: "GET /reports/a.txt"}); got.body != "old" {
		t.Errorf("got %q", got.body)
	}
}

func TestTheDigestOfTheBlobIsCheckedOnlyAgainstTheBlob(t *testing.T) {
	w := newWorld(t)
	w.must(201, ask{request: "PUT /reports?restype=container"})
	digest := md5Of([]byte("hello"))
	w.must(400, ask{request: "PUT /reports/a.txt", body: "hallo", header: header{"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-md5": digest}})
	w.must(201, ask{request: "PUT /reports/a.txt?comp=block&blockid=MQ==", body: "hello"})
	w.must(201, ask{request: "PUT /reports/a.txt?comp=blocklist", body: "<BlockList><Latest>MQ==</Latest></BlockList>", header: header{"x-ms-blob-content-md5": digest}})
	if got := w.must(200, ask{request: "GET /reports/a.txt"}).header.Get("Content-MD5"); got != digest {
		t.Errorf("got %s", got)
	}
}

func TestARefusedUploadIsReadToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.must(403, ask{request: "PUT /reports/a.txt", body: "hello", header: block64, as: stranger})
	if got := w.last().Request.Size; got != 5 {
		t.Errorf("%d bytes were read, want 5", got)
	}
	w.must(403, ask{request: "PUT /reports/a.txt", body: "hello", header: header{"x-ms-blob-type": "BlockBlob", "Expect": "100-continue"}, as: stranger})
	if got := w.last().Request.Size; got != 0 {
		t.Errorf("%d bytes were read, want none", got)
	}
}

func TestBlobNamesAreDecodedOnce(t *testing.T) {
	for escaped, want := range map[string]place{
		"/reports/a%2Fb.txt":    {container: "reports", blob: "a/b.txt"},
		"/reports/a/b.txt":      {container: "reports", blob: "a/b.txt"},
		"/reports/a%252Fb":      {container: "reports", blob: "a%2Fb"},
		"/reports/a%20b+c":      {container: "reports", blob: "a b+c"},
		`/reports/a%5Cb`:        {container: "reports", blob: "a/b"},
		"/reports/":             {container: "reports"},
		"/reports":              {container: "reports"},
		"/":                     {},
		"":                      {},
		"//a":                   {blob: "a"},
		"/reports//a/../b/":     {container: "reports", blob: "/a/../b/"},
		"/reports/%E2%82%AC%3F": {container: "reports", blob: "€?"},
	} {
		c, b, ok := splitPath(escaped)
		if got := (place{container: c, blob: b}); got != want || !ok {
			t.Errorf("%s: %+v, %v", escaped, got, ok)
		}
	}
	w := newWorld(t)
	w.must(201, ask{request: "PUT /reports?restype=container"})
	w.must(201, ask{request: "PUT /reports/a%2Fb.txt", header: block64, body: "hello"})
	if got := w.must(200, ask{request: "GET /reports/a/b.txt"}); got.body != "hello" {
		t.Errorf("got %q", got.body)
	}
}

func TestOneSegmentNamesABlobInTheRootContainer(t *testing.T) {
	w := newWorld(t)
	w.must(201, ask{request: "PUT /$root?restype=container"})
	w.must(201, ask{request: "PUT /index.html", header: block64, body: "hello"})
	w.must(200, ask{request: "GET /$root/index.html"})
	w.must(400, ask{request: "GET /reports?comp=list"})
	if why := w.last().Decision.Why; !strings.Contains(why, "needs restype=container") {
		t.Error(why)
	}
}

func TestNamesFollowTheRules(t *testing.T) {
	for name, want := range map[string]*Refusal{
		"abc": nil, "a-b-c": nil, "123": nil, "$root": nil, "$web": nil, strings.Repeat("a", 63): nil,
		"ab": errNameLength, strings.Repeat("a", 64): errNameLength, "": errNameLength,
		"a--b": errName, "-abc": errName, "abc-": errName, "Abc": errName, "a_b": errName, "$rooted": errName, "äbc": errName,
	} {
		if e := checkContainerName(name); (e == nil) != (want == nil) || e != nil && e.Refusal != want {
			t.Errorf("container %q: %v, want %v", name, e, want)
		}
	}
	for name, want := range map[string]*Refusal{
		"a": nil, strings.Repeat("é", 1024): nil, strings.Repeat("é", 1025): errNameLength,
		strings.Repeat("a/", 253) + "a": nil, strings.Repeat("a/", 254) + "a": errName,
	} {
		if e := checkBlobName(name); (e == nil) != (want == nil) || e != nil && e.Refusal != want {
			t.Errorf("blob of %d bytes: %v, want %v", len(name), e, want)
		}
	}
}

func TestMetadataKeepsTheCaseThatReachesIt(t *testing.T) {
	for _, tc := range []struct {
		header http.Header
		want   metadata
		err    *Refusal
	}{
		{http.Header{"X-Ms-Meta-Fullname": {"1"}}, metadata{{"fullname", "1"}}, nil},
		{http.Header{"x-ms-meta-fullName": {"1"}, "x-ms-meta-B": {"2", "3"}}, metadata{{"B", "2,3"}, {"fullName", "1"}}, nil},
		{http.Header{"x-ms-meta-a": {"1"}, "x-ms-meta-A": {"2"}}, nil, errMetadata},
		{http.Header{"x-ms-meta-a-b": {"1"}}, nil, errMetadata},
		{http.Header{"X-Ms-Metadata": {"1"}, "Accept": {"*/*"}}, nil, nil},
	} {
		got, e := metadataOf(tc.header)
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(pair{})); diff != "" && tc.err == nil || (e == nil) != (tc.err == nil) || e != nil && e.Refusal != tc.err {
			t.Errorf("%v: %v %v", tc.header, got, e)
		}
	}
}

func TestSettingOnePropertyClearsTheOthers(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	w.must(200, ask{request: "PUT /reports/a.txt?comp=properties"})
	if got := w.must(200, ask{request: "HEAD /reports/a.txt"}).header; got.Get("Content-Type") != "text/plain" || got.Get("Content-MD5") == "" {
		t.Errorf("nothing was set: %v", got)
	}
	w.must(200, ask{request: "PUT /reports/a.txt?comp=properties", header: header{"x-ms-blob-content-language": "de"}})
	if got := w.must(200, ask{request: "HEAD /reports/a.txt"}).header; got.Get("Content-Type") != defaultContentType || got.Get("Content-MD5") != "" || got.Get("Content-Language") != "de" {
		t.Errorf("the language was set: %v", got)
	}
}

func TestAReplacedBlobKeepsItsCreationTimeAndGetsANewTag(t *testing.T) {
	w := newWorld(t)
	w.must(201, ask{request: "PUT /reports?restype=container"})
	first := w.must(201, ask{request: "PUT /reports/a.txt", header: block64, body: "1"})
	w.now = w.now.Add(time.Hour)
	second := w.must(201, ask{request: "PUT /reports/a.txt", header: block64, body: "2"})
	got := w.must(200, ask{request: "HEAD /reports/a.txt"}).header
	if got.Get("x-ms-creation-time") != same || got.Get("Last-Modified") == same || first.header.Get("ETag") == second.header.Get("ETag") || got.Get("ETag") != second.header.Get("ETag") {
		t.Errorf("got %v", got)
	}
}

func TestBlobsAreMadeOfBlocks(t *testing.T) {
	w := newWorld(t)
	w.must(404, ask{request: "PUT /reports/a.txt?comp=block&blockid=MQ==", body: "x"})
	w.must(201, ask{request: "PUT /reports?restype=container"})
	block := func(id, content string) {
		w.must(201, ask{request: "PUT /reports/a.txt?comp=block&blockid=" + id, body: content})
	}
	block("MQ==", "one")
	block("Mg==", "two")
	block("MQ==", "ONE") // replaces
	w.must(404, ask{request: "GET /reports/a.txt"})
	w.must(400, ask{request: "PUT /reports/a.txt?comp=block&blockid=Mw==", body: ""})
	lists := func(kind, want string) {
		t.Helper()
		if got := w.must(200, ask{request: "GET /reports/a.txt?comp=blocklist&blocklisttype=" + kind}).body; got != xmlBegin+"<BlockList>"+want+"</BlockList>" {
			t.Errorf("%s: %s", kind, got)
		}
	}
	lists("all", "<CommittedBlocks /><UncommittedBlocks><Block><Name>MQ==</Name><Size>3</Size></Block><Block><Name>Mg==</Name><Size>3</Size></Block></UncommittedBlocks>")
	w.must(201, ask{request: "PUT /reports/a.txt?comp=blocklist", header: header{"x-ms-blob-content-type": "text/css", "x-ms-meta-a": "1"},
		body: `<?xml version="1.0" encoding="utf-8"?><BlockList><Uncommitted>Mg==</Uncommitted><Latest>MQ==</Latest></BlockList>`})
	lists("committed", "<CommittedBlocks><Block><Name>Mg==</Name><Size>3</Size></Block><Block><Name>MQ==</Name><Size>3</Size></Block></CommittedBlocks>")
	lists("uncommitted", "<UncommittedBlocks />")
	block("MQ==", "uno")
	w.must(201, ask{request: "PUT /reports/a.txt?comp=blocklist", body: "<BlockList><Committed>MQ==</Committed><Latest>MQ==</Latest><Latest>Mg==</Latest></BlockList>"})
	got := w.must(200, ask{request: "GET /reports/a.txt"})
	if got.body != "ONEunotwo" || got.header.Get("Content-MD5") != "" || got.header.Get("Content-Type") != defaultContentType {
		t.Errorf("%q %v", got.body, got.header)
	}
	w.must(400, ask{request: "PUT /reports/a.txt?comp=blocklist", body: "<BlockList><Uncommitted>MQ==</Uncommitted></BlockList>"})
	w.must(400, ask{request: "GET /reports/a.txt?comp=blocklist&blocklisttype=some"})
}

func TestPutBlobAndDeleteBlobDropStagedBlocks(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	for _, a := range []ask{{request: "PUT /reports/a.txt", header: block64, body: "new"}, {request: "DELETE /reports/a.txt"}} {
		w.must(201, ask{request: "PUT /reports/a.txt?comp=block&blockid=MQ==", body: "x"})
		w.do(a)
		w.must(400, ask{request: "PUT /reports/a.txt?comp=blocklist", body: "<BlockList><Latest>MQ==</Latest></BlockList>"})
	}
}

func TestBlockListsAreReadStrictly(t *testing.T) {
	for document, n := range map[string]int{
		"<BlockList/>": 0, "<BlockList> <Latest> MQ== </Latest>\n</BlockList>\n": 1,
		"\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Committed>a</Committed><Uncommitted>b</Uncommitted></BlockList>": 2,
		"": -1, "x": -1, "<Blocks/>": -1, "<BlockList>": -1, "<BlockList/><BlockList/>": -1, "<BlockList/>x": -1, "<BlockList><Block/></BlockList>": -1,
		`<!DOCTYPE x [<!ENTITY a "b">]><BlockList><Latest>&a;</Latest></BlockList>`: -1,
	} {
		list, e := parseBlockList([]byte(document))
		if (e != nil) != (n < 0) || e == nil && len(list) != n {
			t.Errorf("%q: %v, %v", document, list, e)
		}
	}
}

func TestABlobOfBlocksHasALimit(t *testing.T) {
	list := make([]entry, maxCommitted)
	for i := range list {
		list[i] = entry{"Latest", "MQ=="}
	}
	if _, _, e := assemble(list, nil, map[string][]byte{"MQ==": make([]byte, 1<<20)}); e == nil || e.Refusal != errBodyTooLarge {
		t.Errorf("got %v", e)
	}
}

func TestWhatIsNotEmulatedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	for _, request := range []string{
		"POST /?restype=service&comp=userdelegationkey", "GET /?restype=service&comp=properties", "GET /?restype=account&comp=properties", "POST /?comp=batch",
		"GET /reports?restype=container&comp=acl", "PUT /reports?restype=container&comp=lease", "PUT /reports/a.txt?comp=snapshot", "GET /reports/a.txt?comp=tags",
		"PUT /reports/a.txt?comp=copy", "PUT /reports/a.txt?comp=tier", "GET /reports/a.txt?snapshot=2026-04-23T20:46:51.6062045Z",
		"GET /reports?restype=container&comp=list&include=uncommittedblobs",
	} {
		w.must(501, ask{request: request})
		if why := w.last().Decision.Why; !strings.Contains(why, "not emulated by fakeentra") {
			t.Errorf("%s: %s", request, why)
		}
	}
	for _, h := range []header{{"x-ms-copy-source": "https://x/"}, {"x-ms-lease-id": owner}, {"x-ms-if-tags": "a=b"}, {"x-ms-tags": "a=b"}, {"x-ms-blob-type": "AppendBlob"}} {
		w.must(501, ask{request: "PUT /reports/a.txt", header: h})
	}
	if got := w.must(200, ask{request: "GET /reports/a.txt"}); got.body != "hello" {
		t.Errorf("got %q", got.body)
	}
}

func TestVersionsAreEchoed(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	for v, want := range map[string]int{"2017-11-09": 200, "2019-02-02": 200, "2021-12-02": 200, "2099-01-01": 200, "2026-13-01": 400, "latest": 400} {
		got := w.must(want, ask{request: "GET /reports/a.txt", header: header{"x-ms-version": v}})
		if want == 200 && got.header.Get("x-ms-version") != v || want != 200 && got.header.Get("x-ms-error-code") != "InvalidHeaderValue" {
			t.Errorf("%s: %v", v, got.header)
		}
	}
}
