package door

import (
	"fmt"
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A Refusal is an answer of a door itself. None of them exists in Azure.
type Refusal struct {
	Code   string // value of error in the JSON body
	Status int
	Text   string // format of error_description
	Source string // where the status comes from
}

// refusals is filled while the package is initialized, and only read later.
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

var (
	unknownHost = row(Refusal{
		Code: "unknown_host", Status: http.StatusNotFound,
		Text:   "%s",
		Source: "RFC 9110 section 15.5.5",
	})
	unknownTunnel = row(Refusal{
		Code: "unknown_host", Status: http.StatusBadGateway,
		Text:   "%s",
		Source: "RFC 9110 sections 9.3.6 and 15.6.3",
	})
	noMetadata = row(Refusal{
		Code: "no_metadata_service", Status: http.StatusBadGateway,
		Text:   "fakeentra: the host %q has no metadata service: nothing answers at " + metadata,
		Source: "RFC 9110 section 15.6.3",
	})
	badTarget = row(Refusal{
		Code: "bad_connect_target", Status: http.StatusBadRequest,
		Text:   "fakeentra: cannot connect to %q; expected a host, a colon and a port from 1 to 65535",
		Source: "RFC 9110 section 9.3.6",
	})
	badScheme = row(Refusal{
		Code: "bad_scheme", Status: http.StatusBadRequest,
		Text:   "fakeentra: this proxy has no way to request %q; expected an http URL, or CONNECT for https",
		Source: "RFC 9110 sections 7.4 and 15.5.1",
	})
	proxyOnly = row(Refusal{
		Code: "this_is_a_proxy", Status: http.StatusBadRequest,
		Text: "fakeentra: this is a forward proxy, and it was asked for %s as if it were the server itself; " +
			"set HTTP_PROXY and HTTPS_PROXY to http://%s and request the real URLs, such as http://" + metadata + "/metadata/identity/oauth2/token",
		Source: "RFC 9112 section 3.2.2",
	})
	loopbackFailure = row(Refusal{
		Code: "loopback_unreachable", Status: http.StatusBadGateway,
		Text:   "fakeentra: %s is on the loopback interface, where it was tried for real and failed: %v",
		Source: "RFC 9110 section 15.6.3",
	})
	unreadable = row(Refusal{
		Code: "unreadable_body", Status: http.StatusBadRequest,
		Text:   "fakeentra: the request body cannot be read: %v",
		Source: "RFC 9112 section 8",
	})
)

// json renders a refusal for programs.
func (no Refusal) json(args ...any) edge.Response {
	return edge.JSON(no.Status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{no.Code, fmt.Sprintf(no.Text, args...)})
}

// plain renders a refusal as one line for people.
func (no Refusal) plain(args ...any) edge.Response {
	return edge.Response{
		Status: no.Status,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		Body:   []byte(fmt.Sprintf(no.Text, args...) + "\n"),
	}
}
