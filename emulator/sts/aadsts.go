package sts

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// A Refusal is one row of the table of refusals: what goes over the wire when
// the token service says no.
type Refusal struct {
	Name   string // what the documentation and the tests call the row
	Code   int    // the number after AADSTS
	OAuth  string // error of RFC 6749 section 5.2, or Entra's own
	Status int
	Text   string // sent after "AADSTS<code>: "; {name} is filled in
	NoURI  bool   // the answer has no error_uri
	// Suberror and Claims are further members of the body.
	Suberror, Claims string
	Fidelity         edge.Fidelity
	Source           string
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

// values fill the {name} parts of a row's text.
type values map[string]string

// because returns the refusal of one request. why is the sentence for the
// developer; it is never sent.
func (r *Refusal) because(v values, why string, args ...any) *Error {
	text := r.Text
	for name, value := range v {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return &Error{Refusal: r, Message: text, Reason: fmt.Sprintf(why, args...)}
}

// An Error is a refusal of one request.
type Error struct {
	*Refusal
	Message string // the text with its values
	Reason  string // why, for the person who reads the journal
}

// Error returns the code and the message, as they begin the error_description.
func (e *Error) Error() string { return e.code() + ": " + e.Message }

func (e *Error) code() string { return fmt.Sprintf("AADSTS%d", e.Code) }

// An envelope is the body of a refusal; its members are in the order in which
// Entra writes them.
type envelope struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
	Timestamp   string `json:"timestamp"`
	TraceID     string `json:"trace_id"`
	Correlation string `json:"correlation_id"`
	URI         string `json:"error_uri,omitempty"`
	Suberror    string `json:"suberror,omitempty"`
	Claims      string `json:"claims,omitempty"`
}

// timestamp is the layout of the times in error bodies.
const timestamp = "2006-01-02 15:04:05Z"

// envelope returns the body of e. separator stands before each of the three
// identifiers at the end of the description: a line break until 2023, a space
// in every response seen since January 2024.
func (s *Service) envelope(e *Error, r *edge.Request, separator string) envelope {
	when, correlation := r.Now.Format(timestamp), s.correlationID(r)
	out := envelope{
		Error: e.OAuth, Codes: []int{e.Code}, Timestamp: when, TraceID: r.ID, Correlation: correlation,
		Suberror: e.Suberror, Claims: e.Claims,
		Description: e.Error() + separator + "Trace ID: " + r.ID + separator + "Correlation ID: " + correlation + separator + "Timestamp: " + when,
	}
	if !e.NoURI {
		host := s.Environment.LoginHost
		if s.Environment.MutualTLS(r.URL.Hostname()) {
			host = s.Environment.MutualTLSHost // without the region
		}
		out.URI = fmt.Sprintf("https://%s/error?code=%d", host, e.Code)
	}
	return out
}

// correlationID is the client's own identifier if it sent a GUID.
func (s *Service) correlationID(r *edge.Request) string {
	for _, id := range []string{r.Header.Get("client-request-id"), r.URL.Query().Get("client-request-id"), formValue(r, "client-request-id")} {
		if ident.IsGUID(id) {
			return strings.ToLower(id)
		}
	}
	return ident.GUID(s.Seed, "correlation", fmt.Sprint(r.Seq))
}

func (s *Service) refuse(r *edge.Request, e *Error) edge.Response {
	r.Explain(e.code(), e.Reason)
	resp := edge.JSON(e.Status, s.envelope(e, r, s.Era.separator()))
	s.dress(r, resp.Header)
	if metadata(r) {
		publicly(resp.Header)
	}
	return resp
}

// Refuse renders a row of the table for a fault. code is written as in
// "AADSTS90033". The values of its text stay empty.
func (s *Service) Refuse(r *edge.Request, code string) (edge.Response, bool) {
	for _, row := range refusals {
		if fmt.Sprintf("AADSTS%d", row.Code) == code {
			return s.refuse(r, row.because(nil, "an injected fault asked for this refusal")), true
		}
	}
	return edge.Response{}, false
}

// A Passed is a refusal that another service hands on to its own client, as
// IMDS does with those of the token service.
type Passed struct {
	err  *Error
	body []byte
}

// Error returns the code and the message.
func (p *Passed) Error() string { return p.err.Error() }

// Status returns 400, whatever the token service would have answered itself.
func (p *Passed) Status() int { return http.StatusBadRequest }

// Body returns the JSON body.
func (p *Passed) Body() []byte { return p.body }

// Code returns the wire code, such as "AADSTS500011".
func (p *Passed) Code() string { return p.err.code() }

// Why returns the sentence for the journal.
func (p *Passed) Why() string { return p.err.Reason }

// pass returns e as IMDS hands it on: with line breaks, as in every quoted
// response of a virtual machine.
func (s *Service) pass(e *Error, requestID string, now time.Time) *Passed {
	r := &edge.Request{ID: requestID, Now: now, URL: &url.URL{}}
	return &Passed{err: e, body: edge.JSON(http.StatusBadRequest, s.envelope(e, r, "\r\n")).Body}
}
