//go:build amd64 || arm64

package sandbox

import (
	"sync"

	"golang.org/x/sys/unix"
)

// maxSockets bounds the sockets that are kept open for a program. The oldest
// ones make room: a program that connects one after all gets it replaced.
const maxSockets = 512

// maxRecords bounds what is remembered about sockets.
const maxRecords = 64 * maxSockets

// A socket is one that the variant install put into a program.
type socket struct {
	family, kind, protocol int
	fd                     int // our copy; -1 if it is no longer kept
	connected              bool
	giving                 bool          // the copy is in use
	given                  chan struct{} // closed when it no longer is; nil if it never was
}

// socketTable has the records of the variant install, by inode: the number of a
// socket that all of its copies share.
type socketTable struct {
	mu      sync.Mutex
	byInode map[uint64]*socket
	kept    []uint64 // with a copy, oldest first; some may be gone
	known   []uint64 // oldest first
}

func (s *socketTable) add(inode uint64, sock *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(inode, sock)
}

// put is add within with.
func (s *socketTable) put(inode uint64, sock *socket) {
	if s.byInode == nil {
		s.byInode = map[uint64]*socket{}
	}
	if old := s.byInode[inode]; old != nil {
		old.release()
	}
	s.byInode[inode] = sock
	s.kept, s.known = append(s.kept, inode), append(s.known, inode)
	if len(s.kept) > maxSockets {
		if old := s.byInode[s.kept[0]]; old != nil && !old.giving {
			old.release()
		}
		s.kept = s.kept[1:]
	}
	if len(s.known) > maxRecords {
		if old := s.byInode[s.known[0]]; old != nil {
			old.release()
		}
		delete(s.byInode, s.known[0])
		s.known = s.known[1:]
	}
}

// given ends the use of a copy, which is kept if the program got the socket.
func (s *socketTable) given(sock *socket, got bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sock.giving = false
	close(sock.given)
	if !got {
		sock.release()
	}
}

// await waits until nobody gives the socket of an inode to the program, which may
// have it before that: the kernel holds on to it in the meantime, and so to its
// port.
func (s *socketTable) await(inode uint64) {
	s.mu.Lock()
	sock := s.byInode[inode]
	s.mu.Unlock()
	if sock != nil && sock.given != nil {
		<-sock.given
	}
}

// with calls f with the socket of an inode. Only one call goes on at a time.
func (s *socketTable) with(inode uint64, f func(*socket)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sock, ok := s.byInode[inode]
	if ok {
		f(sock)
	}
	return ok
}

func (s *socketTable) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sock := range s.byInode {
		sock.release()
	}
}

// release closes our copy. While there is one, the kernel neither tells the peer
// that the program has closed the socket, nor frees its port.
func (s *socket) release() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
	s.fd = -1
}

// open makes a socket of the same kind.
func (s *socket) open(nonblock bool) (int, error) {
	kind := s.kind | unix.SOCK_CLOEXEC
	if nonblock {
		kind |= unix.SOCK_NONBLOCK
	}
	return unix.Socket(s.family, kind, s.protocol)
}
