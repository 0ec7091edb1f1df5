//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// doors are the loopback listeners that connections are led to.
type doors struct {
	https, http, dnsTCP net.Listener
	dns                 net.PacketConn
	outlets             []net.Listener // one for each of the command's
	endpoints           []net.Listener // one for each of the world's
	void                int
	nowhere             netip.AddrPort // of void
}

func (d *doors) open(outlets, endpoints int) error {
	d.outlets, d.endpoints = make([]net.Listener, outlets), make([]net.Listener, endpoints)
	all := []*net.Listener{&d.https, &d.http, &d.dnsTCP}
	for _, list := range [][]net.Listener{d.outlets, d.endpoints} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	for _, l := range all {
		var err error
		if *l, err = listen(netip.AddrPortFrom(loopback, 0)); err != nil {
			return fmt.Errorf("cannot listen on a loopback address: %w", err)
		}
	}
	var err error
	if d.dns, err = openDNS(); err != nil {
		return fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	if d.void, d.nowhere, err = openVoid(); err != nil {
		return fmt.Errorf("cannot make a socket: %w", err)
	}
	return nil
}

// openDNS listens on the port of DNS servers where everybody may, as in Docker
// (net.ipv4.ip_unprivileged_port_start), and on any other where not. Only the
// former answers programs that see from which port an answer comes. The address
// is one of this process, so that several do not meet.
func openDNS() (net.PacketConn, error) {
	pid := os.Getpid()
	own := netip.AddrFrom4([4]byte{127, portDNS, byte(pid >> 8), byte(pid)})
	fd, err := door{unix.SOCK_DGRAM, netip.AddrPortFrom(own, portDNS)}.open()
	if err != nil {
		fd, err = door{unix.SOCK_DGRAM, netip.AddrPortFrom(loopback, 0)}.open()
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "dns")
	defer func() { _ = f.Close() }()
	return net.FilePacketConn(f)
}

// listen is [net.Listen] without a look at what else this machine can do, such as
// IPv6 and MPTCP, which takes as long as to start a process.
func listen(at netip.AddrPort) (net.Listener, error) {
	fd, err := door{unix.SOCK_STREAM, at}.open()
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), at.String())
	defer func() { _ = f.Close() }()
	return net.FileListener(f)
}

// openVoid returns a socket whose peer is itself, so that the kernel refuses the
// datagrams of everybody else.
func openVoid() (int, netip.AddrPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.As4()}); err == nil {
		var own unix.Sockaddr
		if own, err = unix.Getsockname(fd); err == nil {
			err = unix.Connect(fd, own)
			if inet, ok := own.(*unix.SockaddrInet4); ok && err == nil {
				return fd, netip.AddrPortFrom(loopback, uint16(inet.Port)), nil
			}
		}
	}
	_ = unix.Close(fd)
	return 0, netip.AddrPort{}, err
}

func (d *doors) routes(w World, to []outlet) routes {
	r := routes{
		https: addrPort(d.https.Addr()), http: addrPort(d.http.Addr()),
		dnsTCP: addrPort(d.dnsTCP.Addr()), dnsUDP: addrPort(d.dns.LocalAddr()),
		void: d.nowhere, metadata: w.Metadata, endpoints: map[uint16]netip.AddrPort{},
		outlets: map[netip.AddrPort]netip.AddrPort{}, real: map[netip.Addr]bool{},
	}
	for i, e := range w.Endpoints {
		r.endpoints[uint16(e.Port)] = addrPort(d.endpoints[i].Addr())
	}
	for i, o := range to {
		r.outlets[o.at], r.real[o.at.Addr()] = addrPort(d.outlets[i].Addr()), true
	}
	return r
}

func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

func (d *doors) close() {
	for _, l := range slices.Concat(d.outlets, d.endpoints, []net.Listener{d.https, d.http, d.dnsTCP}) {
		if l != nil {
			_ = l.Close() // closing twice is harmless
		}
	}
	if d.dns != nil {
		_ = d.dns.Close()
	}
	if d.void > 0 {
		_ = unix.Close(d.void)
	}
}
