package door

import (
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// nowhere is the service for host names that nobody answers for. It makes a
// request that would have left the machine visible in the journal.
type nowhere struct{ router *Router }

func (s nowhere) Routes() []edge.Route {
	return []edge.Route{{
		Op: "door.unknown-host", Do: s.refuse, Fidelity: edge.Stub,
		Source: "none: the real name leads to a real server, or does not resolve",
	}}
}

func (s nowhere) Resolve(*edge.Request) *edge.Route { return &s.Routes()[0] }

func (s nowhere) refuse(r *edge.Request) edge.Response {
	r.Note("host", r.URL.Hostname())
	r.Explain(unknownHost.Code, s.router.stranger(r.URL.Hostname())+
		". The client was not let through to the real host; correct the URL, add the host to the scenario, or permit the real one: --egress of fakeentra run, or WithPassthrough for a client of the same Go program")
	return s.answer(r)
}

// answer renders the refusal. A proxy that cannot reach the host of a CONNECT
// says 502 (RFC 9110 section 15.6.3), and what it adds is read by people.
func (s nowhere) answer(r *edge.Request) edge.Response {
	text := s.router.stranger(r.URL.Hostname())
	if r.Method == http.MethodConnect {
		return unknownTunnel.plain(text)
	}
	return unknownHost.json(text)
}

// TooLarge answers like every other request, since nothing was read of it.
func (s nowhere) TooLarge(r *edge.Request) edge.Response { return s.answer(r) }

// Refuse has the one refusal.
func (s nowhere) Refuse(r *edge.Request, code string) (edge.Response, bool) {
	if code != unknownHost.Code {
		return edge.Response{}, false
	}
	return s.refuse(r), true
}
