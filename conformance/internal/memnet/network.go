package memnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A Network leads connections to listeners. Its methods may be called from
// several goroutines.
type Network struct {
	// Knows reports whether a host name has an address.
	Knows func(hostname string) bool
	// IPv6 are the host names that have no address of IPv4.
	IPv6 []string
	// HTTPS and HTTP take connections to port 443 and 80 of known names and of
	// Metadata.
	HTTPS, HTTP *Listener
	// Metadata is the address of the Instance Metadata Service.
	Metadata netip.Addr

	mu    sync.Mutex
	local map[int]*Listener // of loopback addresses, by port
	leaks []string
}

// Dial connects as [net.Dialer.DialContext] does. What leads nowhere is noted.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	number, _ := strconv.Atoi(port)
	ip, err := netip.ParseAddr(host)
	isIP := err == nil
	var l *Listener
	switch {
	case host == "localhost" || isIP && ip.IsLoopback():
		l = n.at(number)
	case isIP && ip == n.Metadata, !isIP && n.Knows(host):
		l = map[int]*Listener{443: n.HTTPS, 80: n.HTTP}[number]
	case !isIP:
		n.leak("dns " + host)
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	default:
		n.leak("connect " + address)
	}
	to := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}
	switch {
	case isIP:
		to.IP = ip.AsSlice()
	case slices.Contains(n.IPv6, strings.ToLower(host)):
		to.IP = net.IPv6loopback
	}
	if strings.HasSuffix(network, "4") && to.IP.To4() == nil || strings.HasSuffix(network, "6") && to.IP.To4() != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.AddrError{Err: "no suitable address found", Addr: host}}
	}
	refused := &net.OpError{Op: "dial", Net: network, Addr: to, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	if l == nil {
		return nil, refused
	}
	client, server := Pipe(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000}, to)
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Listen takes connections to a port of loopback addresses; 0 stands for one that
// nobody has. It returns the port, too. It panics for one that is taken.
func (n *Network) Listen(port int) (*Listener, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.local == nil {
		n.local = map[int]*Listener{}
	}
	for free := firstFree; port == 0; free++ {
		if n.local[free] == nil {
			port = free
		}
	}
	if n.local[port] != nil {
		panic(fmt.Sprintf("port %d is taken", port))
	}
	n.local[port] = NewListener()
	return n.local[port], port
}

// firstFree is the first port that Listen takes for 0. Machines have theirs there.
const firstFree = 49152

func (n *Network) at(port int) *Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.local[port]
}

func (n *Network) leak(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leaks = append(n.leaks, what)
}

// Leaks returns what was asked for in vain, as "dns NAME" and "connect ADDRESS".
func (n *Network) Leaks() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.leaks...)
}

// A Listener takes the connections of one door of a [Network].
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewListener returns a Listener. The caller must close it.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
