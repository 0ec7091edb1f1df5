package blob

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A call is one request as this service understands it.
type call struct {
	*edge.Request
	header    http.Header // names in canonical form
	query     url.Values  // names in lower case
	at        place
	malformed bool // the path cannot be decoded
	secondary bool // asked of the read-only endpoint
	version   version
	account   Account
	// createOnly is set where the caller may add blobs and not replace them.
	createOnly bool
}

// understand reads the parts of a request that every operation needs. It
// accepts anything.
func (s *Service) understand(r *edge.Request) *call {
	c := &call{Request: r, header: canonical(r.Header), query: url.Values{}}
	query, _ := url.ParseQuery(r.URL.RawQuery) // what it cannot read, nobody asked for
	for name, values := range query {
		if name = strings.ToLower(name); !c.query.Has(name) {
			c.query[name] = values
		}
	}
	c.at.account, c.secondary = s.accountOf(r.URL.Hostname())
	var ok bool
	c.at.container, c.at.blob, ok = splitPath(r.URL.EscapedPath())
	c.malformed = !ok
	if c.at.blob == "" && c.at.container != "" && c.restype() != "container" {
		c.at.container, c.at.blob = "$root", c.at.container
	}
	c.version = version(c.header.Get("x-ms-version"))
	return c
}

// canonical gives header fields the names that they have after a connection.
// The Go SDK sets names in lower case, and in one process nothing has changed
// them yet.
func canonical(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		name = textproto.CanonicalMIMEHeaderKey(name)
		out[name] = append(out[name], values...)
	}
	return out
}

// splitPath returns the container and the blob that a path names. The path is
// split before it is decoded, and decoded once: the Go SDK sends the slashes
// inside a blob name as %2F, other SDKs send them as they are. A single segment
// is returned as the container; without restype=container it names a blob in
// $root (Microsoft: Working with the root container).
func splitPath(escaped string) (containerName, blobName string, ok bool) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(escaped, "/"), "/")
	containerName, err := url.PathUnescape(first)
	if err != nil {
		return "", "", false
	}
	blobName, err = url.PathUnescape(rest)
	if err != nil || !utf8.ValidString(containerName) || !utf8.ValidString(blobName) {
		return "", "", false
	}
	// The service treats a backslash as a slash (Microsoft: Naming and
	// referencing containers, blobs, and metadata).
	return containerName, strings.ReplaceAll(blobName, `\`, "/"), true
}

// maxClientID is how long a client's own request identifier may be to be
// echoed (Microsoft: Put Blob, response headers).
const maxClientID = 1024

// answerHeader returns the fields that every answer has.
func (c *call) answerHeader() http.Header {
	h := http.Header{}
	h.Set("Server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0")
	h.Set("x-ms-request-id", c.ID)
	h.Set("Date", c.Now.UTC().Format(http.TimeFormat))
	if id := c.header.Get("x-ms-client-request-id"); id != "" && len(id) <= maxClientID && c.version >= versionClientID {
		h.Set("x-ms-client-request-id", id)
	}
	if c.version >= versionBearer {
		h.Set("x-ms-version", string(c.version))
	}
	return h
}

// answer returns a success. Its header may be added to.
func (c *call) answer(status int) edge.Response {
	return edge.Response{Status: status, Header: c.answerHeader()}
}

// endpoint returns the beginning of the URLs in lists.
func (c *call) endpoint() string { return "https://" + c.URL.Host + "/" }
