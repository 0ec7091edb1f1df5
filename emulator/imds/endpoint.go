package imds

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// A form gives a row of a source besides IMDS its wire form.
type form func(*edge.Request, row) edge.Response

// answered renders the refusals of an operation.
func answered(do operation) edge.Operation {
	return func(r *edge.Request) edge.Response {
		resp, no := do(r)
		if no != nil {
			return refuse(r, no)
		}
		return resp
	}
}

// calledPlace returns the place whose endpoint a request calls: that of the host,
// or that of virtual machines.
func (s *Service) calledPlace(r *edge.Request) place {
	host, _ := s.Host(r.Caller.Host)
	if r.URL.Hostname() == metadataHost {
		host.Source = IMDS
	}
	p, _ := host.Source.place()
	return p
}

// queryOf reads the query of a request to a source besides IMDS. Whether they
// refuse what occurs twice is not known; the first one counts here, as in most
// programs.
func queryOf(r *edge.Request) (url.Values, string) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query, "the query cannot be decoded: " + err.Error()
	}
	noteForwarded(r)
	return query, ""
}

// noteChoice records whose token is asked for, and what was read over.
func noteChoice(r *edge.Request, m directory.ManagedIdentity, resource string, query url.Values, sel selector) {
	r.Note("", m.Name)
	r.Note("resource", resource)
	noteOddities(r, query, sel)
}

// noteForwarded notes what only IMDS is documented to refuse.
func noteForwarded(r *edge.Request) {
	r.Note("forwarded-for", strings.Join(r.Header.Values("X-Forwarded-For"), ", "))
}

// wrongSecret says what is wrong with the secret that a request carries in a
// header, or "".
func (s *Service) wrongSecret(r *edge.Request, header string) string {
	host, _ := s.Host(r.Caller.Host)
	switch got := r.Header.Get(header); {
	case got == s.secret(host):
		return ""
	case got == "":
		return "the header " + header + " is missing; send the value of the environment variable " + secretVariable(header)
	default:
		return "the header " + header + " is not the secret of " + host.Name + s.ownerOf(got) + "; send the value of the environment variable " + secretVariable(header)
	}
}

func secretVariable(header string) string {
	if header == "X-Identity-Header" {
		return "IDENTITY_HEADER"
	}
	return "MSI_SECRET, or IDENTITY_HEADER at Service Fabric"
}

// ownerOf says whose secret a secret is, if it is that of another host.
func (s *Service) ownerOf(secret string) string {
	for _, h := range s.Hosts() {
		if own := s.secret(h); own != "" && own == secret {
			return " but that of " + h.Name
		}
	}
	return ""
}

// A field is a member of a JSON object, in the order of the wire.
type field struct {
	name  string
	value any // string or int64
}

// ordered renders a JSON object on one line.
func ordered(fields ...field) []byte {
	b := []byte{'{'}
	for i, m := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, quote(m.name)...)
		b = append(b, ':')
		switch v := m.value.(type) {
		case string:
			b = append(b, quote(v)...)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case json.RawMessage:
			b = append(b, v...)
		}
	}
	return append(b, '}')
}

// bare is an answer in JSON of an endpoint about whose headers nothing is known.
func bare(status int, body []byte) edge.Response {
	return edge.Response{Status: status, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: body}
}
