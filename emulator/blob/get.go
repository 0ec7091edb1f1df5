package blob

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

const (
	// maxDigested is the longest range that the service computes a digest of.
	maxDigested = 4 << 20
	// kept is how much of a download the journal keeps.
	kept = 1 << 10
)

// read finds the blob of a request and applies the conditions.
func (s *Service) read(c *call) (found blob, e *Error) {
	k, e := c.conditions()
	if e != nil {
		return found, e
	}
	s.store.view(func(tx transaction) { found, e = lookup(tx, c.at) })
	if e != nil {
		return found, e
	}
	return found, k.read(found.state(true))
}

// describe adds what Get Blob and Get Blob Properties both say.
func (c *call) describe(resp edge.Response, b blob) edge.Response {
	identify(resp, b.state(true))
	b.properties.addTo(resp)
	b.metadata.addTo(resp)
	resp.Header.Set("Accept-Ranges", "bytes")
	resp.Header.Set("x-ms-creation-time", b.created.UTC().Format(http.TimeFormat))
	resp.Header.Set("x-ms-blob-type", "BlockBlob")
	resp.Header.Set("x-ms-lease-status", "unlocked")
	resp.Header.Set("x-ms-lease-state", "available")
	resp.Header.Set("x-ms-server-encrypted", "true")
	return resp
}

// getBlob is Get Blob.
func getBlob(s *Service, c *call) (edge.Response, *Error) {
	b, e := s.read(c)
	if e != nil {
		return edge.Response{}, e
	}
	v := cmp.Or(c.header.Get("x-ms-range"), c.header.Get("Range"))
	if v == "" {
		return c.whole(b)
	}
	size := int64(len(b.content))
	part, err := parseRange(v, size)
	if errors.Is(err, errUnsatisfiedRange) {
		return edge.Response{}, errRange.because("the range %s is outside the blob, which has %d bytes", v, size).with("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
	}
	if err != nil {
		return edge.Response{}, errHeader.because("the range cannot be read: %v", err).ofHeader("Range", v)
	}
	return c.part(b, part)
}

func (c *call) whole(b blob) (edge.Response, *Error) {
	for _, name := range []string{"x-ms-range-get-content-md5", "x-ms-range-get-content-crc64"} {
		if c.wants(name) {
			return edge.Response{}, errHeader.because("%s asks for the digest of a range, and no range is given", name).ofHeader(name, c.header.Get(name))
		}
	}
	resp := send(c.describe(c.answer(http.StatusOK), b), b.content)
	if b.properties.MD5 != "" {
		resp.Header.Set("Content-MD5", b.properties.MD5)
	}
	return resp, nil
}

func (c *call) part(b blob, part span) (edge.Response, *Error) {
	content := b.content[part.start:part.end]
	wantsMD5, wantsCRC := c.wants("x-ms-range-get-content-md5"), c.wants("x-ms-range-get-content-crc64")
	if (wantsMD5 || wantsCRC) && len(content) > maxDigested {
		return edge.Response{}, errOutOfRange.because("the digest of a range of %d bytes was asked for; at most %d bytes are digested", len(content), maxDigested)
	}
	resp := send(c.describe(c.answer(http.StatusPartialContent), b), content)
	resp.Header.Set("Content-Range", part.contentRange(int64(len(b.content))))
	if b.properties.MD5 != "" {
		resp.Header.Set("x-ms-blob-content-md5", b.properties.MD5)
	}
	if wantsMD5 {
		resp.Header.Set("Content-MD5", md5Of(content))
	}
	if wantsCRC {
		resp.Header.Set("x-ms-content-crc64", crc64Of(content))
	}
	return resp, nil
}

func (c *call) wants(name string) bool { return strings.EqualFold(c.header.Get(name), "true") }

// send adds content to a response, without copying it.
func send(resp edge.Response, content []byte) edge.Response {
	resp.Body = content[:min(len(content), kept)]
	resp.Stream, resp.Length = bytes.NewReader(content), int64(len(content))
	resp.Header.Set("Content-Length", strconv.Itoa(len(content)))
	return resp
}

// headBlob is Get Blob Properties.
func headBlob(s *Service, c *call) (edge.Response, *Error) {
	b, e := s.read(c)
	if e != nil {
		return edge.Response{}, e
	}
	resp := c.describe(c.answer(http.StatusOK), b)
	resp.Header.Set("Content-Length", strconv.Itoa(len(b.content)))
	resp.Header.Set("x-ms-access-tier", "Hot")
	resp.Header.Set("x-ms-access-tier-inferred", "true")
	if b.properties.MD5 != "" {
		resp.Header.Set("Content-MD5", b.properties.MD5)
	}
	return resp, nil
}

// getBlobMetadata is Get Blob Metadata, which has no body with GET either.
func getBlobMetadata(s *Service, c *call) (edge.Response, *Error) {
	b, e := s.read(c)
	if e != nil {
		return edge.Response{}, e
	}
	resp := identify(c.answer(http.StatusOK), b.state(true))
	b.metadata.addTo(resp)
	return resp, nil
}
