package sandbox

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestNetnsHasNamesWithIPv6Alone(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		toolchain.Without(t, "IPv6 on the loopback interface ("+err.Error()+")", "sysctl net.ipv6.conf.lo.disable_ipv6=0")
	}
	_ = l.Close()
	for name, as := range users() {
		t.Run(name, func(t *testing.T) {
			out, errs, code := run(t, sandboxed(t, order{Mode: "netns", IPv6: []string{"six.example.com"}}, "inside",
				"lookup=six.example.com", "lookup=four.example.com", "get=https://six.example.com/a", "get=http://six.example.com/b",
				"get=https://four.example.com/c", "dial=[2001:2::1]:22", "dial=[2001:2::2]:443",
			), as)
			want := `2001:2::1
198.18.0.1
six.example.com/a
six.example.com/b
four.example.com/c
error: connection refused
error: connection refused
`
			if diff := cmp.Diff(want, out); diff != "" || code != 0 {
				t.Errorf("exit code %d, output (-want +got):\n%s", code, diff)
			}
			if want := "leaks: [{connect [2001:2::2]:443 1}]\n"; errs != want {
				t.Errorf("standard error %q, want %q", errs, want)
			}
		})
	}
}

// getaddrinfo(3) has addresses of IPv6 for machines that have one, other than
// that of loopback.
func TestTheLibraryOfCFindsNamesWithIPv6Alone(t *testing.T) {
	python := toolchain.Program(t, "python3")
	const program = `import socket; print(*sorted({a[4][0] for a in socket.getaddrinfo("six.example.com", 443, flags=socket.AI_ADDRCONFIG)}))`
	out, errs, code := run(t, sandboxed(t, order{Mode: "netns", IPv6: []string{"six.example.com"}}, python, "-c", program), nil)
	if strings.TrimSpace(out) != "2001:2::1" || code != 0 {
		t.Errorf("exit code %d, output %q, %s", code, out, errs)
	}
}
