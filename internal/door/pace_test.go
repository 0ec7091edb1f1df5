package door

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/edge"
)

func TestSlowClientsAreCutOff(t *testing.T) {
	const request = "POST /m HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: 10\r\n\r\n"
	unread := strings.Replace(request, "/m", "/stream", 1)
	for _, tc := range []struct {
		name, send, got string
		want            time.Duration
	}{
		{"nothing", "", "", patience},
		{"half the headers", request[:20], "400 Bad Request", patience},
		{"half the body", request + "12345", "", patience},
		{"half of a body that nobody reads", unread + "12345", "200 OK", rest},
		{"nothing more", request + "1234567890", "200 OK", idle},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRouter()
			l, cancel, ended := piped(t, func(ctx context.Context, l net.Listener) error { return ServeHTTP(ctx, l, r, "vm1") })
			start := time.Now()
			conn := l.dial()
			_, _ = io.WriteString(conn, tc.send)
			got, _ := io.ReadAll(conn)
			if first, _, _ := strings.Cut(string(got), "\r\n"); strings.TrimPrefix(first, "HTTP/1.1 ") != tc.got {
				t.Errorf("%s: the client got %q, want %q", tc.name, first, tc.got)
			}
			if elapsed := time.Since(start); elapsed < tc.want || elapsed > tc.want+time.Second {
				t.Errorf("%s: cut off after %v, want %v", tc.name, elapsed, tc.want)
			}
			cancel()
			t.Log("ended with", <-ended)
		})
	}
}

func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		l, cancel, ended := piped(t, func(ctx context.Context, l net.Listener) error { return ServeHTTP(ctx, l, r, "vm1") })
		conn := l.dial()
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: %d\r\n\r\n%s", edge.MaxBody, strings.Repeat("x", edge.MaxBody))
		time.Sleep(2 * patience)
		if got, err := io.ReadAll(conn); len(got) > 2*piece {
			t.Errorf("%d bytes were waiting (%v)", len(got), err)
		}
		cancel()
		t.Log("ended with", <-ended)
	})
}

func TestALongAnswerAndALongDelayAreNoReasonToHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRouter()
		r.edge.Faults.Add(fault.Rule{Op: "imds.echo", Do: fault.Delay(time.Hour)})
		l, cancel, ended := piped(t, func(ctx context.Context, l net.Listener) error { return ServeHTTP(ctx, l, r, "vm1") })
		conn := l.dial()
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", edge.MaxBody)
		for range 16 {
			time.Sleep(patience - time.Second)
			_, _ = conn.Write(make([]byte, edge.MaxBody/16))
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for p := make([]byte, edge.MaxBody/16); err == nil; {
			var n int
			time.Sleep(patience / 2)
			n, err = io.ReadFull(resp.Body, p)
			total += n
		}
		if total != edge.MaxBody || err != io.EOF {
			t.Errorf("%d bytes came, then %v", total, err)
		}
		cancel()
		t.Log("ended with", <-ended)
	})
}
