package sandbox

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// The addresses of a sandbox.
var (
	// metadataAddress is the Instance Metadata Service of a virtual machine.
	metadataAddress = netip.AddrFrom4([4]byte{169, 254, 169, 254})
	// worldAddress is what every emulated name resolves to. Its network is set
	// aside for benchmarks (RFC 2544), so no real host can be meant.
	worldAddress = netip.AddrFrom4([4]byte{198, 18, 0, 1})
	// worldAddress6 is what those names resolve to that have an address of IPv6
	// alone. Its network is set aside for benchmarks, too (RFC 5180 section 8).
	worldAddress6 = netip.MustParseAddr("2001:2::1")
	loopback      = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6     = netip.IPv6Loopback()
)

// The ports that a sandbox answers on.
const (
	portDNS   = 53
	portHTTP  = 80
	portHTTPS = 443
)

// worldNetwork is the network of worldAddress (RFC 2544 appendix C.2.2).
var worldNetwork = netip.PrefixFrom(worldAddress, 15)

// ttl is how long answers may be kept, in seconds. A sandbox does not change.
const ttl = 60

// A resolver answers the DNS questions of a sandbox: emulated names have the
// one address of the world, real hosts that may be reached have one each, the
// machine itself is at loopback, and every other name does not exist and is
// counted as a leak.
type resolver struct {
	knows    func(hostname string) bool
	six      []string              // emulated names with worldAddress6, in lower case
	address  netip.Addr            // of emulated names
	real     map[string]netip.Addr // what stands for the addresses of real hosts
	hostname string                // of this machine, in lower case: some clients look it up
	leaks    *leaks                // nil if nobody counts
}

func newResolver(knows func(string) bool, l *leaks) *resolver {
	hostname, _ := os.Hostname() // without one, nobody looks it up
	return &resolver{knows: knows, address: worldAddress, hostname: strings.ToLower(hostname), leaks: l}
}

// ServeDNS answers DNS questions, on both transports, until ctx is done, and
// closes them: names that are known have one IPv4 address, and no other name
// exists but localhost. knows is called from several goroutines, with names in
// lower case and without a dot at the end.
func ServeDNS(ctx context.Context, udp net.PacketConn, tcp net.Listener, knows func(hostname string) bool, address netip.Addr) {
	(&resolver{knows: knows, address: address}).serve(ctx, udp, tcp)
}

// serve answers on both transports until ctx is done, and closes them.
func (r *resolver) serve(ctx context.Context, udp net.PacketConn, tcp net.Listener) {
	var group sync.WaitGroup
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: r}, {Listener: tcp, Handler: r}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		ended := make(chan struct{})
		group.Go(func() {
			defer close(ended)
			_ = s.ActivateAndServe() // it fails when it is shut down
		})
		group.Go(func() {
			select {
			case <-started: // a server that has not started cannot be shut down
			case <-ended:
				return
			}
			select {
			case <-ctx.Done():
				_ = s.Shutdown()
			case <-ended:
			}
		})
	}
	group.Wait()
}

// ServeDNS answers one question. It is called by the servers.
func (r *resolver) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	_ = w.WriteMsg(r.answer(question)) // a client that is gone needs no answer
}

// answer never returns nil. Names that exist have no records but A, which says
// to clients that there is no IPv6 (RFC 2308 section 2.2), or none but AAAA.
func (r *resolver) answer(question *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(question)
	reply.Authoritative, reply.RecursionAvailable = true, true
	if question.Opcode != dns.OpcodeQuery || len(question.Question) != 1 {
		reply.Rcode = dns.RcodeNotImplemented
		return reply
	}
	q := question.Question[0]
	address, ok := r.lookup(q.Name)
	switch {
	case !ok:
		reply.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeAAAA && address.Is6():
		reply.Answer = []dns.RR{&dns.AAAA{
			Hdr:  dns.RR_Header{Name: q.Name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: ttl},
			AAAA: address.AsSlice(),
		}}
	case q.Qtype == dns.TypeA && address.Is4():
		reply.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl},
			A:   address.AsSlice(),
		}}
	}
	return reply
}

// lookup returns the address of a name, and counts those that have none.
func (r *resolver) lookup(name string) (netip.Addr, bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "localhost" || strings.HasSuffix(name, ".localhost"): // RFC 6761 section 6.3
		return loopback, true
	case name == r.hostname && name != "":
		return loopback, true
	case slices.Contains(r.six, name):
		return worldAddress6, true
	case r.knows(name):
		return r.address, true
	}
	if address, ok := r.real[name]; ok {
		return address, true
	}
	if r.leaks != nil {
		r.leaks.add(leakDNS, name)
	}
	return netip.Addr{}, false
}
