package blob

import (
	"net/http"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
)

const (
	tag    = `"0x8DE"`
	other  = `"0x8DF"`
	before = "Thu, 23 Apr 2026 20:46:50 GMT"
	same   = "Thu, 23 Apr 2026 20:46:51 GMT"
	after  = "Thu, 23 Apr 2026 20:46:52 GMT"
)

// decide applies conditions to something with the ETag tag, modified at start.
func decide(t *testing.T, header map[string]string, rule func(conditions, state) *Error, st state) *Refusal {
	t.Helper()
	c := &call{Request: &edge.Request{}, header: http.Header{}}
	for name, v := range header {
		c.header.Set(name, v)
	}
	k, e := c.conditions()
	if e == nil {
		e = rule(k, st)
	}
	if e == nil {
		return nil
	}
	return e.Refusal
}

var (
	there  = state{exists: true, etag: tag, modified: start}
	absent = state{modified: time.Time{}}
)

type header = map[string]string

func TestReadsAreConditional(t *testing.T) {
	for _, tc := range []struct {
		header header
		want   *Refusal
	}{
		{header{}, nil},
		{header{"If-Match": tag}, nil},
		{header{"If-Match": "0x8DE"}, nil},
		{header{"If-Match": "*"}, nil},
		{header{"If-Match": other}, errConditionNotMet},
		{header{"If-Match": other + ", " + tag}, nil},
		{header{"If-None-Match": tag}, errNotModified},
		{header{"If-None-Match": other}, nil},
		{header{"If-None-Match": other + "," + tag}, errNotModified},
		{header{"If-None-Match": "*"}, errUnsatisfiable},
		{header{"If-Modified-Since": before}, nil},
		{header{"If-Modified-Since": same}, errNotModified},
		{header{"If-Modified-Since": after}, errNotModified},
		{header{"If-Unmodified-Since": before}, errConditionNotMet},
		{header{"If-Unmodified-Since": same}, nil},
		{header{"If-None-Match": tag, "If-Modified-Since": before}, nil},
		{header{"If-None-Match": other, "If-Modified-Since": after}, nil},
		{header{"If-None-Match": tag, "If-Modified-Since": after}, errNotModified},
		{header{"If-Match": tag, "If-Unmodified-Since": before}, errConditionNotMet},
		{header{"If-Match": other, "If-None-Match": tag}, errConditionNotMet},
		{header{"If-Modified-Since": "yesterday"}, errHeader},
		{header{"If-Unmodified-Since": ""}, errHeader},
	} {
		if got := decide(t, tc.header, conditions.read, there); got != tc.want {
			t.Errorf("%v: got %v, want %v", tc.header, got, tc.want)
		}
	}
}

func TestWritesAreConditional(t *testing.T) {
	for _, tc := range []struct {
		header header
		st     state
		want   *Refusal
	}{
		{header{}, there, nil},
		{header{}, absent, nil},
		{header{"If-Match": tag}, there, nil},
		{header{"If-Match": other}, there, errConditionNotMet},
		{header{"If-Match": "*"}, absent, errConditionNotMet},
		{header{"If-None-Match": "*"}, absent, nil},
		{header{"If-None-Match": "*"}, there, errBlobExists},
		{header{"If-None-Match": tag}, there, errConditionNotMet},
		{header{"If-None-Match": other}, there, nil},
		{header{"If-Modified-Since": before}, there, nil},
		{header{"If-Modified-Since": same}, there, errConditionNotMet},
		{header{"If-Modified-Since": same}, absent, nil},
		{header{"If-Unmodified-Since": before}, there, errConditionNotMet},
		{header{"If-Unmodified-Since": before}, absent, nil},
		{header{"If-None-Match": other, "If-Modified-Since": after}, there, nil},
		{header{"If-Match": tag, "If-Unmodified-Since": before}, there, nil},
		{header{"If-Match": tag, "If-None-Match": other}, there, errConditions},
		{header{"If-Match": tag, "If-Modified-Since": before}, there, errConditions},
		{header{"If-None-Match": tag, "If-Unmodified-Since": before}, there, errConditions},
		{header{"If-Modified-Since": before, "If-Unmodified-Since": after}, there, errConditions},
		{header{"If-Match": tag + "," + other}, there, errConditions},
	} {
		if got := decide(t, tc.header, conditions.create, tc.st); got != tc.want {
			t.Errorf("%v, exists %v: got %v, want %v", tc.header, tc.st.exists, got, tc.want)
		}
	}
}

func TestOnlyCreationSaysThatTheBlobExists(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	w.must(409, ask{request: "PUT /reports/a.txt", header: header{"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"}})
	w.must(409, ask{request: "PUT /reports/a.txt?comp=blocklist", header: header{"If-None-Match": "*"}, body: "<BlockList/>"})
	w.must(412, ask{request: "DELETE /reports/a.txt", header: header{"If-None-Match": "*"}})
	w.must(412, ask{request: "PUT /reports/a.txt?comp=metadata", header: header{"If-Match": `"0x1"`}})
	w.must(412, ask{request: "DELETE /reports?restype=container", header: header{"If-Unmodified-Since": before}})
	w.must(400, ask{request: "DELETE /reports?restype=container", header: header{"If-Match": "*"}})
	w.must(412, ask{request: "GET /reports/a.txt?comp=blocklist", header: header{"If-Match": `"0x1"`}})
	w.must(200, ask{request: "GET /reports/a.txt"})
}
