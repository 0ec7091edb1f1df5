//go:build amd64 || arm64

package sandbox

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// socket is socket(2): family, type, protocol. It is asked for in the variant
// install only.
func (s *switchboard) socket(c *call) answer {
	kind := int(int32(c.args[1]))
	sock := &socket{family: int(int32(c.args[0])), kind: kind &^ (unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK), protocol: int(int32(c.args[2]))}
	fd, err := sock.open(kind&unix.SOCK_NONBLOCK != 0)
	if err != nil {
		return failed(err)
	}
	n, err := inodeOf(fd)
	if err != nil {
		_ = unix.Close(fd)
		return failed(err)
	}
	// It is known before the program can connect it, and there is no other copy,
	// which would be closed too late: the program may close its own at once.
	sock.fd, sock.giving, sock.given = fd, true, make(chan struct{})
	s.sockets.add(n, sock)
	err = s.listener.give(c.id, fd, kind&unix.SOCK_CLOEXEC != 0)
	s.sockets.given(sock, err == nil)
	if err != nil {
		return failed(err)
	}
	return answer{given: true}
}

// bind is bind(2). From here on the program decides when the port is free
// again: programs look for a free port by taking and closing one.
func (s *switchboard) bind(c *call) answer {
	if inode, ok := inode(c.tid, int(int32(c.args[0]))); ok {
		s.sockets.await(inode)
		s.sockets.with(inode, func(sock *socket) { sock.release() })
	}
	return proceed
}

// disconnect is connect(2) with AF_UNSPEC, which makes datagram sockets forget
// their peer.
func (s *switchboard) disconnect(c *call) answer {
	if inode, ok := inode(c.tid, int(int32(c.args[0]))); ok {
		s.sockets.with(inode, func(sock *socket) { sock.connected = false })
	}
	return proceed
}

// connectInstalled connects our copy of a socket that was put into the program.
// A socket without a record came from outside the sandbox.
func (s *switchboard) connectInstalled(c *call, family int, to netip.AddrPort) answer {
	inode, ok := inode(c.tid, int(int32(c.args[0])))
	if !ok || !s.listener.waits(c.id) {
		return answer{errno: unix.EBADF}
	}
	var a answer
	known := s.sockets.with(inode, func(sock *socket) { a = s.connectSocket(c, sock, family, to) })
	if !known {
		return s.refuse(verdict{errno: unix.ENETUNREACH, leak: true}, to)
	}
	return a
}

// connectSocket connects a stream once, and gives the copy up, so that the peer
// learns when the program closes it. When the program asks again, it asks
// whether the connection stands, which the kernel answers without regard to
// the address. Datagram sockets are connected as often as they ask for.
func (s *switchboard) connectSocket(c *call, sock *socket, family int, to netip.AddrPort) answer {
	if sock.connected {
		return proceed
	}
	if sock.fd < 0 {
		return s.connectReplaced(c, sock, family, to)
	}
	a := s.dial(sock.fd, family, to)
	if sock.kind == unix.SOCK_STREAM && (a.errno == 0 || a.errno == unix.EINPROGRESS) {
		sock.connected = true
		sock.release()
	}
	return a
}

// connectReplaced puts a new, connected socket in the place of one whose copy
// was given up. Its options and its own address are lost.
func (s *switchboard) connectReplaced(c *call, sock *socket, family int, to netip.AddrPort) answer {
	place := int(int32(c.args[0]))
	flags := fileFlags(c.tid, place)
	fd, err := sock.open(flags&unix.O_NONBLOCK != 0)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = unix.Close(fd) }()
	a := s.dial(fd, family, to)
	if a.errno != 0 && a.errno != unix.EINPROGRESS {
		return a
	}
	if err := s.listener.replace(c.id, fd, place, flags&unix.O_CLOEXEC != 0); err != nil {
		return failed(err)
	}
	if n, err := inodeOf(fd); err == nil {
		s.sockets.put(n, &socket{family: sock.family, kind: sock.kind, protocol: sock.protocol, fd: -1, connected: sock.kind == unix.SOCK_STREAM})
	}
	return a
}
