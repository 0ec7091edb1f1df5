//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachRealHostHasAnAddress(t *testing.T) {
	got := outlets([]Egress{{"a.example", 443}, {"b.example", 80}, {"a.example", 80}, {"a.example", 443}})
	at := netip.MustParseAddrPort
	want := []outlet{{Egress{"a.example", 443}, at("198.18.0.2:443")}, {Egress{"b.example", 80}, at("198.18.0.3:80")}, {Egress{"a.example", 80}, at("198.18.0.2:80")}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outlet{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("outlets (-want +got):\n%s", diff)
	}
}

func TestARealHostIsReachedByItsName(t *testing.T) {
	real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "the real ", r.Host) }))
	defer real.Close()
	egress := []Egress{{"other.example.org", 443}, {"www.example.org", 80}}
	inSandboxes(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{Egress: egress, Real: real.Listener.Addr().String()}, "inside",
			"get=http://www.example.org/", "lookup=WWW.example.org", "get=http://www.example.org/", "get=http://login.example.com/a",
			"dial=www.example.org:443", "dial=198.18.0.2:80", "lookup=example.org.")
		want := "the real www.example.org\n198.18.0.3\nthe real www.example.org\nlogin.example.com/a\nerror: connection refused\nerror: connection refused\nerror: no such host\n"
		if diff := cmp.Diff(want, out); diff != "" || code != 0 {
			t.Errorf("exit code %d, output (-want +got):\n%s", code, diff)
		}
		if want := "leaks: [{dns example.org 2}]\n"; errs != want {
			t.Errorf("standard error %q, want %q", errs, want)
		}
	})
}

func TestARealHostThatIsNotReachedResetsItsConnections(t *testing.T) {
	const refuses = "127.0.0.1:0" // nobody can listen on port 0
	inSandboxes(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{Egress: []Egress{{"www.example.org", 80}}, Real: refuses}, "inside", "hear=www.example.org:80")
		if want := "error: connection reset by peer\n"; out != want || errs != "" || code != 0 {
			t.Errorf("exit code %d, output %q, want %q, standard error %q", code, out, want, errs)
		}
	})
}

// inSandboxes runs a test in namespaces, and by notification in both variants.
func inSandboxes(t *testing.T, test func(t *testing.T, run func(o order, command ...string) (stdout, stderr string, code int))) {
	t.Helper()
	for _, mode := range []string{"netns", "duplicate", "install"} {
		t.Run(mode, func(t *testing.T) {
			test(t, func(o order, command ...string) (string, string, int) {
				o.Mode = mode
				return run(t, sandboxed(t, o, command...), nil)
			})
		})
	}
}
