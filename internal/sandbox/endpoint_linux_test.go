package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// echoEndpoint answers every request with what was asked for.
func echoEndpoint(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "endpoint at ", r.Host, r.URL.Path) })}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func TestNetnsHasEndpoints(t *testing.T) {
	for name, as := range users() {
		t.Run(name, func(t *testing.T) {
			out, errs, code := run(t, sandboxed(t, order{Mode: "netns", Endpoints: []int{40342, 2377}}, "inside",
				"get=http://localhost:40342/a", "get=http://127.0.0.1:2377/b", "get=http://[::1]:40342/c", "get=http://[::1]:2377/d",
				"get=http://169.254.169.254/metadata", "dial=127.0.0.1:40343", "dial=198.18.0.1:40342",
			), as)
			want := `endpoint at localhost:40342/a
endpoint at 127.0.0.1:2377/b
endpoint at [::1]:40342/c
endpoint at [::1]:2377/d
169.254.169.254/metadata
error: connection refused
error: connection refused
`
			if diff := cmp.Diff(want, out); diff != "" || errs != "" || code != 0 {
				t.Errorf("exit code %d, standard error %q, output (-want +got):\n%s", code, errs, diff)
			}
		})
	}
}

// A server of this machine on the port of an endpoint goes on for everybody else.
func TestNotifyLeadsToEndpointsPastServersOfTheMachine(t *testing.T) {
	var asked atomic.Int32
	real := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer real.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "of this machine") }))
	defer other.Close()
	port := real.Listener.Addr().(*net.TCPAddr).Port
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		at := func(host string) string { return fmt.Sprintf("%s:%d", host, port) }
		out, errs, code := run(order{Endpoints: []int{port}}, "inside",
			"get=http://"+at("127.0.0.1")+"/a", "get=http://"+at("127.8.9.10")+"/b", "get=http://"+at("[::1]")+"/c", "get=http://"+at("0.0.0.0")+"/d", "get="+other.URL)
		var want strings.Builder
		for i, host := range []string{"127.0.0.1", "127.8.9.10", "[::1]", "0.0.0.0"} {
			_, _ = fmt.Fprintf(&want, "endpoint at %s/%c\n", at(host), 'a'+i)
		}
		want.WriteString("of this machine\n")
		if diff := cmp.Diff(want.String(), out); diff != "" || errs != "" || code != 0 {
			t.Errorf("exit code %d, standard error %q, output (-want +got):\n%s", code, errs, diff)
		}
	})
	if n := asked.Load(); n != 0 {
		t.Errorf("the server of this machine was asked %d times", n)
	}
}
