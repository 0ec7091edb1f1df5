package control

import (
	"fmt"
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A row is a refusal as a client sees it: {"error":text,"expected":expected}.
type row struct {
	name     string
	status   int
	text     string // with verbs for the refusal's arguments
	expected string // unless the refusal says it
	source   string // why the control plane refuses this, or why with this status
}

// rows are all refusals.
var rows = []row{
	{"web-page", 403, "the request has the header Origin (%q), so a web page sent it, and web pages may not control a cloud", "a request from a program other than a browser, without Origin", "RFC 6454 section 7; cross-site request forgery"},
	{"foreign-host", 403, "the request is for the host %q, which is not a name of this control plane; a web page could send it by DNS rebinding", "an IP address or localhost in the URL and in the header Host, or a name that the control plane was started with", "RFC 9110 section 7.2; DNS rebinding"},
	{"no-route", 404, "there is nothing at %s", "", "RFC 9110 section 15.5.5"},
	{"no-method", 405, "%s is not a method of %s", "", "RFC 9110 section 15.5.6"},
	{"bad-query", 400, "the query %q cannot be read: %v", "name=value pairs, percent-encoded and joined by &", "URL standard, application/x-www-form-urlencoded"},
	{"bad-parameter", 400, "the query parameter %s %s", "", "this package"},
	{"unreadable-body", 400, "the request body ended early: %v", "as many bytes as Content-Length announces, or a chunked body with its last chunk", "RFC 9112 section 8"},
	{"large-body", 413, "the request body is too large", "at most 1048576 bytes", "RFC 9110 section 15.5.14"},
	{"not-json", 415, "the request body is of the type %q", "the header Content-Type: application/json", "RFC 9110 section 15.5.16; forms of web pages cannot send this type without asking (Fetch standard, CORS-safelisted request-header)"},
	{"bad-body", 400, "%s", "", "this package"},
	{"cannot", 422, "%v", "", "RFC 9110 section 15.5.21: well-formed, but not something this cloud can do"},
	{"time-out-of-range", 422, "the clock would show the year %d", "a time in the years 1970 to 2199", "RFC 7519 section 2, NumericDate; the clock's offset is 64 bits of nanoseconds"},
	{"no-ca", 404, "this cloud has no certificate authority", "a cloud that is served over HTTPS", "this package"},
	{"reset-failed", 500, "the cloud could not be reset: %v", "nothing else from you; restart the cloud", "RFC 9110 section 15.6.1"},
}

// A refusal is a row and what to fill into it.
type refusal struct {
	row      string
	expected string // replaces that of the row unless empty
	allow    string // methods, for the header Allow (RFC 9110 section 15.5.6)
	args     []any
}

func refuse(row string, args ...any) *refusal { return &refusal{row: row, args: args} }

func (no *refusal) expecting(what string) *refusal {
	no.expected = what
	return no
}

// An answer is the body of every refusal.
type answer struct {
	Error    string `json:"error"`
	Expected string `json:"expected"`
}

func (no *refusal) response() edge.Response {
	for _, w := range rows {
		if w.name != no.row {
			continue
		}
		a := answer{fmt.Sprintf(w.text, no.args...), w.expected}
		if no.expected != "" {
			a.Expected = no.expected
		}
		resp := edge.JSON(w.status, a)
		if no.allow != "" {
			resp.Header.Set("Allow", no.allow)
		}
		return resp
	}
	return edge.JSON(http.StatusInternalServerError, answer{no.row, "a row of that name"}) // a test provokes every row
}
