// Package door brings requests to the emulators and answers back. There are
// several doors to one [Router]: a [Transport] for Go clients, which needs no
// socket, a forward [Proxy] for programs in any language, and the listeners of
// [ServeTLS] and [ServeHTTP] for containers and sandboxes.
//
// Doors know about connections, certificates and host names, and nothing about
// Entra or Azure. They are the only part of the tree that owns goroutines.
package door

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A Router finds the service that answers for a host name and carries requests
// to it through the edge. Its methods may be called from several goroutines,
// also while it serves.
type Router struct {
	edge *edge.Edge

	mu       sync.RWMutex
	exact    map[string]edge.Service
	families []family
	fronts   []family // by the server name of the TLS handshake
}

// A family is a set of host names that changes while the cloud runs, such as
// those of storage accounts.
type family struct {
	service  edge.Service
	describe func() []string
	knows    func(hostname string) bool
}

// NewRouter returns a Router that knows no host.
func NewRouter(e *edge.Edge) *Router {
	return &Router{edge: e, exact: map[string]edge.Service{}}
}

// Handle makes s answer for host names, given without a port. Of two services
// for one name, the later one answers.
func (r *Router) Handle(s edge.Service, names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		r.exact[canonical(name)] = s
	}
}

// HandleFunc makes s answer for the host names that knows accepts, which it
// gets in lower case and without a port. describe lists them for messages.
// Names given to [Router.Handle] go first. Both functions are called from
// several goroutines.
func (r *Router) HandleFunc(s edge.Service, describe func() []string, knows func(hostname string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.families = append(r.families, family{s, describe, knows})
}

// HandleServerName makes s answer all requests on connections whose TLS handshake
// names a server that knows accepts, whichever host the requests are for: some
// services share an address and a host with others, and are told apart by the
// name in the handshake alone (RFC 6066 section 3). Such names have no address
// of their own.
func (r *Router) HandleServerName(s edge.Service, knows func(serverName string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fronts = append(r.fronts, family{service: s, knows: knows})
}

// behind returns the service that the server name of a connection asked for, or
// nil if the host of the request tells.
func (r *Router) behind(connection *tls.ConnectionState) edge.Service {
	if connection == nil {
		return nil
	}
	r.mu.RLock()
	fronts := r.fronts
	r.mu.RUnlock()
	for _, f := range fronts {
		if f.knows(canonical(connection.ServerName)) {
			return f.service
		}
	}
	return nil
}

// Become makes r answer for the names that another Router answers for, and for no
// others, at once. Requests that are being answered stay where they are.
func (r *Router) Become(other *Router) {
	other.mu.RLock()
	exact, families, fronts := maps.Clone(other.exact), slices.Clone(other.families), slices.Clone(other.fronts)
	other.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exact, r.families, r.fronts = exact, families, fronts
}

// canonical returns the form in which host names are compared. A trailing dot
// marks a name as complete (RFC 1034 section 3.1).
func canonical(hostname string) string {
	return strings.ToLower(strings.TrimSuffix(hostname, "."))
}

// find returns the service for a host name, or nil.
func (r *Router) find(hostname string) edge.Service {
	hostname = canonical(hostname)
	r.mu.RLock()
	s, families := r.exact[hostname], r.families
	r.mu.RUnlock()
	if s != nil {
		return s
	}
	for _, f := range families {
		if f.knows(hostname) {
			return f.service
		}
	}
	return nil
}

// Knows reports whether a service answers for a host name, given without a
// port.
func (r *Router) Knows(hostname string) bool { return r.find(hostname) != nil }

// Names returns all host names that services answer for, sorted.
func (r *Router) Names() []string {
	r.mu.RLock()
	names, families := slices.Collect(maps.Keys(r.exact)), r.families
	r.mu.RUnlock()
	for _, f := range families {
		names = append(names, f.describe()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// maxNamed is how many host names a message lists.
const maxNamed = 24

// stranger says that nobody answers for a host name, and who does.
func (r *Router) stranger(hostname string) string {
	known := r.Names()
	more := ""
	if n := len(known) - maxNamed; n > 0 {
		known, more = known[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	if len(known) == 0 {
		known = []string{"none"}
	}
	problem := "no emulated host " + hostname
	if hostname == "" {
		problem = "the request names no host"
	}
	return fmt.Sprintf("fakeentra: %s; known: %s%s", problem, strings.Join(known, ", "), more)
}

// Serve answers a request whose URL is absolute, as the client meant it, by the
// service for the URL's host name. A host that nobody answers for is refused
// with 404, and journaled as the operation door.unknown-host. Serve fails as
// [edge.Edge.Serve] does.
func (r *Router) Serve(from edge.Caller, req *http.Request) (edge.Response, error) {
	return r.serve(req.URL.Hostname(), from, req)
}

// serve answers a request by the service for a host name that need not be the
// one in the URL.
func (r *Router) serve(hostname string, from edge.Caller, req *http.Request) (edge.Response, error) {
	s := r.find(hostname)
	if s == nil {
		s = nowhere{r}
	}
	return r.edge.Serve(s, from, req)
}

// Routes returns the operations of the router itself, which fault rules and
// documentation may name.
func (r *Router) Routes() []edge.Route { return nowhere{r}.Routes() }
