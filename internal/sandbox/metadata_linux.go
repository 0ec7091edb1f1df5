package sandbox

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// TakeMetadataAddress puts 169.254.169.254 on the loopback interface of this
// process's network, which takes CAP_NET_ADMIN. It refuses in a network that may
// be that of a machine, whose real Instance Metadata Service would be out of
// reach: one with an interface that does not lead to another network.
func TakeMetadataAddress() error {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("cannot list the interfaces: %w", err)
	}
	interfaces, err := links(rib)
	if err != nil {
		return fmt.Errorf("cannot list the interfaces: %w", err)
	}
	for _, i := range interfaces {
		if i.ownsNetwork() {
			return fmt.Errorf("this network has the interface %s, so it may be that of a machine", i.name)
		}
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	requests, err := metadataRequests()
	if err != nil {
		return err
	}
	for _, r := range requests {
		if err := unix.IoctlIfreq(s, r.call, r.content); err != nil {
			return fmt.Errorf("cannot %s: %w", r.purpose, err)
		}
	}
	return nil
}

// A link is a network interface.
type link struct {
	name  string
	flags uint32 // IFF_UP and so on
	// outward says that its other end is in another network namespace, as that of
	// a container's or a pod's interface is (IFLA_LINK_NETNSID, rtnetlink(7)).
	outward bool
}

// ownsNetwork tells a link that a container would not have: the card of a
// machine, a bridge, a tunnel.
func (l link) ownsNetwork() bool {
	return l.flags&unix.IFF_UP != 0 && l.flags&unix.IFF_LOOPBACK == 0 && !l.outward
}

// links reads the kernel's answer to RTM_GETLINK.
func links(rib []byte) ([]link, error) {
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, err
	}
	var found []link
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		const flags = 8 // offset in struct ifinfomsg
		l := link{flags: binary.NativeEndian.Uint32(m.Data[flags:])}
		for _, a := range attributes {
			switch a.Attr.Type {
			case unix.IFLA_IFNAME:
				l.name = unix.ByteSliceToString(a.Value)
			case unix.IFLA_LINK_NETNSID:
				l.outward = true
			}
		}
		found = append(found, l)
	}
	return found, nil
}
