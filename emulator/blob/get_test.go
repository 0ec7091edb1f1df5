package blob

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGetBlobSendsTheDocumentedHeader(t *testing.T) {
	w := newWorld(t)
	w.must(201, ask{request: "PUT /reports?restype=container"})
	put := w.must(201, ask{request: "PUT /reports/a.txt", body: "hello", header: header{
		"x-ms-blob-type": "BlockBlob", "Content-Type": "text/plain", "x-ms-blob-content-language": "en", "x-ms-blob-cache-control": "no-cache",
		"Content-Encoding": "identity", "x-ms-blob-content-disposition": "inline", "x-ms-meta-colour": "blue", "x-ms-client-request-id": "mine",
	}})
	want := http.Header{
		"Etag": put.header["Etag"], "Last-Modified": {same}, "Content-Length": {"5"}, "Content-Type": {"text/plain"}, "Content-Md5": {"XUFAKrxLKna5cZ2REBfFkg=="},
		"Content-Language": {"en"}, "Content-Encoding": {"identity"}, "Content-Disposition": {"inline"}, "Cache-Control": {"no-cache"}, "Accept-Ranges": {"bytes"},
		"Server": {"Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"}, "Date": {same}, "X-Ms-Version": {latest}, "X-Ms-Client-Request-Id": {"mine"},
		"X-Ms-Creation-Time": {same}, "X-Ms-Blob-Type": {"BlockBlob"}, "X-Ms-Lease-Status": {"unlocked"}, "X-Ms-Lease-State": {"available"},
		"X-Ms-Server-Encrypted": {"true"}, "X-Ms-Meta-Colour": {"blue"},
	}
	got := w.must(200, ask{request: "GET /reports/a.txt", header: header{"x-ms-client-request-id": "mine"}})
	got.header.Del("x-ms-request-id")
	if diff := cmp.Diff(want, got.header); diff != "" || got.body != "hello" {
		t.Errorf("%q %s", got.body, diff)
	}
	head := w.must(200, ask{request: "HEAD /reports/a.txt", header: header{"x-ms-client-request-id": "mine"}})
	head.header.Del("x-ms-request-id")
	want.Set("x-ms-access-tier", "Hot")
	want.Set("x-ms-access-tier-inferred", "true")
	if diff := cmp.Diff(want, head.header); diff != "" || head.body != "" {
		t.Errorf("%q %s", head.body, diff)
	}
	if !strings.HasPrefix(put.header.Get("ETag"), `"0x8DE`) || put.header.Get("Content-MD5") != "XUFAKrxLKna5cZ2REBfFkg==" || put.header.Get("x-ms-content-crc64") == "" {
		t.Errorf("put: %v", put.header)
	}
}

func TestRangesAreReadAsHTTPHasThem(t *testing.T) {
	for _, tc := range []struct {
		v    string
		size int64
		want span
		err  string // "": none, "outside", "unreadable"
	}{
		{"bytes=0-0", 10, span{0, 1}, ""},
		{"bytes=2-5", 10, span{2, 6}, ""},
		{"bytes=2-", 10, span{2, 10}, ""},
		{"bytes=-3", 10, span{7, 10}, ""},
		{"bytes=-30", 10, span{0, 10}, ""},
		{"bytes=9-99999999999999999999999", 10, span{9, 10}, ""},
		{"bytes=0-9223372036854775807", 10, span{0, 10}, ""},
		{"bytes=10-", 10, span{}, "outside"},
		{"bytes=99999999999999999999999-", 10, span{}, "outside"},
		{"bytes=-0", 10, span{}, "outside"},
		{"bytes=0-", 0, span{}, "outside"},
		{"bytes=-1", 0, span{}, "outside"},
		{"bytes=5-2", 10, span{}, "unreadable"},
		{"bytes=99999999999999999999999-2", 10, span{}, "unreadable"},
		{"bytes=-", 10, span{}, "unreadable"},
		{"bytes=", 10, span{}, "unreadable"},
		{"bytes=1-2,4-5", 10, span{}, "unreadable"},
		{"bytes=+1-2", 10, span{}, "unreadable"},
		{"lines=1-2", 10, span{}, "unreadable"},
	} {
		got, err := parseRange(tc.v, tc.size)
		kind := ""
		if errors.Is(err, errUnsatisfiedRange) {
			kind = "outside"
		} else if err != nil {
			kind = "unreadable"
		}
		if got != tc.want || kind != tc.err {
			t.Errorf("%s of %d: %v, %v", tc.v, tc.size, got, err)
		}
	}
}

func TestPartsOfABlobCanBeRead(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "0123456789")
	w.put("reports", "empty", "")
	for _, tc := range []struct {
		blob         string
		header       header
		status       int
		body, ranges string
	}{
		{"a.txt", header{"Range": "bytes=2-4"}, 206, "234", "bytes 2-4/10"},
		{"a.txt", header{"Range": "bytes=2-4", "x-ms-range": "bytes=-1"}, 206, "9", "bytes 9-9/10"},
		{"a.txt", header{"x-ms-range": "bytes=0-"}, 206, "0123456789", "bytes 0-9/10"},
		{"a.txt", header{"x-ms-range": "bytes=10-"}, 416, "", "bytes */10"},
		{"empty", header{"x-ms-range": "bytes=0-33554431"}, 416, "", "bytes */0"},
		{"empty", header{}, 200, "", ""},
	} {
		got := w.must(tc.status, ask{request: "GET /reports/" + tc.blob, header: tc.header})
		if tc.status != 416 && got.body != tc.body || got.header.Get("Content-Range") != tc.ranges {
			t.Errorf("%v: %q, Content-Range %s", tc.header, got.body, got.header.Get("Content-Range"))
		}
	}
	got := w.must(206, ask{request: "GET /reports/a.txt", header: header{"Range": "bytes=2-4", "x-ms-range-get-content-md5": "true", "x-ms-range-get-content-crc64": "True"}}).header
	if got.Get("Content-MD5") != md5Of([]byte("234")) || got.Get("x-ms-blob-content-md5") != md5Of([]byte("0123456789")) || got.Get("x-ms-content-crc64") != crc64Of([]byte("234")) {
		t.Errorf("got %v", got)
	}
	w.must(400, ask{request: "GET /reports/a.txt", header: header{"x-ms-range-get-content-md5": "true"}})
}

func TestDownloadsAreNotKeptInFull(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "large", strings.Repeat("x", 1<<20))
	if got := w.must(200, ask{request: "GET /reports/large"}); len(got.body) != 1<<20 {
		t.Errorf("%d bytes", len(got.body))
	}
	if got := w.last().Response; len(got.Body) != kept || got.Size != 1<<20 {
		t.Errorf("the journal keeps %d of %d bytes", len(got.Body), got.Size)
	}
}

func TestMetadataIsReadWithoutContent(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	w.must(200, ask{request: "PUT /reports/a.txt?comp=metadata", header: header{"x-ms-meta-b": "2", "x-ms-meta-a": "1"}})
	got := w.must(200, ask{request: "GET /reports/a.txt?comp=metadata"})
	if got.body != "" || got.header.Get("x-ms-meta-a") != "1" || got.header.Get("x-ms-meta-b") != "2" || got.header.Get("Content-Length") != "0" {
		t.Errorf("%q %v", got.body, got.header)
	}
}
