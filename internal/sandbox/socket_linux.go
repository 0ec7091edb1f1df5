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

// openSockets makes the sockets that the parent serves on, in the order of
// [sockets], and says how many of them are watches.
func openSockets(s settings) (files []int, watches int, err error) {
	type door struct {
		socketType int
		address    netip.Addr
		port       int
	}
	doors := []door{
		{unix.SOCK_DGRAM, loopback, 53}, {unix.SOCK_STREAM, loopback, 53},
		{unix.SOCK_STREAM, worldAddress, 443}, {unix.SOCK_STREAM, worldAddress, 80},
	}
	for _, at := range s.Relays {
		doors = append(doors, door{unix.SOCK_STREAM, at.Addr(), int(at.Port())})
	}
	if s.Metadata {
		doors = append(doors, door{unix.SOCK_STREAM, metadataAddress, 80})
	}
	if files, err = openWatches(); err != nil {
		return nil, 0, err
	}
	watches = len(files)
	for _, d := range doors {
		fd, err := openSocket(d.socketType, &unix.SockaddrInet4{Port: d.port, Addr: d.address.As4()})
		if err != nil {
			return nil, 0, &setupError{"listen on " + netip.AddrPortFrom(d.address, uint16(d.port)).String() + " in the sandbox", err}
		}
		files = append(files, fd)
	}
	return files, watches, nil
}

func openSocket(socketType int, address unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, socketType|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, address); err != nil {
		return 0, err
	}
	if socketType == unix.SOCK_STREAM {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	return fd, err
}

// adopt makes the sockets of the child usable here.
func (s *sockets) adopt(given []*os.File, report setupReport, relays int) (err error) {
	files := given
	if len(files) < report.Watches+4+relays {
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
	s.dnsTCP, s.https, s.http, s.relayed = listeners[0], listeners[1], listeners[2], listeners[3:3+relays]
	if more := listeners[3+relays:]; len(more) > 0 {
		s.http = join(s.http, more[0])
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
