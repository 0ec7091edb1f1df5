package control

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// guard refuses what a web page can make a browser send to a port of this
// machine: requests that carry the page's origin, and requests for a name of
// the page's own that was made to resolve here. A page that asks by IP address
// or as localhost without an origin can only read what GET answers, and the
// browser keeps that from it.
func guard(r *http.Request, names []string) *refusal {
	if origin := r.Header.Values("Origin"); len(origin) > 0 {
		return refuse("web-page", strings.Join(origin, ", "))
	}
	name := hostname(r.Host)
	if _, err := netip.ParseAddr(name); err == nil || edge.Loopback(name) || slices.Contains(names, name) {
		return nil
	}
	return refuse("foreign-host", r.Host)
}

// hostname returns the name or address in a Host header, in lower case and
// without brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return strings.ToLower(name)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(host)
}
