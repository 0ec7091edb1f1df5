package sandbox

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestAPublishedPortThatIsTakenIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	_, errs, code := run(t, sandboxed(t, order{Mode: "netns", Publish: []int{port}}, "true"), nil)
	want := fmt.Sprintf("outside: cannot publish port %d: listen tcp 127.0.0.1:%d: bind: address already in use; stop what listens there, or let the program take another port\n", port, port)
	if errs != want || code != 98 {
		t.Errorf("exit code %d, %q; want 98, %q", code, errs, want)
	}
}

func TestALowPortIsNotPublishedForOrdinaryUsers(t *testing.T) {
	lowest, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		t.Fatal(err)
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(lowest)))
	if err != nil {
		t.Fatal(err)
	}
	as, isRoot := users()["nobody"]
	if first <= 1 || (!isRoot && os.Geteuid() == 0) {
		t.Skip("every port is for everybody on this machine")
	}
	_, errs, code := run(t, sandboxed(t, order{Mode: "netns", Publish: []int{first - 1}}, "true"), as)
	want := fmt.Sprintf("outside: cannot publish port %d: listen tcp 127.0.0.1:%d: bind: permission denied; low ports are for root; let the program take a higher one\n", first-1, first-1)
	if errs != want || code != 98 {
		t.Errorf("exit code %d, %q; want 98, %q", code, errs, want)
	}
}

// The port that leads out is taken inside, whether or not anything listens
// outside.
func TestAForwardedPortIsTakenInside(t *testing.T) {
	port := freePort(t)
	out, errs, code := run(t, sandboxed(t, order{Mode: "netns", Forward: []int{port}}, "inside", fmt.Sprintf("serve=%d", port)), nil)
	if want := "error: address already in use\n"; out != want || errs != "" || code != 0 {
		t.Errorf("exit code %d, output %q, want %q; standard error %q", code, out, want, errs)
	}
}
