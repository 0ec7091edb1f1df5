//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// A switchboard answers the calls of a program instead of the kernel.
//
// What is read from the memory of a program may be changed by another of its
// threads before the kernel reads it again, so a call that proceeds may lead
// elsewhere than it was let to (seccomp_unotify(2)). That takes intent, and is
// no concern here. Whatever cannot be read is refused, never let through.
type switchboard struct {
	listener listener
	variant  variant
	killable bool // signals do not restart calls that were received
	routes   routes
	resolver *resolver
	leaks    *leaks
	sockets  socketTable
	hosts    hosts
}

// run answers until stop becomes readable, or nobody is left who could call.
// Each call has a goroutine of its own: the first connections of a program
// often come together.
func (s *switchboard) run(stop int) {
	var calls sync.WaitGroup
	defer s.sockets.close()
	defer calls.Wait()
	s.listener.hurry()
	for {
		ready := []unix.PollFd{{Fd: int32(stop), Events: unix.POLLIN}, {Fd: int32(s.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		// POLLERR says that a signal came while the kernel looked (seccomp_notify_poll,
		// kernel/seccomp.c), and not that anything is wrong.
		if ready[0].Revents != 0 || ready[1].Revents&(unix.POLLHUP|unix.POLLNVAL) != 0 {
			return
		}
		if ready[1].Revents&unix.POLLIN == 0 {
			continue
		}
		if c, err := s.listener.receive(); err == nil {
			calls.Go(func() { s.handle(c) })
		}
	}
}

// An answer is what a call returns.
type answer struct {
	errno   unix.Errno
	proceed bool // the kernel carries the call out
	given   bool // the call has returned already
}

var proceed = answer{proceed: true}

// failed is the answer of a system call that was made for the program.
func failed(err error) answer {
	var errno unix.Errno
	switch {
	case err == nil:
		return answer{}
	case errors.As(err, &errno):
		return answer{errno: errno}
	}
	return answer{errno: unix.ENETUNREACH}
}

func (s *switchboard) handle(c *call) {
	a := s.answer(c)
	r := reply{id: c.id, errno: -int32(a.errno)}
	if a.proceed {
		r.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	}
	if !a.given {
		s.listener.send(r)
	}
}

func (s *switchboard) answer(c *call) answer {
	switch c.nr {
	case unix.SYS_CONNECT:
		return s.connect(c)
	case unix.SYS_SENDTO:
		return s.sendto(c)
	case unix.SYS_SOCKET:
		return s.socket(c)
	case unix.SYS_BIND:
		return s.bind(c)
	case sysOpen:
		return s.open(c)
	}
	return proceed
}

// connect is connect(2): file, address, length of the address.
func (s *switchboard) connect(c *call) answer {
	address, a, ok := s.address(c, c.args[1], c.args[2])
	if !ok {
		return a
	}
	to, internet := address.addrPort()
	switch {
	case address.nameService():
		return answer{errno: unix.ECONNREFUSED}
	case address.family() == unix.AF_UNSPEC && s.variant == install:
		return s.disconnect(c)
	case !internet || s.routes.local(to) && !s.routes.endpoint(to):
		return proceed
	case s.variant == install:
		return s.connectInstalled(c, address.family(), to)
	}
	fd, err := copyFD(c.tid, int(int32(c.args[0])))
	if err != nil {
		return s.unreadable(c, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if !s.listener.waits(c.id) {
		return answer{}
	}
	return s.dial(fd, address.family(), to)
}

// sendto is sendto(2) with an address, which is the fifth argument: datagrams
// of sockets that are not connected. Only the own DNS server can answer them
// from the address that they were sent to.
func (s *switchboard) sendto(c *call) answer {
	address, a, ok := s.address(c, c.args[4], c.args[5])
	if !ok {
		return a
	}
	to, internet := address.addrPort()
	switch {
	case !internet || s.routes.local(to) || to == s.routes.dnsUDP:
		return proceed
	case to.Port() == portDNS:
		s.question(c)
	default:
		s.refuse(s.routes.decide(unix.SOCK_RAW, to), to)
	}
	return answer{errno: unix.ENETUNREACH}
}

// address reads a socket address of the program. If it is not ok, the answer is
// final.
func (s *switchboard) address(c *call, place, size uint64) (sockaddr, answer, bool) {
	n := int(int32(size))
	if n < 2 || n > maxSockaddr {
		return nil, proceed, false // the kernel refuses it
	}
	b, err := memory(c.tid, place, n)
	switch {
	case errors.Is(err, unix.EFAULT):
		return nil, answer{errno: unix.EFAULT}, false
	case err != nil:
		return nil, s.unreadable(c, err), false
	case !s.listener.waits(c.id):
		return nil, answer{}, false
	}
	return b, answer{}, true
}

// unreadable refuses a call of a program that this process may not look into.
func (s *switchboard) unreadable(c *call, err error) answer {
	var errno unix.Errno
	if errors.As(err, &errno) && errno == unix.EBADF {
		return answer{errno: errno} // the program's own mistake
	}
	if s.listener.waits(c.id) {
		s.leaks.add(leakConnect, fmt.Sprintf("an unknown address (process %d cannot be looked into: %v)", process(c.tid), err))
	}
	return answer{errno: unix.ENETUNREACH}
}

// dial connects a copy of a program's socket. A socket that does not block
// connects on, for the program as for its copy.
func (s *switchboard) dial(fd, family int, to netip.AddrPort) answer {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return failed(err) // no socket
	}
	v := s.routes.decide(kind, to)
	if v.errno != 0 {
		return s.refuse(v, to)
	}
	err = unix.Connect(fd, target(family, v.to))
	if errors.Is(err, unix.EISCONN) && !s.killable {
		err = nil // a signal has restarted the call
	}
	return failed(err)
}

func (s *switchboard) refuse(v verdict, to netip.AddrPort) answer {
	if v.leak {
		s.leaks.add(leakConnect, to.String())
	}
	return answer{errno: v.errno}
}
