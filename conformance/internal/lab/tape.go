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
	over      bool // nothing is recorded any more
	// open counts the exchanges that are still answered. A [sync.WaitGroup] would not
	// do: a client may send something at the moment in which somebody begins to wait.
	open    int
	settled sync.Cond // open is 0
}

func newTape() *tape {
	t := &tape{}
	t.settled.L = &t.mu
	return t
}

// begin records an exchange, and reports whether it did; end has to follow then.
func (t *tape) begin(x *Exchange) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	x.Seq = len(t.exchanges) + 1
	t.exchanges = append(t.exchanges, x)
	t.open++
	return true
}

// end says that an exchange is answered, or was given up.
func (t *tape) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open--; t.open == 0 {
		t.settled.Broadcast()
	}
}

// settle waits for the end of all exchanges.
func (t *tape) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.open > 0 {
		t.settled.Wait()
	}
}

// close ends the recording, and waits for the exchanges that were begun before.
func (t *tape) close() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.settle()
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
