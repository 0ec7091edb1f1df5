package sandbox

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A door is a socket that the parent serves on.
type door struct {
	socketType int
	at         netip.AddrPort
}

// doors are all that a sandbox has, in the order of [sockets].
func (s settings) doors() []door {
	dns := netip.AddrPortFrom(loopback, portDNS)
	stream := func(address netip.Addr, port int) door {
		return door{unix.SOCK_STREAM, netip.AddrPortFrom(address, uint16(port))}
	}
	all := []door{{unix.SOCK_DGRAM, dns}, {unix.SOCK_STREAM, dns}, stream(worldAddress, portHTTPS), stream(worldAddress, portHTTP)}
	for _, at := range s.Relays {
		all = append(all, door{unix.SOCK_STREAM, at})
	}
	if s.Metadata {
		all = append(all, stream(metadataAddress, portHTTP))
	}
	if s.IPv6 {
		all = append(all, stream(worldAddress6, portHTTPS), stream(worldAddress6, portHTTP))
	}
	for _, address := range []netip.Addr{loopback, loopback6} { // some clients try one of them alone
		for _, port := range s.Endpoints {
			all = append(all, stream(address, port))
		}
	}
	return all
}

// openSockets makes the sockets of doors, behind the watches, and says how many
// of them are watches. Without IPv6 there are none of IPv6.
func openSockets(s settings) (files []int, watches int, err error) {
	if files, err = openWatches(); err != nil {
		return nil, 0, err
	}
	watches = len(files)
	for _, d := range s.doors() {
		fd, err := d.open()
		if d.at.Addr() == loopback6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
			continue
		}
		if err != nil {
			return nil, 0, &setupError{"listen on " + d.at.String() + " in the sandbox", err}
		}
		files = append(files, fd)
	}
	return files, watches, nil
}

func (d door) open() (int, error) {
	family, address := socketAddress(d.at)
	fd, err := unix.Socket(family, d.socketType|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, address); err != nil {
		return 0, err
	}
	if d.socketType == unix.SOCK_STREAM {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	return fd, err
}

func socketAddress(at netip.AddrPort) (family int, address unix.Sockaddr) {
	if at.Addr().Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	return unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
}

// adopt makes the sockets of the child usable here.
func (s *sockets) adopt(given []*os.File, report setupReport, order settings) (err error) {
	files := given
	metadata, six := 0, 0
	if order.Metadata {
		metadata = 1
	}
	if order.IPv6 {
		six = 1
	}
	if len(files) < report.Watches+4+len(order.Relays)+metadata+2*six+len(order.Endpoints) {
		return errors.New("the sandbox made too few sockets")
	}
	s.watched, files = slices.Clone(files[:report.Watches]), files[report.Watches:]
	clear(given[:report.Watches]) // the caller closes the others
	if s.dns, err = net.FilePacketConn(files[0]); err != nil {
		return err
	}
	if report.Maker != 0 {
		end, err := unix.FcntlInt(files[len(files)-1].Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.maker = &socketMaker{socket: end, pid: report.Maker}
		files = files[:len(files)-1]
	}
	var listeners []net.Listener
	for _, f := range files[1:] {
		l, err := net.FileListener(f)
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	take := func(n int) (taken []net.Listener) {
		taken, listeners = listeners[:n], listeners[n:]
		return taken
	}
	first := take(3)
	s.dnsTCP, s.https, s.http = first[0], first[1], first[2]
	s.relayed = take(len(order.Relays))
	for _, l := range take(metadata) {
		s.http = join(s.http, l)
	}
	for range six {
		pair := take(2)
		s.https, s.http = join(s.https, pair[0]), join(s.http, pair[1])
	}
	s.endpoints = take(len(order.Endpoints))
	for i, l := range listeners { // those of IPv6, if there is any
		s.endpoints[i] = join(s.endpoints[i], l)
	}
	return nil
}

// maxFiles is how many files the kernel takes in one message (SCM_MAX_FD,
// unix(7)).
const maxFiles = 253

// receiveFiles reads one message with open files. The text is empty at the end
// of the socket.
func receiveFiles(socket int) ([]byte, []*os.File, error) {
	var text [1 << 16]byte
	ancillary := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, length, _, _, err := unix.Recvmsg(socket, text[:], ancillary, unix.MSG_CMSG_CLOEXEC)
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
	return slices.Clone(text[:n]), files, nil
}

// A socketMaker is a process that stays in the network of a sandbox, because a
// socket belongs to the network that it was made in. It makes one whenever the
// parent asks, and ends with its end of the connection.
type socketMaker struct {
	mu     sync.Mutex
	socket int
	pid    int
}

// startMaker starts the process. It becomes a sibling of this one, so that the
// command has no child that it does not know of (clone(2), CLONE_PARENT).
func startMaker() (end, pid int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = unix.Close(pair[1]) }()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = null.Close() }()
	pid, err = syscall.ForkExec("/proc/self/exe", []string{"fakeentra", childWord, "maker"}, &syscall.ProcAttr{
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), uintptr(pair[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_PARENT},
	})
	return pair[0], pid, err
}

// makeSockets is what the process does.
func makeSockets() {
	if dropCapabilities() != nil {
		return
	}
	for {
		var request [1]byte
		if n, err := unix.Read(parentSocket, request[:]); err != nil || n == 0 {
			os.Exit(0)
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return
		}
		if err := sendReport(setupReport{}, fd); err != nil {
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
	_, _ = syscall.Wait4(m.pid, nil, 0, nil)
}
