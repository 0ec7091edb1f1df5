package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// listenPublished opens the ports of this machine's loopback that lead into the
// sandbox.
func listenPublished(ports []int) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback.String(), strconv.Itoa(port)))
		if err != nil {
			closeAll(listeners)
			hint := "stop what listens there, or let the program take another port"
			if errors.Is(err, fs.ErrPermission) {
				hint = "low ports are for root; let the program take a higher one"
			}
			return nil, fmt.Errorf("cannot publish port %d: %w; %s", port, err, hint)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // closing twice is harmless
	}
}

// toLoopback returns a function that connects to an address of this machine's
// loopback.
func toLoopback(address netip.AddrPort) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address.String())
	}
}

// Relay connects whoever connects to l with a connection of dial, until ctx is
// done, and closes l. It returns when all connections are closed, which they have
// a second for. If dial fails, whoever connected sees a reset connection.
func Relay(ctx context.Context, l net.Listener, dial func(context.Context) (net.Conn, error)) {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var group sync.WaitGroup
	defer group.Wait()
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		group.Go(func() {
			defer func() { _ = near.Close() }()
			far, err := dial(ctx)
			if err != nil {
				reset(near)
				return
			}
			defer func() { _ = far.Close() }()
			splice(ctx, near, far)
		})
	}
}

// reset makes the peer of a connection that will be closed see an error, and not
// the end of an answer.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// grace is how long connections may take to end when ctx is done: what a program
// wrote last may still be on its way.
const grace = time.Second

// splice copies in both directions until both are at their end, or the grace is
// over.
func splice(ctx context.Context, a, b net.Conn) {
	defer context.AfterFunc(ctx, func() {
		end := time.Now().Add(grace)
		_, _ = a.SetDeadline(end), b.SetDeadline(end) // of connections that are closed it does nothing
	})()
	var group sync.WaitGroup
	for _, way := range []struct{ from, to net.Conn }{{a, b}, {b, a}} {
		group.Go(func() {
			_, _ = io.Copy(way.to, way.from) // an error is the end of the connection
			if half, ok := way.to.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		})
	}
	group.Wait()
}

// join makes one listener of two.
func join(a, b net.Listener) net.Listener {
	j := &joined{Listener: a, other: b, accepted: make(chan accepted), closed: make(chan struct{})}
	go j.accept(a)
	go j.accept(b)
	return j
}

type joined struct {
	net.Listener
	other    net.Listener
	accepted chan accepted
	once     sync.Once
	closed   chan struct{}
}

type accepted struct {
	conn net.Conn
	err  error
}

func (j *joined) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		select {
		case j.accepted <- accepted{conn, err}:
		case <-j.closed:
			if conn != nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// Accept returns the next connection of either.
func (j *joined) Accept() (net.Conn, error) {
	select {
	case a := <-j.accepted:
		return a.conn, a.err
	case <-j.closed:
		return nil, net.ErrClosed
	}
}

// Close closes both.
func (j *joined) Close() error {
	err := net.ErrClosed
	j.once.Do(func() {
		close(j.closed)
		err = j.Listener.Close()
		_ = j.other.Close()
	})
	return err
}
