package blob

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// maxResults is the default size of a page, and its limit (Microsoft: List
// Blobs).
const maxResults = 5000

// A listing is what a list was asked for.
type listing struct {
	prefix, marker, delimiter string
	maxResults                string // as sent
	from                      string // name to begin with, from the marker
	limit                     int
	include                   []string
}

// What can be included in lists. Nothing else than metadata can be in this
// store, so most values make no difference.
var (
	includeContainers = []string{"metadata", "deleted", "system"}
	includeBlobs      = []string{"copy", "deleted", "metadata", "snapshots", "tags", "versions", "deletedwithversions", "immutabilitypolicy", "legalhold", "permissions"}
)

func parseListing(query url.Values, includable []string) (listing, *Error) {
	l := listing{
		prefix: query.Get("prefix"), marker: query.Get("marker"), delimiter: query.Get("delimiter"),
		maxResults: query.Get("maxresults"), limit: maxResults,
	}
	for _, v := range []string{l.prefix, l.delimiter} {
		if !utf8.ValidString(v) {
			return l, errQuery.because("the prefix or the delimiter is not UTF-8")
		}
	}
	from, err := base64.RawURLEncoding.DecodeString(l.marker)
	if err != nil || !utf8.Valid(from) {
		return l, errQuery.because("the marker %q is not one that an earlier list returned", l.marker).ofQuery("marker", l.marker, "")
	}
	l.from = max(string(from), l.prefix)
	if l.maxResults != "" {
		n, err := strconv.ParseUint(l.maxResults, 10, 32)
		if err != nil || n == 0 {
			return l, errQueryRange.because("maxresults is %q; expected a number from 1 to %d", l.maxResults, maxResults).ofQuery("maxresults", l.maxResults, "")
		}
		l.limit = int(min(n, maxResults))
	}
	for _, field := range query["include"] {
		for name := range strings.SplitSeq(field, ",") {
			l.include = append(l.include, strings.ToLower(name))
		}
	}
	return l, checkInclude(l.include, includable)
}

func checkInclude(include, includable []string) *Error {
	for _, name := range include {
		if name == "uncommittedblobs" {
			return errNotEmulated.because("include=uncommittedblobs is not emulated by fakeentra")
		}
		if name != "" && !slices.Contains(includable, name) {
			return errQuery.because("include has the value %q; expected %s", name, strings.Join(includable, ", ")).ofQuery("include", name, "")
		}
	}
	return nil
}

