// Package memnet is a network in memory. Unlike [net.Pipe] its connections have
// buffers, as those of a kernel, so that both ends may write first; and all that
// waits does so in a way that package testing/synctest understands.
package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how much one end of a connection can write ahead.
const bufferSize = 256 << 10

// A half carries bytes in one direction.
type half struct {
	mu      sync.Mutex
	data    []byte
	closed  error         // what readers see when there is no more data
	changed chan struct{} // closed, and made anew, at each change
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

// signal wakes all that wait. h.mu must be held.
func (h *half) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) end(err error, discard bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed == nil {
		h.closed = err
	}
	if discard {
		h.closed, h.data = err, nil
	}
	h.signal()
}

// read waits for data until the deadline changes or passes.
func (h *half) read(p []byte, d *deadline) (int, error) {
	for {
		if d.isPast() {
			return 0, os.ErrDeadlineExceeded
		}
		h.mu.Lock()
		if len(h.data) > 0 {
			n := copy(p, h.data)
			h.data = h.data[n:]
			h.signal()
			h.mu.Unlock()
			return n, nil
		}
		closed, changed := h.closed, h.changed
		h.mu.Unlock()
		if closed != nil {
			return 0, closed
		}
		if err := d.wait(changed); err != nil {
			return 0, err
		}
	}
}

func (h *half) write(p []byte, d *deadline) (n int, err error) {
	for len(p) > 0 {
		if d.isPast() {
			return n, os.ErrDeadlineExceeded
		}
		h.mu.Lock()
		if h.closed != nil {
			err := h.closed
			h.mu.Unlock()
			if errors.Is(err, io.EOF) {
				err = syscall.EPIPE
			}
			return n, err
		}
		room := min(bufferSize-len(h.data), len(p))
		if room > 0 {
			h.data = append(h.data, p[:room]...)
			p, n = p[room:], n+room
			h.signal()
			h.mu.Unlock()
			continue
		}
		changed := h.changed
		h.mu.Unlock()
		if err := d.wait(changed); err != nil {
			return n, err
		}
	}
	return n, nil
}

// A deadline ends waits. Its zero value never does.
type deadline struct {
	mu      sync.Mutex
	passed  bool
	timer   *time.Timer
	changed chan struct{} // closed, and made anew, when the deadline is another one
	epoch   int
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.epoch++
	d.passed = false
	if !t.IsZero() {
		if left := time.Until(t); left <= 0 {
			d.passed = true
		} else {
			epoch := d.epoch
			d.timer = time.AfterFunc(left, func() { d.pass(epoch) })
		}
	}
	d.signal()
}

func (d *deadline) pass(epoch int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if epoch == d.epoch {
		d.passed = true
		d.signal()
	}
}

// isPast reports whether nothing is to be read or written any more, not even what
// need not be waited for.
func (d *deadline) isPast() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

func (d *deadline) signal() {
	if d.changed != nil {
		close(d.changed)
	}
	d.changed = make(chan struct{})
}

// wait returns when changed is closed, or fails when the deadline passes.
func (d *deadline) wait(changed <-chan struct{}) error {
	for {
		d.mu.Lock()
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		passed, moved := d.passed, d.changed
		d.mu.Unlock()
		if passed {
			return os.ErrDeadlineExceeded
		}
		select {
		case <-changed:
			return nil
		case <-moved:
		}
	}
}

// A Conn is one end of a connection.
type Conn struct {
	in, out     *half
	read, write deadline
	local, peer net.Addr

	mu     sync.Mutex
	linger bool // SetLinger(0) was called
	closed bool
}

// Pipe returns both ends of a connection between two addresses.
func Pipe(a, b net.Addr) (*Conn, *Conn) {
	there, back := newHalf(), newHalf()
	return &Conn{in: back, out: there, local: a, peer: b}, &Conn{in: there, out: back, local: b, peer: a}
}

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	if c.isClosed() {
		return 0, net.ErrClosed
	}
	n, err := c.in.read(p, &c.read)
	return n, c.wrap("read", err)
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (int, error) {
	if c.isClosed() {
		return 0, net.ErrClosed
	}
	n, err := c.out.write(p, &c.write)
	return n, c.wrap("write", err)
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// wrap makes errors look like those of a socket.
func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.peer, Err: err}
}

// Close ends both directions. What was written before is read by the other end,
// unless [Conn.SetLinger] said otherwise.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	reset := c.linger
	c.mu.Unlock()
	if reset {
		c.out.end(os.NewSyscallError("read", syscall.ECONNRESET), true)
	} else {
		c.out.end(io.EOF, false)
	}
	c.in.end(net.ErrClosed, true)
	c.SetDeadline(time.Time{}) //nolint:errcheck // it cannot fail; it stops the timers
	return nil
}

// SetLinger with 0 has Close break the connection, as TCP does.
func (c *Conn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linger = seconds == 0
	return nil
}

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *Conn) RemoteAddr() net.Addr { return c.peer }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { c.read.set(t); return nil }

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error { c.write.set(t); return nil }
