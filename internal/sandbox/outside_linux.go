package sandbox

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The number of every loopback interface (LOOPBACK_IFINDEX, net/flow.h).
const loopbackInterface = 1

// claimOutside makes this network, which must not be that of the machine, own
// every address that is not its own: the kernel refuses connections to them at
// once, because nobody listens, and the packets can be seen on the loopback
// interface. Without these routes there would be no packets.
//
// A server of the program on all addresses answers at these, too.
func claimOutside(metadata bool) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return &setupError{"make a socket", err}
	}
	defer func() { _ = unix.Close(s) }()
	if !metadata { // as on a laptop, where it is unreachable
		except := route{family: unix.AF_INET, kind: unix.RTN_THROW, to: netip.PrefixFrom(metadataAddress, 32)}
		if err := except.add(s); err != nil {
			return &setupError{"add a route", err}
		}
	}
	if err := (route{family: unix.AF_INET, kind: unix.RTN_LOCAL, from: worldAddress}).add(s); err != nil {
		return &setupError{"add a route", err}
	}
	err = route{family: unix.AF_INET6, kind: unix.RTN_LOCAL}.add(s)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EACCES) { // there is no IPv6 here, or it is switched off
		return nil
	}
	if err != nil {
		return &setupError{"add a route for IPv6", err}
	}
	return nil
}

// A route is one of the main table, by the loopback interface.
type route struct {
	family int
	kind   uint8        // RTN_LOCAL and so on
	to     netip.Prefix // every address if it is invalid
	from   netip.Addr   // source of what takes it; the kernel's choice if it is invalid
}

// add asks the kernel for the route.
func (r route) add(socket int) error { return tellKernel(socket, r.message()) }

// tellKernel sends a message of rtnetlink(7) and waits for the kernel's word.
func tellKernel(socket int, message []byte) error {
	if err := unix.Sendto(socket, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var answer [4096]byte
	n, _, err := unix.Recvfrom(socket, answer[:], 0)
	if err != nil {
		return err
	}
	// The answer is struct nlmsgerr behind its header (netlink(7)).
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return unix.EBADMSG
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// message is struct nlmsghdr, struct rtmsg and attributes.
func (r route) message() []byte {
	bits, scope := uint8(0), uint8(unix.RT_SCOPE_UNIVERSE)
	if r.to.IsValid() {
		bits = uint8(r.to.Bits())
	}
	if r.kind == unix.RTN_LOCAL {
		scope = unix.RT_SCOPE_HOST
	}
	host := binary.NativeEndian
	b := newMessage(unix.RTM_NEWROUTE)
	b = append(b, uint8(r.family), bits, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, scope, r.kind, 0, 0, 0, 0)
	if r.kind == unix.RTN_LOCAL {
		b = routeAttribute(b, unix.RTA_OIF, host.AppendUint32(nil, loopbackInterface))
	}
	if r.to.IsValid() {
		b = routeAttribute(b, unix.RTA_DST, r.to.Addr().AsSlice())
	}
	if r.from.IsValid() {
		b = routeAttribute(b, unix.RTA_PREFSRC, r.from.AsSlice())
	}
	host.PutUint32(b, uint32(len(b)))
	return b
}

// newMessage is struct nlmsghdr of a message that adds something. The length comes
// last.
func newMessage(kind uint16) []byte {
	host := binary.NativeEndian
	b := make([]byte, 4) // for the length
	b = host.AppendUint16(b, kind)
	b = host.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	return append(b, make([]byte, 8)...) // number, and sender
}

// routeAttribute appends struct rtattr. All values have whole words.
func routeAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	return append(binary.NativeEndian.AppendUint16(b, kind), value...)
}

// openWatches makes the sockets of a watch, which get a copy of what arrives for
// TCP and UDP (raw(7)), of IPv6 only if the kernel has it. Those of packet(7)
// would see the same, but to close one takes the kernel ten milliseconds.
func openWatches() ([]int, error) {
	var files []int
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			fd, err := openWatch(family, protocol)
			if family == unix.AF_INET6 && errors.Is(err, unix.EAFNOSUPPORT) {
				continue
			}
			if err != nil {
				return nil, &setupError{"watch the packets of the sandbox", err}
			}
			files = append(files, fd)
		}
	}
	return files, nil
}

func openWatch(family, protocol int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return 0, err
	}
	filter := beginnings(family, protocol)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil || family == unix.AF_INET {
		return fd, err
	}
	return fd, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) // what it gets has no IPv6 header
}