// nextMarker makes the marker for the rest of a list. Clients must not read it.
func nextMarker(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// echo writes the parameters back, those that were sent.
func (l listing) echo(b *strings.Builder, encode bool) {
	if l.prefix != "" {
		nameElement(b, "Prefix", l.prefix, encode)
	}
	for _, p := range []struct{ name, value string }{{"Marker", l.marker}, {"MaxResults", l.maxResults}} {
		if p.value != "" {
			element(b, p.name, p.value)
		}
	}
	if l.delimiter != "" {
		nameElement(b, "Delimiter", l.delimiter, encode)
	}
}

// nameElement writes a name. One with characters that XML 1.0 cannot hold is
// percent-encoded and marked, since version 2021-02-12.
func nameElement(b *strings.Builder, tag, name string, encode bool) {
	if encode && strings.ContainsFunc(name, illegal) {
		b.WriteString("<" + tag + ` Encoded="true">` + url.PathEscape(name) + "</" + tag + ">")
		return
	}
	element(b, tag, name)
}

// illegal reports whether a character is outside the Char production of XML 1.0
// (section 2.2).
func illegal(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
}

func (c *call) list(body string) edge.Response {
	resp := c.answer(http.StatusOK)
	resp.Header.Set("Content-Type", "application/xml")
	resp.Body = []byte(body)
	return resp
}

// listContainers is List Containers.
func listContainers(s *Service, c *call) (edge.Response, *Error) {
	l, e := parseListing(c.query, includeContainers)
	if e != nil {
		return edge.Response{}, e
	}
	var b strings.Builder
	b.WriteString(xmlBegin + `<EnumerationResults ServiceEndpoint="` + escaped(c.endpoint()) + `">`)
	l.delimiter = ""
	l.echo(&b, false)
	b.WriteString("<Containers>")
	next, n := "", 0
	s.store.view(func(tx transaction) {
		for found := range tx.containers(c.at.account, l.from) {
			if !strings.HasPrefix(found.name, l.prefix) {
				break
			}
			if n == l.limit {
				next = nextMarker(found.name)
				break
			}
			found.element(&b, slices.Contains(l.include, "metadata"))
			n++
		}
	})
	b.WriteString("</Containers>")
	element(&b, "NextMarker", next)
	b.WriteString("</EnumerationResults>")
	return c.list(b.String()), nil
}

// element writes a container into a list. Its ETag is quoted there; that of a
// blob is not.
func (c container) element(b *strings.Builder, withMetadata bool) {
	b.WriteString("<Container>")
	element(b, "Name", c.name)
	b.WriteString("<Properties>")
	element(b, "Last-Modified", c.modified.UTC().Format(http.TimeFormat))
	b.WriteString("<Etag>" + c.etag + "</Etag>")
	element(b, "LeaseStatus", "unlocked")
	element(b, "LeaseState", "available")
	if c.access != "" {
		element(b, "PublicAccess", c.access)
	}
	element(b, "DefaultEncryptionScope", "$account-encryption-key")
	element(b, "DenyEncryptionScopeOverride", "false")
	element(b, "HasImmutabilityPolicy", "false")
	element(b, "HasLegalHold", "false")
	b.WriteString("</Properties>")
	if withMetadata {
		c.metadata.element(b)
	}
	b.WriteString("</Container>")
}

// listBlobs is List Blobs, flat or by hierarchy.
func listBlobs(s *Service, c *call) (resp edge.Response, e *Error) {
	if e = c.unconditional(); e != nil {
		return resp, e
	}
	l, e := parseListing(c.query, includeBlobs)
	if e != nil {
		return resp, e
	}
	encode := c.version >= versionEncoded
	var b strings.Builder
	b.WriteString(xmlBegin + `<EnumerationResults ServiceEndpoint="` + escaped(c.endpoint()) + `" ContainerName="` + escaped(c.at.container) + `">`)
	l.echo(&b, encode)
	b.WriteString("<Blobs>")
	next := ""
	s.store.view(func(tx transaction) {
		if _, ok := tx.container(c.at); !ok {
			e = missingContainer(c.at)
			return
		}
		next = l.blobs(tx, c.at, &b, encode)
	})
	b.WriteString("</Blobs>")
	element(&b, "NextMarker", next)
	b.WriteString("</EnumerationResults>")
	return c.list(b.String()), e
}

// blobs writes one page of blobs, and of prefixes between them in the order of
// names. It returns the marker of the next page.
func (l listing) blobs(tx transaction, in place, b *strings.Builder, encode bool) string {
	group, n := "", 0
	for found := range tx.blobs(in, l.from) {
		if !strings.HasPrefix(found.name, l.prefix) {
			break
		}
		if group != "" && strings.HasPrefix(found.name, group) {
			continue
		}
		if n == l.limit {
			return nextMarker(found.name)
		}
		n++
		if group = l.group(found.name); group != "" {
			b.WriteString("<BlobPrefix>")
			nameElement(b, "Name", group, encode)
			b.WriteString("</BlobPrefix>")
			continue
		}
		found.element(b, slices.Contains(l.include, "metadata"), encode)
	}
	return ""
}

// group returns the part of a name up to the first delimiter after the prefix.
func (l listing) group(name string) string {
	if l.delimiter == "" {
		return ""
	}
	rest, _, found := strings.Cut(name[len(l.prefix):], l.delimiter)
	if !found {
		return ""
	}
	return l.prefix + rest + l.delimiter
}

// element writes a blob into a list.
func (f blob) element(b *strings.Builder, withMetadata, encode bool) {
	b.WriteString("<Blob>")
	nameElement(b, "Name", f.name, encode)
	b.WriteString("<Properties>")
	for _, p := range []struct{ name, value string }{
		{"Creation-Time", f.created.UTC().Format(http.TimeFormat)},
		{"Last-Modified", f.modified.UTC().Format(http.TimeFormat)},
		{"Etag", strings.Trim(f.etag, `"`)},
		{"Content-Length", strconv.Itoa(len(f.content))},
		{"Content-Type", f.properties.Type},
		{"Content-Encoding", f.properties.Encoding},
		{"Content-Language", f.properties.Language},
		{"Content-CRC64", ""},
		{"Content-MD5", f.properties.MD5},
		{"Cache-Control", f.properties.CacheControl},
		{"Content-Disposition", f.properties.Disposition},
		{"BlobType", "BlockBlob"},
		{"AccessTier", "Hot"},
		{"AccessTierInferred", "true"},
		{"LeaseStatus", "unlocked"},
		{"LeaseState", "available"},
		{"ServerEncrypted", "true"},
	} {
		element(b, p.name, p.value)
	}
	b.WriteString("</Properties>")
	if withMetadata {
		f.metadata.element(b)
	}
	b.WriteString("<OrMetadata /></Blob>")
}
