package lab

import (
	"crypto/tls"
	"slices"
	"sync"
	"time"
)

// A Hello is the beginning of a TLS handshake.
type Hello struct {
	At         time.Time
	Conn       int
	ServerName string
	Versions   []uint16
	Protocols  []string
}

// A tape records what came in, on every door. Its methods may be called from
// several goroutines.
type tape struct {
	mu        sync.Mutex
	exchanges []*Exchange
	hellos    []Hello
	open      sync.WaitGroup // exchanges that are still answered
}

func (t *tape) begin(x *Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.Seq = len(t.exchanges) + 1
	t.exchanges = append(t.exchanges, x)
	t.open.Add(1)
}

// update changes an exchange that others may be looking at.
func (t *tape) update(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

func (t *tape) greet(conn int, hello *tls.ClientHelloInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hellos = append(t.hellos, Hello{time.Now(), conn, hello.ServerName, slices.Clone(hello.SupportedVersions), slices.Clone(hello.SupportedProtos)})
}

// Exchanges returns copies of what came in so far, in order of arrival; of some
// operations if any are named.
func (l *Lab) Exchanges(ops ...Op) []*Exchange {
	l.tape.mu.Lock()
	defer l.tape.mu.Unlock()
	var out []*Exchange
	for _, x := range l.tape.exchanges {
		if len(ops) == 0 || slices.Contains(ops, x.Op) {
			seen := *x
			out = append(out, &seen)
		}
	}
	return out
}

// Hellos returns the TLS handshakes that were begun so far.
func (l *Lab) Hellos() []Hello {
	l.tape.mu.Lock()
	defer l.tape.mu.Unlock()
	return slices.Clone(l.tape.hellos)
}
