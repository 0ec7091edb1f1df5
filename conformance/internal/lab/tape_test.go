package lab

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// A client that gives up, and one that works in the background, may send something
// at any moment. The race detector has its say, too.
func TestRequestsMayComeWhileALabSettles(t *testing.T) {
	l, err := New(Fixture{Seed: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	address := serveHTTP(t, l)
	asked := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 20 {
				_ = ask(address) // it is counted
			}
		})
	}
	go func() {
		asking.Wait()
		close(asked)
	}()
	for busy := true; busy; {
		l.Settle()
		select {
		case <-asked:
			busy = false
		default:
		}
	}
	l.Settle()
	seen := l.Exchanges()
	if len(seen) != 80 {
		t.Errorf("%d exchanges, want 80", len(seen))
	}
	for _, x := range seen {
		if x.Done.IsZero() {
			t.Errorf("exchange %d is not done, but nobody has to wait", x.Seq)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestALabThatIsClosedAnswersNothing(t *testing.T) {
	l, err := New(Fixture{Seed: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	address := serveHTTP(t, l)
	if err := ask(address); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ask(address); err == nil {
		t.Error("a lab that is closed answers")
	}
	if n := len(l.Exchanges()); n != 1 {
		t.Errorf("%d exchanges, want the one before it was closed", n)
	}
}

// serveHTTP serves port 80 of the hosts of a lab at an address of loopback until the
// test ends.
func serveHTTP(t *testing.T, l *Lab) string {
	t.Helper()
	front, err := NewFront()
	if err != nil {
		t.Fatal(err)
	}
	front.Show(l)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = front.ServeHTTP(ctx, ln) }) // it ends with ctx
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	return ln.Addr().String()
}

// ask sends a request on a connection of its own.
func ask(address string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + "/metadata/instance")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
