package edge

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// A Response is returned, never written, so that faults can edit it and the
// journal can keep it.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// Stream replaces Body where it is not nil; Length is how many bytes it
	// holds. The journal then keeps Body, which may be a beginning.
	Stream io.Reader
	Length int64
	// Closed answers with nothing at all: the connection ends, as where no
	// service listens. The journal keeps the reason.
	Closed bool
}

// Size returns the length of the whole body.
func (resp Response) Size() int64 {
	if resp.Stream != nil {
		return resp.Length
	}
	return int64(len(resp.Body))
}

// JSON returns a response with a JSON body on one line, as Microsoft's services
// write it: without escaping <, > and &, and without a newline at the end.
func JSON(status int, v any) Response {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // only values of this tree are rendered
	}
	return Response{
		Status: status,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:   bytes.TrimSuffix(b.Bytes(), []byte("\n")),
	}
}

// reader returns the body for one use.
func (resp Response) reader() io.Reader {
	if resp.Stream != nil {
		return resp.Stream
	}
	return bytes.NewReader(resp.Body)
}

// bodiless reports whether an answer has headers only (RFC 9110 section 6.4.1).
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

// Write sends the response to a client. It is the only function of the tree
// that does.
func (resp Response) Write(w http.ResponseWriter, r *http.Request) {
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	if !bodiless(r.Method, resp.Status) {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.Size(), 10))
	}
	w.WriteHeader(resp.Status)
	if !bodiless(r.Method, resp.Status) {
		_, _ = io.Copy(w, resp.reader()) // a client that went away is no error of ours
	}
}

// HTTP returns the response as a client without a connection sees it.
func (resp Response) HTTP(r *http.Request) *http.Response {
	out := &http.Response{
		Status: strconv.Itoa(resp.Status) + " " + http.StatusText(resp.Status), StatusCode: resp.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Request: r, Body: http.NoBody,
	}
	for name, values := range resp.Header {
		out.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values) // as after a connection
	}
	if bodiless(r.Method, resp.Status) {
		out.ContentLength, _ = strconv.ParseInt(out.Header.Get("Content-Length"), 10, 64)
		return out
	}
	out.Body, out.ContentLength = io.NopCloser(resp.reader()), resp.Size()
	out.Header.Set("Content-Length", strconv.FormatInt(out.ContentLength, 10))
	return out
}
