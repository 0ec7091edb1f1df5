package sandbox

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An interfaceRequest is a change to a network interface (netdevice(7)).
type interfaceRequest struct {
	purpose string
	call    uint // ioctl(2)
	content *unix.Ifreq
}

// addressRequests give the loopback interface one more address, under a name of
// its own. Where an address has a wider mask, its whole network is local.
func addressRequests(name string, p netip.Prefix) ([]interfaceRequest, error) {
	mask, err := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(p.Bits())
	if err != nil {
		return nil, err
	}
	var requests []interfaceRequest
	for _, set := range []struct {
		call  uint
		value netip.Addr
	}{{unix.SIOCSIFADDR, p.Addr()}, {unix.SIOCSIFNETMASK, mask.Addr()}} {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = r.SetInet4Addr(set.value.AsSlice())
		}
		if err != nil {
			return nil, err
		}
		requests = append(requests, interfaceRequest{"add the address " + p.String(), set.call, r})
	}
	return requests, nil
}

// metadataRequests give the loopback interface 169.254.169.254.
func metadataRequests() ([]interfaceRequest, error) {
	return addressRequests("lo:2", netip.PrefixFrom(metadataAddress, metadataAddress.BitLen()))
}

// addAddresses puts the addresses of the world on the loopback interface of the
// sandbox.
func (p *plan) addAddresses(metadata bool) error {
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	requests := []interfaceRequest{{"bring up a loopback interface", unix.SIOCSIFFLAGS, up}}
	world, err := addressRequests("lo:1", worldNetwork)
	if err != nil {
		return err
	}
	requests = append(requests, world...)
	if metadata {
		more, err := metadataRequests()
		if err != nil {
			return err
		}
		requests = append(requests, more...)
	}
	s := p.add("make a socket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0).toResult()
	for _, r := range requests {
		p.add(r.purpose, unix.SYS_IOCTL, s, int(r.call), unsafe.Pointer(r.content))
	}
	p.close(s)
	return nil
}

// address6 asks for an address of IPv6 on the loopback interface. Programs that ask
// for no more addresses than their machine has a use for (AI_ADDRCONFIG,
// getaddrinfo(3)) do not count that of loopback.
func address6(address netip.Addr) []byte {
	b := newMessage(unix.RTM_NEWADDR)
	b = append(b, unix.AF_INET6, uint8(address.BitLen()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE) // struct ifaddrmsg
	b = binary.NativeEndian.AppendUint32(b, loopbackInterface)
	b = routeAttribute(b, unix.IFA_LOCAL, address.AsSlice())
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

// awaitAddress6 has the fork wait until an address of IPv6 is settled: the kernel
// grants it at once, and sees to its routes in the background.
func (p *plan) awaitAddress6() {
	pause := &unix.Timespec{Nsec: 100e6}
	p.add("wait for an address of IPv6", unix.SYS_NANOSLEEP, unsafe.Pointer(pause), 0)
}
