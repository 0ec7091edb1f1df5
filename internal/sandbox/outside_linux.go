package sandbox

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The number of every loopback interface (LOOPBACK_IFINDEX, net/flow.h).
const loopbackInterface = 1

// A request is a message of rtnetlink(7), which the kernel answers.
type request struct {
	purpose string // reads on from "cannot"
	message []byte
	family  int
}

// askKernel has the fork ask for what ioctl(2) cannot do. The kernel's answers wait
// for the parent, which can read them.
func (p *plan) askKernel(w World) (asked []request) {
	if len(w.IPv6) > 0 {
		asked = append(asked, request{"add an address of IPv6", address6(worldAddress6), unix.AF_INET6})
	}
	for _, r := range outsideRoutes(w.Metadata) {
		asked = append(asked, request{"add a route", r.message(), r.family})
	}
	s := p.give(p.add("make a socket", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE))
	to := &unix.RawSockaddrNetlink{Family: unix.AF_NETLINK}
	for _, r := range asked {
		p.add(r.purpose, unix.SYS_SENDTO, s, unsafe.Pointer(&r.message[0]), len(r.message), 0, unsafe.Pointer(to), unix.SizeofSockaddrNetlink)
	}
	return asked
}

// granted reads the kernel's word about a request, which is there as soon as it was
// asked for.
func (r request) granted(socket int) error {
	var answer [4096]byte
	n, _, err := unix.Recvfrom(socket, answer[:], unix.MSG_DONTWAIT)
	if err != nil {
		return &setupError{"hear whether it can " + r.purpose, err}
	}
	// The answer is struct nlmsgerr behind its header (netlink(7)).
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return &setupError{"hear whether it can " + r.purpose, unix.EBADMSG}
	}
	errno := unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])))
	switch {
	case errno == 0:
		return nil
	case r.family == unix.AF_INET6 && (errno == unix.EOPNOTSUPP || errno == unix.EACCES): // there is no IPv6 here, or it is switched off
		return nil
	}
	return &setupError{r.purpose, errno}
}

// outsideRoutes are those by which the network of the sandbox owns every address
// that is not its own: the kernel refuses connections to them at once, because
// nobody listens, and the packets can be seen on the loopback interface. Without
// these routes there would be no packets.
//
// A server of the program on all addresses answers at these, too.
func outsideRoutes(metadata bool) (routes []route) {
	if !metadata { // as on a laptop, where it is unreachable
		routes = append(routes, route{family: unix.AF_INET, kind: unix.RTN_THROW, to: netip.PrefixFrom(metadataAddress, 32)})
	}
	return append(routes, route{family: unix.AF_INET, kind: unix.RTN_LOCAL, from: worldAddress}, route{family: unix.AF_INET6, kind: unix.RTN_LOCAL})
}

// A route is one of the main table, by the loopback interface.
type route struct {
	family int
	kind   uint8        // RTN_LOCAL and so on
	to     netip.Prefix // every address if it is invalid
	from   netip.Addr   // source of what takes it; the kernel's choice if it is invalid
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

// watches is how many sockets a watch has.
const watches = 4

// openWatches makes the sockets of a watch, which get a copy of what arrives for
// TCP and UDP (raw(7)), of IPv6 only if the kernel has it. Those of packet(7)
// would see the same, but to close one takes the kernel ten milliseconds.
func (p *plan) openWatches() {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			p.openWatch(family, protocol)
		}
	}
}

func (p *plan) openWatch(family, protocol int) {
	const purpose = "watch the packets of the sandbox"
	open := p.add(purpose, unix.SYS_SOCKET, family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if family == unix.AF_INET6 {
		open.forgive[0], open.spare = unix.EAFNOSUPPORT, 2
	}
	s := p.give(open)
	set := func(level, option int, value unsafe.Pointer, size uintptr) {
		p.add(purpose, unix.SYS_SETSOCKOPT, s, level, option, value, size)
	}
	filter := beginnings(family, protocol)
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	set(unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, unsafe.Pointer(program), unsafe.Sizeof(*program))
	if family == unix.AF_INET6 { // what it gets has no IPv6 header
		on := new(int32)
		*on = 1
		set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, unsafe.Pointer(on), unsafe.Sizeof(*on))
	}
}
