package lab

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
)

// numbered is a connection with a number.
type numbered struct {
	net.Conn
	n int
}

// NetConn returns the connection beneath.
func (c numbered) NetConn() net.Conn { return c.Conn }

type numbering struct {
	net.Listener
	next *atomic.Int64
}

func (l numbering) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return numbered{c, int(l.next.Add(1))}, nil
}

type connKey struct{}

// connNumber returns the number of a connection, through the TLS around it.
func connNumber(c net.Conn) int {
	for c != nil {
		switch inner := c.(type) {
		case numbered:
			return inner.n
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return 0
		}
	}
	return 0
}

func connOf(r *http.Request) int {
	n, _ := r.Context().Value(connKey{}).(int)
	return n
}

// A queue is a listener of connections that others accepted.
type queue struct {
	conns  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
}

func newQueue() *queue {
	q := &queue{conns: make(chan net.Conn)}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q
}

// feed accepts for the queue until either ends.
func (q *queue) feed(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		q.put(c)
	}
}

func (q *queue) put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.ctx.Done():
		_ = c.Close()
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.cancel()
	return nil
}

func (q *queue) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
