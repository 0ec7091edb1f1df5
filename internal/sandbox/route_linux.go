//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A verdict is what becomes of a connection.
type verdict struct {
	to    netip.AddrPort // elsewhere
	errno unix.Errno     // not at all
	leak  bool           // and it was meant for a place outside
}

// routes says where connections lead.
type routes struct {
	https, http    netip.AddrPort
	dnsUDP, dnsTCP netip.AddrPort
	void           netip.AddrPort                    // datagrams to it are refused
	endpoints      map[uint16]netip.AddrPort         // by the port at every loopback address
	outlets        map[netip.AddrPort]netip.AddrPort // to real hosts
	real           map[netip.Addr]bool               // the addresses of outlets
	metadata       bool
}

// local reports whether connections to an address stay on this machine without
// help. Nobody has to look at them, unless they are questions to a DNS server,
// as that of systemd-resolved at 127.0.0.53.
func (r *routes) local(a netip.AddrPort) bool {
	ip := a.Addr()
	if a.Port() == portDNS || r.emulated(ip) || ip == metadataAddress {
		return false
	}
	return ip.IsLoopback() || ip.IsUnspecified() || interfaces()[ip]
}

// endpoint reports whether a stream to an address is for an endpoint of the world.
func (r *routes) endpoint(a netip.AddrPort) bool {
	_, ok := r.endpoints[a.Port()]
	return ok && (a.Addr().IsLoopback() || a.Addr().IsUnspecified())
}

func (r *routes) emulated(ip netip.Addr) bool {
	return worldNetwork.Contains(ip) || r.metadata && ip == metadataAddress
}

// decide routes what is not local, and what may be for an endpoint. The address is not an IPv4 one in IPv6 form.
//
// Datagram sockets are connected to emulated addresses by clients that ask the
// kernel which source address it would take (RFC 6724 section 2), so that must
// succeed; a client that goes on to speak QUIC is refused.
func (r *routes) decide(socketType int, a netip.AddrPort) verdict {
	stream, datagram := socketType == unix.SOCK_STREAM, socketType == unix.SOCK_DGRAM
	emulated := r.emulated(a.Addr())
	switch port := a.Port(); {
	case r.endpoint(a) && stream:
		return verdict{to: r.endpoints[port]}
	case r.endpoint(a):
		return verdict{to: a}
	case datagram && port == portDNS:
		return verdict{to: r.dnsUDP}
	case stream && port == portDNS:
		return verdict{to: r.dnsTCP}
	case datagram && emulated:
		return verdict{to: r.void}
	case stream && r.real[a.Addr()]:
		if to, ok := r.outlets[a]; ok {
			return verdict{to: to}
		}
		return verdict{errno: unix.ECONNREFUSED}
	case stream && emulated && port == portHTTPS && a.Addr() != metadataAddress:
		return verdict{to: r.https}
	case stream && emulated && port == portHTTP:
		return verdict{to: r.http}
	case stream && emulated:
		return verdict{errno: unix.ECONNREFUSED}
	case emulated, a.Addr() == metadataAddress: // the latter as on a laptop
		return verdict{errno: unix.ENETUNREACH}
	}
	return verdict{errno: unix.ENETUNREACH, leak: true}
}

// interfaces are the addresses of this machine. A program may call itself by
// them, for instance in a container.
var interfaces = sync.OnceValue(func() map[netip.Addr]bool {
	own := map[netip.Addr]bool{}
	addresses, _ := net.InterfaceAddrs() // without them, loopback remains
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own[p.Addr()] = true
		}
	}
	return own
})

// A sockaddr is an address as programs give it to the kernel.
type sockaddr []byte

// maxSockaddr is the size of struct sockaddr_storage.
const maxSockaddr = 128

func (s sockaddr) family() int {
	if len(s) < 2 {
		return unix.AF_UNSPEC
	}
	return int(binary.NativeEndian.Uint16(s))
}

// addrPort returns the address of an Internet socket. The kernel refuses those
// that are too short (ip(7), ipv6(7)).
func (s sockaddr) addrPort() (netip.AddrPort, bool) {
	switch {
	case s.family() == unix.AF_INET && len(s) >= unix.SizeofSockaddrInet4:
		ip, _ := netip.AddrFromSlice(s[4:8])
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(s[2:])), true
	case s.family() == unix.AF_INET6 && len(s) >= 24: // old programs leave the scope out
		ip, _ := netip.AddrFromSlice(s[8:24])
		return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(s[2:])), true
	}
	return netip.AddrPort{}, false
}

// nameService reports whether a Unix socket is that of a daemon that resolves
// names outside the sandbox: nscd, systemd-resolved, Avahi. C libraries go on
// without it when it refuses.
func (s sockaddr) nameService() bool {
	if s.family() != unix.AF_UNIX {
		return false
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(string(s[2:]), "\x00"), "\x00")
	for _, place := range []string{"/nscd/", "/systemd/resolve/", "/avahi-daemon/"} {
		if strings.Contains(path, place) {
			return true
		}
	}
	return false
}

// target returns an IPv4 address in the form that a socket of a family takes.
func target(family int, a netip.AddrPort) unix.Sockaddr {
	if family == unix.AF_INET6 {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}
