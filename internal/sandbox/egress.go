package sandbox

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// An Egress is a port of a real host that a program may reach, by the name of
// the host.
type Egress struct {
	Host string // in lower case, without a dot at the end
	Port int
}

// An outlet is an address of the sandbox that leads to an Egress.
type outlet struct {
	Egress
	at netip.AddrPort
}

// outlets gives each host an address of its own, after that of the world.
func outlets(list []Egress) []outlet {
	var all []outlet
	addresses := map[string]netip.Addr{}
	next := worldAddress
	for _, e := range list {
		if _, ok := addresses[e.Host]; !ok {
			next = next.Next()
			addresses[e.Host] = next
		}
		o := outlet{e, netip.AddrPortFrom(addresses[e.Host], uint16(e.Port))}
		if !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	return all
}

// hostAddresses are what the names of outlets resolve to.
func hostAddresses(all []outlet) map[string]netip.Addr {
	addresses := map[string]netip.Addr{}
	for _, o := range all {
		addresses[o.Host] = o.at.Addr()
	}
	return addresses
}

// A relayed address of the sandbox leads to connections that are made outside.
type relayed struct {
	at   netip.AddrPort
	dial func(context.Context) (net.Conn, error)
}

// relays are what a command reaches outside of a network of its own.
func (c Command) relays() []relayed {
	var all []relayed
	for _, port := range c.Forward {
		at := netip.AddrPortFrom(loopback, uint16(port))
		all = append(all, relayed{at, toLoopback(at)})
	}
	for _, o := range outlets(c.Egress) {
		all = append(all, relayed{o.at, c.toEgress(o.Egress)})
	}
	return all
}

func (c Command) toEgress(e Egress) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return c.Dial(ctx, e) }
}
