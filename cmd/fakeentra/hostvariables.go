package main

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// hostVariables are those of the host of a cloud that is served, in the form of
// os.Environ.
type hostVariables []string

// hostVariables returns those of a ready file that are not about its doors.
func (r ready) hostVariables() hostVariables {
	const anything = "http://127.0.0.1:1"
	files := fakeentra.Certificates{CA: anything, Bundle: anything, TrustStore: anything, NodeProxy: anything}
	ofDoors := variables(fakeentra.Doors{Proxy: anything}.Environ(files))
	var own hostVariables
	for _, name := range slices.Sorted(maps.Keys(r.Environ)) {
		if _, ok := ofDoors[name]; !ok && name != controlVariable {
			own = append(own, name+"="+r.Environ[name])
		}
	}
	return own
}

// inSandbox returns the variables as they are in a sandbox, and the ports there
// to which they lead: those that listen on this machine, and door, which is the
// address of the managed identity endpoint.
func (v hostVariables) inSandbox(door string) ([]string, []sandbox.Endpoint) {
	var all []string
	endpoints := map[int]sandbox.Endpoint{}
	for _, entry := range v {
		name, value, _ := strings.Cut(entry, "=")
		all = append(all, entry)
		u, err := url.Parse(value)
		if err != nil {
			continue
		}
		port, err := strconv.Atoi(u.Port())
		if to := destination(u, door); err == nil && to != "" {
			endpoints[port] = sandbox.Endpoint{Port: port, Serve: relayTo(to)}
			u.Host = net.JoinHostPort("127.0.0.1", u.Port())
			all[len(all)-1] = name + "=" + u.String()
		}
	}
	return all, slices.Collect(maps.Values(endpoints))
}

// destination returns the address to connect to for a URL, or nothing if it does
// not lead to a listener of the cloud. One on all addresses of a machine is told
// as one on its loopback.
func destination(u *url.URL, door string) string {
	ip, err := netip.ParseAddr(u.Hostname())
	here := u.Hostname() == "localhost" || err == nil && (ip.IsLoopback() || ip.IsUnspecified())
	switch _, port, _ := net.SplitHostPort(door); {
	case u.Host == door, here && u.Port() == port:
		return door
	case here:
		return u.Host
	}
	return ""
}

func relayTo(address string) func(context.Context, net.Listener) error {
	return func(ctx context.Context, l net.Listener) error {
		sandbox.Relay(ctx, l, func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		})
		return nil
	}
}
