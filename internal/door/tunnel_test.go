package door

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
)

func TestConnectLeadsToPlainHTTPToo(t *testing.T) {
	address := proxying(t, newProxy(t))
	for target, want := range map[string]string{
		"169.254.169.254:80":            `imds: GET http://169.254.169.254/m from vm1, TLS false, ""`,
		"LOGIN.microsoftonline.com.:99": `imds: GET http://169.254.169.254/m from vm1, TLS false, ""`,
	} {
		got := exchange(t, address, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n\r\nGET /m HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, established+"HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", target, got, want)
		}
	}
}

func TestTunnelsToLoopbackPassTheEndOfEachSide(t *testing.T) {
	l := listen(t)
	defer func() { _ = l.Close() }()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		asked, _ := io.ReadAll(conn) // until the client has nothing more to say
		_, _ = fmt.Fprintf(conn, "you said %q", asked)
	}()
	conn, err := net.Dial("tcp", proxying(t, newProxy(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\nearly, ", l.Addr())
	_, _ = io.WriteString(conn, "late")
	_ = conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	if want := established + `you said "early, late"`; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestGarbageAfterConnectIsRefused(t *testing.T) {
	p := newProxy(t)
	logged := make(chan string, 10)
	p.Log = func(line string) { logged <- line }
	address := proxying(t, p)
	for send, want := range map[string]string{
		"\x00\x01\x02\r\n\r\n":             "HTTP/1.1 400 Bad Request",
		"SSH-2.0-OpenSSH_9.2\r\n\r\n":      "HTTP/1.1 400 Bad Request",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "HTTP/1.1 404 Not Found",
		"\x16\x03\x01\xff\xff garbage":     "\x15\x03", // a TLS alert
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"+send)
		got := make([]byte, len(established+want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != established+want {
			t.Errorf("after %q: got %q, %v; want %q", send, got, err, established+want)
		}
		_ = conn.Close()
	}
	if got, want := <-logged, "http: TLS handshake error from "; !strings.HasPrefix(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestNothingIsLeftOfAClosedProxy(t *testing.T) {
	before := runtime.NumGoroutine()
	p, l, srv := newProxy(t), listen(t), listen(t)
	ended := make(chan error)
	go func() { ended <- p.Serve(l) }()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := srv.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	var open []net.Conn
	for _, send := range []string{
		"",
		"CONNECT " + srv.Addr().String() + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03",
		"CONNECT login.microsoftonline.com:443 HTTP/1.1\r\nHost: x\r\n\r\nGET /",
	} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
		_, _ = io.WriteString(conn, send)
		if send != "" {
			_, _ = io.ReadFull(conn, make([]byte, len(established)))
		}
	}
	_ = p.Close()
	t.Log("ended with", <-ended)
	for _, conn := range append(open, <-accepted) {
		_, _ = io.Copy(io.Discard, conn) // ends because the proxy has let go
		_ = conn.Close()
	}
	_ = srv.Close()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestAnInterruptedClientEndsItsRequestBehindConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Proxy{Router: newRouter()}
		p.Router.edge.Faults.Add(fault.Rule{Op: "imds.echo", Do: fault.Delay(time.Hour)})
		l, _, ended := piped(t, func(_ context.Context, l net.Listener) error { return p.Serve(l) })
		conn := l.dial()
		start := time.Now()
		go func() {
			_, _ = io.WriteString(conn, "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
		}()
		_, _ = io.ReadFull(conn, make([]byte, len(established)))
		synctest.Wait()
		_ = conn.Close()
		synctest.Wait()
		entries := p.Router.edge.Journal.Snapshot().Entries
		if len(entries) != 1 || entries[0].Decision.Why != context.Canceled.Error() || time.Since(start) > time.Second {
			t.Errorf("after %v the journal has %+v", time.Since(start), entries)
		}
		_ = p.Close()
		t.Log("ended with", <-ended)
	})
}
