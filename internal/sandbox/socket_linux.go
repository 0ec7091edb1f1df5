package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A door is a socket that the parent serves on.
type door struct {
	socketType int
	at         netip.AddrPort
}

// doorsOf are all that a sandbox has, in the order in which [sockets.adopt] takes
// them.
func doorsOf(w World, c Command) []door {
	dns := netip.AddrPortFrom(loopback, portDNS)
	stream := func(address netip.Addr, port int) door {
		return door{unix.SOCK_STREAM, netip.AddrPortFrom(address, uint16(port))}
	}
	all := []door{{unix.SOCK_DGRAM, dns}, {unix.SOCK_STREAM, dns}, stream(worldAddress, portHTTPS), stream(worldAddress, portHTTP)}
	for _, r := range c.relays() {
		all = append(all, door{unix.SOCK_STREAM, r.at})
	}
	if w.Metadata {
		all = append(all, stream(metadataAddress, portHTTP))
	}
	if w.MetadataTLS {
		all = append(all, stream(metadataAddress, portHTTPS))
	}
	if len(w.IPv6) > 0 {
		all = append(all, stream(worldAddress6, portHTTPS), stream(worldAddress6, portHTTP))
	}
	for _, address := range []netip.Addr{loopback, loopback6} { // some clients try one of them alone
		for _, e := range w.Endpoints {
			all = append(all, stream(address, e.Port))
		}
	}
	return all
}

// openDoor has the fork open a door, and give it away. Where there is no IPv6,
// there is no door of IPv6. lasting says that there are several, one after the
// other: the last connections of one may not be forgotten when the next is opened
// (TIME-WAIT, RFC 9293 section 3.3.2).
func (p *plan) openDoor(d door, lasting bool) {
	purpose := "listen on " + d.at.String() + " in the sandbox"
	family, address, size := rawAddress(d.at)
	open := p.add(purpose, unix.SYS_SOCKET, family, d.socketType|unix.SOCK_CLOEXEC, 0)
	optional := d.at.Addr() == loopback6
	if optional {
		open.forgive[0], open.spare = unix.EAFNOSUPPORT, 3
		if lasting {
			open.spare++
		}
	}
	s := open.toResult()
	if lasting {
		on := new(int32)
		*on = 1
		p.add(purpose, unix.SYS_SETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_REUSEADDR, unsafe.Pointer(on), unsafe.Sizeof(*on))
	}
	bind := p.add(purpose, unix.SYS_BIND, s, address, size)
	if optional {
		bind.forgive[0], bind.spare = unix.EADDRNOTAVAIL, 2
	}
	if d.socketType == unix.SOCK_STREAM {
		p.add(purpose, unix.SYS_LISTEN, s, unix.SOMAXCONN)
	}
	p.give(p.add(purpose, unix.SYS_FCNTL, s, unix.F_DUPFD_CLOEXEC, 0))
}

