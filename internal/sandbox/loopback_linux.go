package sandbox

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// addAddresses puts the addresses of the world on the loopback interface of this
// process's network, which must not be that of the machine. Where an address has
// a wider mask, its whole network is local.
func addAddresses(metadata bool) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return &setupError{"make a socket", err}
	}
	defer func() { _ = unix.Close(s) }()
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return &setupError{"name the loopback interface", err}
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, up); err != nil {
		return &setupError{"bring up a loopback interface", err}
	}
	if err := addAddress(s, "lo:1", worldNetwork); err != nil {
		return err
	}
	if !metadata {
		return nil
	}
	return addAddress(s, "lo:2", netip.PrefixFrom(metadataAddress, metadataAddress.BitLen()))
}

func addAddress(s int, name string, p netip.Prefix) error {
	mask, err := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(p.Bits())
	if err != nil {
		return &setupError{"add " + p.String(), err}
	}
	for _, set := range []struct {
		request uint
		value   netip.Addr
	}{{unix.SIOCSIFADDR, p.Addr()}, {unix.SIOCSIFNETMASK, mask.Addr()}} {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = r.SetInet4Addr(set.value.AsSlice())
		}
		if err == nil {
			err = unix.IoctlIfreq(s, set.request, r)
		}
		if err != nil {
			return &setupError{"add the address " + p.String(), err}
		}
	}
	return nil
}

// addAddress6 adds an address of IPv6 to the loopback interface. Programs that ask
// for no more addresses than their machine has a use for (AI_ADDRCONFIG,
// getaddrinfo(3)) do not count that of loopback.
func addAddress6(address netip.Addr) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	b := newMessage(unix.RTM_NEWADDR)
	b = append(b, unix.AF_INET6, uint8(address.BitLen()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE) // struct ifaddrmsg
	b = binary.NativeEndian.AppendUint32(b, loopbackInterface)
	b = routeAttribute(b, unix.IFA_LOCAL, address.AsSlice())
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return tellKernel(s, b)
}
