package blob

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
	"io"
	"strconv"

	"github.com/fakeentra/fakeentra/internal/edge"
)

const (
	// maxContent is how much one Put Blob or Put Block may carry. The real
	// limits are 5000 and 4000 MiB; this one keeps a test from eating the
	// machine's memory.
	maxContent = 256 << 20
	// maxBlob is how long a blob made of blocks may be, for the same reason.
	maxBlob = 1 << 30
	// maxList is how long a block list may be: 50,000 entries with identifiers
	// of 64 bytes fit.
	maxList = 8 << 20
)

const defaultContentType = "application/octet-stream"

// contentHeaders are the header fields that are stored with a blob and sent
// with its content.
type contentHeaders struct {
	Type, Encoding, Language, Disposition, CacheControl string
	MD5                                                 string // in base64; may be empty
}

// stored reads the fields that a write stores. Put Blob may also send the type,
// the encoding and so on as those of its own body.
func (c *call) stored(fromBody bool) (contentHeaders, *Error) {
	field := func(name, own string) string {
		if v := c.header.Get(name); v != "" || !fromBody {
			return v
		}
		return c.header.Get(own)
	}
	p := contentHeaders{
		Type:         field("x-ms-blob-content-type", "Content-Type"),
		Encoding:     field("x-ms-blob-content-encoding", "Content-Encoding"),
		Language:     field("x-ms-blob-content-language", "Content-Language"),
		CacheControl: field("x-ms-blob-cache-control", "Cache-Control"),
		Disposition:  c.header.Get("x-ms-blob-content-disposition"),
		MD5:          c.header.Get("x-ms-blob-content-md5"),
	}
	p.Type = cmp.Or(p.Type, defaultContentType)
	return p, checkMD5("x-ms-blob-content-md5", p.MD5)
}

// addTo writes the fields to a response header, except for the MD5, which
// depends on what is sent.
func (p contentHeaders) addTo(resp edge.Response) {
	for name, v := range map[string]string{
		"Content-Type": p.Type, "Content-Encoding": p.Encoding, "Content-Language": p.Language,
		"Content-Disposition": p.Disposition, "Cache-Control": p.CacheControl,
	} {
		if v != "" {
			resp.Header.Set(name, v)
		}
	}
}

func checkMD5(name, v string) *Error {
	if sum, err := base64.StdEncoding.DecodeString(v); v != "" && (err != nil || len(sum) != md5.Size) {
		return errMD5.because("%s is %q; expected 16 bytes in base64", name, v)
	}
	return nil
}

func md5Of(content []byte) string {
	sum := md5.Sum(content)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// crcTable is that of the CRC-64 of Azure Storage; the polynomial is from the
// source of the Go SDK.
var crcTable = crc64.MakeTable(0x9A6C9329AC4BC9B5)

func crc64Of(content []byte) string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], crc64.Checksum(content, crcTable))
	return base64.StdEncoding.EncodeToString(b[:])
}

// body reads the request body, and compares it with the length and the digests
// that the client sent.
func (c *call) body(limit int64) ([]byte, *Error) {
	content, e := readBody(c.Body, c.header.Get("Content-Length"), limit)
	if e != nil {
		return nil, e
	}
	if e := checkMD5("Content-MD5", c.header.Get("Content-MD5")); e != nil {
		return nil, e
	}
	for _, name := range []string{"Content-MD5", "x-ms-blob-content-md5"} {
		// Of a block list, x-ms-blob-content-md5 describes the blob.
		if want := c.header.Get(name); want != "" && want != md5Of(content) && (name == "Content-MD5" || c.Op == "blob.put") {
			return nil, errMD5Mismatch.because("%s is %s; the body has %s", name, want, md5Of(content))
		}
	}
	if want := c.header.Get("x-ms-content-crc64"); want != "" && want != crc64Of(content) {
		return nil, errCRC64Mismatch.because("x-ms-content-crc64 is %s; the body has %s", want, crc64Of(content))
	}
	return content, nil
}

// readBody reads a body that should have the declared length, if one is
// declared.
func readBody(from io.Reader, declared string, limit int64) ([]byte, *Error) {
	length := int64(-1)
	if declared != "" {
		n, err := strconv.ParseInt(declared, 10, 64)
		if err != nil || n < 0 {
			return nil, errHeader.because("Content-Length is %q; expected a number", declared).ofHeader("Content-Length", declared)
		}
		length = n
	}
	if length > limit {
		return nil, errBodyTooLarge.because("the body has %d bytes; fakeentra takes at most %d at once. Upload in blocks", length, limit)
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(from, limit+1))
	switch {
	case err != nil:
		return nil, errInput.because("the body broke off after %d bytes: %v. Nothing was stored", n, err)
	case n > limit:
		return nil, errBodyTooLarge.because("the body has more than %d bytes, which is all that fakeentra takes at once. Upload in blocks", limit)
	case length >= 0 && n != length:
		return nil, errInput.because("the body has %d bytes, and Content-Length says %d. Nothing was stored", n, length)
	}
	return b.Bytes(), nil
}
