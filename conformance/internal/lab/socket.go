package lab

import (
	"net"
	"net/http"
	"sync"
)

// sockets are the connections of a front that are open.
type sockets struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// note follows a connection; see [http.Server.ConnState].
func (s *sockets) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		if s.open == nil {
			s.open = map[net.Conn]struct{}{}
		}
		s.open[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(s.open, c)
	}
}

func (s *sockets) all() []net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []net.Conn
	for c := range s.open {
		out = append(out, c)
	}
	return out
}

// Disconnect closes every connection that clients keep for later, as servers do
// when they were idle for long; or breaks it with a TCP reset, as a firewall does
// that has forgotten it. It waits for the requests that are still answered.
func (l *Lab) Disconnect(reset bool) {
	l.Settle()
	f := l.front.Load()
	if f == nil {
		return // nothing was started yet
	}
	for _, c := range f.sockets.all() {
		if reset {
			breakOff(c)
		}
		_ = c.Close() // it fails when the client was faster
	}
}