func (d door) open() (int, error) {
	family, address := socketAddress(d.at)
	fd, err := unix.Socket(family, d.socketType|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err = unix.Bind(fd, address); err == nil && d.socketType == unix.SOCK_STREAM {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// rawAddress is [socketAddress] as the kernel has it.
func rawAddress(at netip.AddrPort) (family int, address unsafe.Pointer, size uintptr) {
	port := binary.BigEndian.AppendUint16(nil, at.Port())
	if at.Addr().Is6() {
		a := &unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: binary.NativeEndian.Uint16(port), Addr: at.Addr().As16()}
		return unix.AF_INET6, unsafe.Pointer(a), unsafe.Sizeof(*a)
	}
	a := &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: binary.NativeEndian.Uint16(port), Addr: at.Addr().As4()}
	return unix.AF_INET, unsafe.Pointer(a), unsafe.Sizeof(*a)
}

func socketAddress(at netip.AddrPort) (family int, address unix.Sockaddr) {
	if at.Addr().Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	return unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
}

// adopt makes the sockets of the child usable here. A file is nil if the child
// could do without. The caller closes them.
func (s *sockets) adopt(files []*os.File, w World, c Command) (err error) {
	if s.dns, err = net.FilePacketConn(files[0]); err != nil {
		return err
	}
	var listeners []net.Listener // or nil
	for _, f := range files[1:] {
		var l net.Listener
		if f != nil {
			if l, err = net.FileListener(f); err != nil {
				return err
			}
		}
		listeners = append(listeners, l)
	}
	take := func(n int) (taken []net.Listener) {
		taken, listeners = listeners[:n], listeners[n:]
		return taken
	}
	first := take(3)
	s.dnsTCP, s.https, s.http = first[0], first[1], first[2]
	s.relayed = take(len(c.relays()))
	if w.Metadata {
		s.http = join(s.http, take(1)[0])
	}
	if w.MetadataTLS {
		s.https = join(s.https, take(1)[0])
	}
	if len(w.IPv6) > 0 {
		pair := take(2)
		s.https, s.http = join(s.https, pair[0]), join(s.http, pair[1])
	}
	s.endpoints = take(len(w.Endpoints))
	for i, l := range take(len(w.Endpoints)) {
		if l != nil {
			s.endpoints[i] = join(s.endpoints[i], l)
		}
	}
	return nil
}

// maxFiles is how many files the kernel takes in one message (SCM_MAX_FD,
// unix(7)).
const maxFiles = 253

// receiveFiles reads one message with open files. The text is empty at the end
// of the socket.
func receiveFiles(socket int) ([]byte, []*os.File, error) {
	text := make([]byte, sizeofReport+4*maxFiles)
	ancillary := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, length, _, _, err := unix.Recvmsg(socket, text, ancillary, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(ancillary[:length])
	if err != nil {
		return nil, nil, err
	}
	var files []*os.File
	for _, m := range messages {
		rights, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, nil, err
		}
		for _, fd := range rights {
			files = append(files, os.NewFile(uintptr(fd), "of the sandbox"))
		}
	}
	return text[:n], files, nil
}

// gifts are the files that a fork gives to its parent, in one message.
type gifts struct {
	control []byte // struct cmsghdr, and the numbers of the files
	count   int
}

// give makes the result of a move, which is a file, a gift. It stands for
// nothing if it is the fork's own socket in the end.
func (p *plan) give(m *move) (fd *int32) {
	g := &p.gifts
	if g.control == nil {
		g.control = make([]byte, unix.CmsgSpace(4*maxFiles))
	}
	fd = (*int32)(unsafe.Pointer(&g.control[unix.CmsgLen(4*g.count)]))
	*fd = int32(p.socket)
	g.count++
	m.result = fd
	return fd
}

// handOver sends the report and the gifts: behind the report, their numbers.
func (p *plan) handOver() {
	numbers := p.gifts.control[unix.CmsgLen(0):]
	parts := []unix.Iovec{{Base: (*byte)(unsafe.Pointer(&p.report))}, {Base: &numbers[0]}}
	parts[0].SetLen(sizeofReport)
	parts[1].SetLen(4 * p.gifts.count)
	header := (*unix.Cmsghdr)(unsafe.Pointer(&p.gifts.control[0]))
	header.Level, header.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	header.SetLen(unix.CmsgLen(4 * p.gifts.count))
	message := &unix.Msghdr{Iov: &parts[0], Control: &p.gifts.control[0]}
	message.SetIovlen(len(parts))
	message.SetControllen(unix.CmsgLen(4 * p.gifts.count))
	p.add("hand over the sockets of the sandbox", unix.SYS_SENDMSG, p.socket, unsafe.Pointer(message), 0)
}

// received takes a message of the fork apart. Gifts that it did without are nil.
func (p *plan) received(text []byte, files []*os.File) (report, []*os.File) {
	r := report{errno: int32(unix.EBADMSG)}
	if len(text) < sizeofReport {
		return r, nil
	}
	r = *(*report)(unsafe.Pointer(&text[0]))
	numbers := text[sizeofReport:]
	if r.move < 0 && (len(files) != p.gifts.count || len(numbers) != 4*len(files)) {
		r.move, r.errno = int32(len(p.moves)-1), int32(unix.EBADMSG)
	}
	for i, f := range files {
		if r.move >= 0 || binary.NativeEndian.Uint32(numbers[4*i:]) == uint32(p.socket) {
			_ = f.Close()
			files[i] = nil
		}
	}
	return r, files
}

// A socketMaker is a process that stays in the network of a sandbox, because a
// socket belongs to the network that it was made in. It makes one whenever the
// parent asks, and ends with its end of the connection.
type socketMaker struct {
	mu      sync.Mutex
	socket  int
	process *child // nil if it was not started
}

// startMaker starts the process. It becomes a sibling of the fork, so that the
// command has no child that it does not know of (clone(2), CLONE_PARENT).
func (p *plan) startMaker() (*socketMaker, error) {
	const purpose = "start the process that makes sockets"
	ours, theirs, err := p.connect()
	if err != nil {
		return nil, err
	}
	clone := len(p.moves)
	p.add(purpose, unix.SYS_CLONE, unix.CLONE_PARENT|int(unix.SIGCHLD), 0, 0, 0, 0).result = &p.report.maker
	null := p.open(purpose, os.DevNull, unix.O_RDWR)
	for fd := range parentSocket {
		p.add(purpose, unix.SYS_DUP3, null, fd, 0)
	}
	p.add(purpose, unix.SYS_SETSID)
	p.add(purpose, unix.SYS_DUP3, p.aside(purpose, theirs), parentSocket, 0)
	err = p.execute(purpose, "/proc/self/exe", []string{"fakeentra", childWord, "maker"}, nil)
	p.moves[clone].skip = len(p.moves) - clone - 1
	return &socketMaker{socket: ours}, err
}

// makeSockets is what the process does.
func makeSockets() {
	for {
		var request [1]byte
		if n, err := unix.Read(parentSocket, request[:]); err != nil || n == 0 {
			os.Exit(0)
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return
		}
		if err := unix.Sendmsg(parentSocket, request[:], unix.UnixRights(fd), nil, 0); err != nil {
			return
		}
		_ = unix.Close(fd)
	}
}

// to returns a function that connects to the port of an address, at the loopback
// of the sandbox.
func (m *socketMaker) to(address net.Addr) func(context.Context) (net.Conn, error) {
	port := address.(*net.TCPAddr).Port
	return func(context.Context) (net.Conn, error) {
		f, err := m.make()
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		if err := unix.Connect(int(f.Fd()), &unix.SockaddrInet4{Port: port, Addr: loopback.As4()}); err != nil {
			return nil, err
		}
		return net.FileConn(f)
	}
}

func (m *socketMaker) make() (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := unix.Write(m.socket, []byte{0}); err != nil {
		return nil, err
	}
	_, files, err := receiveFiles(m.socket)
	if err == nil && len(files) != 1 {
		err = errors.New("the sandbox makes no more sockets")
	}
	if err != nil {
		return nil, err
	}
	return files[0], nil
}

// close ends the process.
func (m *socketMaker) close() {
	if m == nil {
		return
	}
	_ = unix.Close(m.socket)
	if m.process != nil {
		m.process.wait()
	}
}
