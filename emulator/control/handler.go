package control

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// Handler serves the control plane of a cloud:
//
//	GET    /health        that it is up, and what it is
//	GET    /info          names, identifiers and doors: an [Info]
//	GET    /journal       what happened; see [Filter] for op, host, after and refused.
//	                      The transcript if asked for with format=text or Accept: text/plain
//	DELETE /journal       forget it
//	GET    /faults        how far each rule has come: {"faults": [fault.Status]}
//	POST   /faults        arm a fault.Spec or a list of them, all or none
//	DELETE /faults        disarm all
//	GET    /clock         {"now": RFC 3339}
//	POST   /clock         {"advance": "2h"} or {"set": RFC 3339}
//	POST   /keys/rotate   {"issuer": name}; Entra's own keys without a name
//	POST   /keys/retire   likewise
//	POST   /token         {"issuer": name, "claims": {...}}, signed by an issuer outside
//	                      Entra: {"token": JWT}. iss, aud, iat, nbf and exp are filled in
//	POST   /doors         {"host": name}: doors for programs on that host, which stay
//	                      open, and its variables: a [HostDoors]
//	POST   /reset         back to the start
//	GET    /ca            the certificate authority of the HTTPS doors, PEM
//
// Changes that have nothing to report are answered with 204. Refusals are
// {"error": what was wrong, "expected": what would have been right}.
//
// Whoever reaches the handler controls the cloud, so it refuses what web pages
// can send: requests with an Origin header, and requests for a host that is
// neither an IP address nor localhost nor one of names, which are the other
// names that clients know it by, without port. It may be called from several
// goroutines.
func Handler(c Cloud, names ...string) http.Handler {
	known := make([]string, len(names))
	for i, n := range names {
		known[i] = strings.ToLower(n)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, no := serve(c, known, r)
		if no != nil {
			resp = no.response()
		}
		// The journal quotes what clients sent: it is neither markup nor for caches.
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		resp.Write(w, r)
	})
}

// A call is a request that passed the guard.
type call struct {
	Cloud
	query  url.Values
	accept []string // values of the Accept header
	body   []byte   // at most edge.MaxBody, and JSON by its type unless empty
}

// A route ties a method and a path to what they do.
type route struct {
	method, path string
	parameters   []string // of the query
	takes        bool     // a body; other routes accept none, or {}
	do           func(*call) (edge.Response, *refusal)
}

func routes() []route {
	return []route{
		{"GET", "/health", nil, false, getHealth},
		{"GET", "/info", nil, false, getInfo},
		{"GET", "/journal", []string{"op", "host", "after", "refused", "format"}, false, getJournal},
		{"DELETE", "/journal", nil, false, deleteJournal},
		{"GET", "/faults", nil, false, getFaults},
		{"POST", "/faults", nil, true, postFaults},
		{"DELETE", "/faults", nil, false, deleteFaults},
		{"GET", "/clock", nil, false, getClock},
		{"POST", "/clock", nil, true, postClock},
		{"POST", "/keys/rotate", nil, true, rotateKeys},
		{"POST", "/keys/retire", nil, true, retireKeys},
		{"POST", "/token", nil, true, postToken},
		{"POST", "/doors", nil, true, postDoors},
		{"POST", "/reset", nil, false, reset},
		{"GET", "/ca", nil, false, getCA},
	}
}

func serve(c Cloud, names []string, r *http.Request) (edge.Response, *refusal) {
	if no := guard(r, names); no != nil {
		return edge.Response{}, no
	}
	to, no := find(r.Method, r.URL.Path)
	if no != nil {
		return edge.Response{}, no
	}
	query, no := readQuery(r.URL.RawQuery, to)
	if no != nil {
		return edge.Response{}, no
	}
	body, no := readBody(r)
	if no != nil {
		return edge.Response{}, no
	}
	if !to.takes {
		if _, no := readTexts(body, "an empty body, or {}"); no != nil {
			return edge.Response{}, no
		}
	}
	return to.do(&call{Cloud: c, query: query, accept: r.Header.Values("Accept"), body: body})
}

func find(method, path string) (route, *refusal) {
	var all, allowed []string
	for _, to := range routes() {
		all = append(all, to.method+" "+to.path)
		if to.path != path {
			continue
		}
		if to.method == method || (to.method == http.MethodGet && method == http.MethodHead) {
			return to, nil
		}
		allowed = append(allowed, to.method)
	}
	if allowed == nil {
		return route{}, refuse("no-route", path).expecting("one of: " + strings.Join(all, ", "))
	}
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	no := refuse("no-method", method, path).expecting("one of: " + strings.Join(allowed, ", "))
	no.allow = strings.Join(allowed, ", ")
	return route{}, no
}

// readQuery refuses parameters that the route does not know, because a filter
// that is mistyped and ignored shows everything.
func readQuery(raw string, to route) (url.Values, *refusal) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse("bad-query", raw, err)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case !slices.Contains(to.parameters, name):
			known := "no query parameters"
			if len(to.parameters) > 0 {
				known = "one of: " + strings.Join(to.parameters, ", ")
			}
			return nil, refuse("bad-parameter", fmt.Sprintf("%q", name), "is unknown").expecting(known)
		case len(query[name]) > 1 && name != "op":
			return nil, refuse("bad-parameter", name, "is there more than once").expecting("it once; only op may be repeated")
		}
	}
	return query, nil
}

// done answers a change that has nothing to report.
func done() edge.Response { return edge.Response{Status: http.StatusNoContent} }

func reset(c *call) (edge.Response, *refusal) {
	if err := c.Reset(); err != nil {
		return edge.Response{}, refuse("reset-failed", err)
	}
	return done(), nil
}
