package memnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/fakeentra/fakeentra/conformance/internal/memnet"
)

var one, other = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2}

func TestConnectionsAreWhatPackageNetWants(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		a, b := memnet.Pipe(one, other)
		return a, b, func() { _, _ = a.Close(), b.Close() }, nil
	})
}

func TestAResetIsSeenByTheOtherEnd(t *testing.T) {
	a, b := memnet.Pipe(one, other)
	if _, err := a.Write([]byte("never read")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.SetLinger(0), a.Close()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Read(make([]byte, 20)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestWhatWasWrittenBeforeTheEndIsRead(t *testing.T) {
	a, b := memnet.Pipe(one, other)
	if _, err := a.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := b.Write([]byte("too late")); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after the end: %v", err)
	}
}

func TestWaitsTakeVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(one, other)
		began := time.Now()
		_ = a.SetReadDeadline(began.Add(time.Hour)) // it cannot fail
		if _, err := a.Read(make([]byte, 1)); err == nil || time.Since(began) != time.Hour {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		_, _ = a.Close(), b.Close()
	})
}

func TestTheNetworkLeadsToItsDoorsAlone(t *testing.T) {
	n := &memnet.Network{
		Knows: func(name string) bool { return name == "login.example.com" }, Metadata: netip.MustParseAddr("169.254.169.254"),
		HTTPS: memnet.NewListener(), HTTP: memnet.NewListener(),
	}
	local, _ := n.Listen(8080)
	free, port := n.Listen(0)
	for _, l := range []*memnet.Listener{n.HTTPS, n.HTTP, local, free} {
		defer func() { _ = l.Close() }()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
	}
	for address, want := range map[string]error{
		"login.example.com:443": nil, "login.example.com:80": nil, "169.254.169.254:80": nil, "127.0.0.1:8080": nil, "localhost:8080": nil, fmt.Sprintf("127.0.0.1:%d", port): nil,
		"login.example.com:22": syscall.ECONNREFUSED, "127.0.0.1:9": syscall.ECONNREFUSED, "192.0.2.1:443": syscall.ECONNREFUSED,
	} {
		c, err := n.Dial(context.Background(), "tcp", address)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
		if c != nil {
			_ = c.Close()
		}
	}
	var dns *net.DNSError
	if _, err := n.Dial(context.Background(), "tcp", "elsewhere.example.net:443"); !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("an unknown name: %v", err)
	}
	if leaks := n.Leaks(); len(leaks) != 2 || leaks[0] != "connect 192.0.2.1:443" && leaks[1] != "connect 192.0.2.1:443" {
		t.Errorf("leaks %q", leaks)
	}
}
