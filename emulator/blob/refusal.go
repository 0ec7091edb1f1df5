package blob

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A Refusal is one row of the table of refusals: what goes over the wire when
// the Blob service says no.
type Refusal struct {
	// Name is unique: the code, or the code and what distinguishes the row from
	// others with the same code, as in "InvalidAuthenticationInfo/audience".
	// Faults name rows by it.
	Name   string
	Status int
	// Text is the first line of the message.
	Text string
	// Detail is the AuthenticationErrorDetail element, if there is one.
	Detail string
	// FrontEnd marks answers of the layer before the Blob service proper, which
	// names itself differently and does not echo x-ms-version.
	FrontEnd bool
	Source   string
}

// Code is the wire code of the row.
func (r *Refusal) Code() string {
	code, _, _ := strings.Cut(r.Name, "/")
	return code
}

// refusals is the table, in the order of the literals.
var refusals []*Refusal

// row adds a refusal to the table.
func row(r Refusal) *Refusal {
	refusals = append(refusals, &r)
	return &r
}

// Refusals returns the table of refusals.
func Refusals() []Refusal {
	out := make([]Refusal, 0, len(refusals))
	for _, r := range refusals {
		out = append(out, *r)
	}
	return out
}

// because returns the refusal of one request. why is the sentence for the
// developer; it is never sent.
func (r *Refusal) because(why string, args ...any) *Error {
	return &Error{Refusal: r, Reason: fmt.Sprintf(why, args...)}
}

// An Error is a refusal of one request.
type Error struct {
	*Refusal
	Reason  string      // why, for the person who reads the journal
	details []detail    // further elements of the body
	header  http.Header // further fields of the header
}

// Error returns the code and the first line of the message.
func (e *Error) Error() string { return e.Code() + ": " + e.Text }

// A detail is an element of an error body after Message.
type detail struct{ name, value string }

// ofHeader adds what the service says about a header field that it refuses.
func (e *Error) ofHeader(name, value string) *Error {
	e.details = append(e.details, detail{"HeaderName", name}, detail{"HeaderValue", value})
	return e
}

// ofQuery adds what the service says about a query parameter that it refuses.
func (e *Error) ofQuery(name, value, reason string) *Error {
	e.details = append(e.details, detail{"QueryParameterName", name}, detail{"QueryParameterValue", value}, detail{"Reason", reason})
	return e
}

// with adds a header field.
func (e *Error) with(name, value string) *Error {
	if e.header == nil {
		e.header = http.Header{}
	}
	e.header.Set(name, value)
	return e
}

const (
	// xmlBegin is the beginning of every XML body: a byte order mark and the
	// declaration, as the real service sends them.
	xmlBegin = "\ufeff" + `<?xml version="1.0" encoding="utf-8"?>`
	// errorTime is the layout of the time in error bodies, in UTC.
	errorTime = "2006-01-02T15:04:05.0000000Z"
)

// body renders the error on one line, except for the line breaks inside
// Message. Its layout was checked against the Content-Length of recorded
// answers.
func (e *Error) body(r *edge.Request) []byte {
	var b strings.Builder
	b.WriteString(xmlBegin + "<Error>")
	element(&b, "Code", e.Code())
	b.WriteString("<Message>" + escaped(e.Text) + "\nRequestId:" + r.ID + "\nTime:" + r.Now.UTC().Format(errorTime) + "</Message>")
	details := e.details
	if e.Detail != "" {
		details = append(slices.Clone(details), detail{"AuthenticationErrorDetail", e.Detail})
	}
	for _, d := range details {
		element(&b, d.name, d.value)
	}
	b.WriteString("</Error>")
	return []byte(b.String())
}

// element writes an element with text in it, and an empty-element tag where
// there is none.
func element(b *strings.Builder, name, text string) {
	if text == "" {
		b.WriteString("<" + name + " />")
		return
	}
	b.WriteString("<" + name + ">" + escaped(text) + "</" + name + ">")
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder does not fail
	return b.String()
}

// refuse renders a refusal and records it.
func (c *call) refuse(e *Error) edge.Response {
	c.Explain(e.Code(), e.Reason)
	resp := edge.Response{Status: e.Status, Header: c.answerHeader()}
	if e.FrontEnd {
		resp.Header.Set("Server", "Microsoft-HTTPAPI/2.0")
		resp.Header.Del("x-ms-version")
	}
	if e.FrontEnd && e.Status == http.StatusUnauthorized {
		resp.Header.Del("x-ms-client-request-id")
	}
	if c.version >= versionErrorCode || e.FrontEnd {
		resp.Header.Set("x-ms-error-code", e.Code())
	}
	for name, values := range e.header {
		resp.Header[name] = values
	}
	if e.Status == http.StatusNotModified {
		return resp
	}
	resp.Header.Set("Content-Type", "application/xml")
	if c.Method != http.MethodHead {
		resp.Body = e.body(c.Request)
	}
	return resp
}

// Refuse renders a row of the table for a fault, which asks for it by name or
// by code. Of several rows with one code, the first is taken.
func (s *Service) Refuse(r *edge.Request, code string) (edge.Response, bool) {
	for _, row := range refusals {
		if row.Name == code || row.Code() == code {
			c := s.understand(r)
			e := row.because("an injected fault asked for this refusal")
			if row.Status == http.StatusUnauthorized {
				e = s.challenge(c, e)
			}
			return c.refuse(e), true
		}
	}
	return edge.Response{}, false
}

// TooLarge answers a request that is over the edge's limits.
func (s *Service) TooLarge(r *edge.Request) edge.Response {
	return s.understand(r).refuse(errBodyTooLarge.because("the request is over the size that fakeentra reads"))
}
