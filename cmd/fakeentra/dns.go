package main

import (
	"context"
	"net"
	"net/netip"

	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// A nameserver is what serve is told about DNS.
type nameserver struct {
	listen string // empty if there is none
	answer string // address of emulated names; that of https if empty
}

// address is what emulated names resolve to.
func (n *nameserver) address(https string) (netip.Addr, error) {
	const hint = "for instance --dns-answer 169.254.169.254"
	if n.listen == "" {
		if n.answer != "" {
			return netip.Addr{}, usage("add --dns, as in --dns 127.0.0.1:53", "--dns-answer is given, but no --dns that would give it")
		}
		return netip.Addr{}, nil
	}
	if n.answer != "" {
		address, err := netip.ParseAddr(n.answer)
		if err != nil || !address.Is4() || address.IsUnspecified() {
			return netip.Addr{}, usage(hint, "--dns-answer is %q; expected the IPv4 address that clients find --https at", n.answer)
		}
		return address, nil
	}
	listener, err := netip.ParseAddrPort(https)
	if err != nil || !listener.Addr().Is4() || listener.Addr().IsUnspecified() {
		return netip.Addr{}, usage(hint, "--dns needs --dns-answer, because --https %q is not an IPv4 address that clients could be sent to", https)
	}
	return listener.Addr(), nil
}

// open listens on both transports, under the same port.
func (n *nameserver) open() (net.PacketConn, net.Listener, error) {
	const hint = "stop what listens there, or take another address or port"
	tcp, err := net.Listen("tcp", n.listen)
	if err != nil {
		return nil, nil, failed(hint, "cannot listen for DNS on %s: %v", n.listen, cause(err))
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		_ = tcp.Close()
		return nil, nil, failed(hint, "cannot listen for DNS on %s: %v", tcp.Addr(), cause(err))
	}
	return udp, tcp, nil
}

// start answers until the function that it returns is called. It also returns
// the address that it listens on.
func (n *nameserver) start(ctx context.Context, knows func(string) bool, address netip.Addr) (string, func(), error) {
	if n.listen == "" {
		return "", func() {}, nil
	}
	udp, tcp, err := n.open()
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sandbox.ServeDNS(ctx, udp, tcp, knows, address)
	}()
	return tcp.Addr().String(), func() { cancel(); <-ended }, nil
}
