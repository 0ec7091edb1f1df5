//go:build amd64 || arm64

package sandbox

import (
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the program asks for at last is reported as well as what it asks for at
// first, and what is of the sandbox is not.
func TestNetnsReportsEveryAddressOutside(t *testing.T) {
	const refused, sent = "error: connection refused\n", "sent\n"
	out, errs, code := run(t, sandboxed(t, order{Mode: "netns"}, "inside",
		"dial=203.0.113.1:443", "dial=127.0.0.1:1", "dial=127.1.2.3:1", "dial=[::1]:1", "dial=169.254.169.254:443", "dial=198.19.0.1:8080",
		"dial=169.254.169.253:80", "dial=[::ffff:203.0.113.1]:443", "datagram=203.0.113.2:53", "datagram=198.18.0.1:9", "dial=[2001:db8::1]:80"), nil)
	if want := strings.Repeat(refused, 8) + sent + sent + refused; out != want || code != 0 {
		t.Errorf("exit code %d, output %q, want %q", code, out, want)
	}
	want := "leaks: [{connect 169.254.169.253:80 1} {connect 203.0.113.1:443 2} {connect 203.0.113.2:53 1} {connect [2001:db8::1]:80 1}]\n"
	if errs != want {
		t.Errorf("standard error %q, want %q", errs, want)
	}
}

// withoutIPv6 runs this program anew as on a kernel that has no IPv6.
func withoutIPv6(args []string) error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	f := append([]unix.SockFilter{load(offsetCall)}, when(unix.SYS_SOCKET, load(offsetArgs), jump(unix.AF_INET6, 0, 1), fail(unix.EAFNOSUPPORT), allow())...)
	f = append(f, allow())
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return unix.Exec("/proc/self/exe", append([]string{"sandbox.test"}, args...), os.Environ())
}

func TestNetnsDoesWithoutIPv6(t *testing.T) {
	cmd := sandboxed(t, order{Mode: "netns"}, "inside", "get=https://login.example.com/a", "dial=203.0.113.1:443", "dial=[2001:db8::1]:443")
	cmd.Args = append([]string{cmd.Args[0], "without6"}, cmd.Args[1:]...)
	out, errs, code := run(t, cmd, nil)
	if want := "login.example.com/a\nerror: connection refused\nerror: address family not supported by protocol\n"; out != want || code != 0 {
		t.Errorf("exit code %d, output %q, want %q", code, out, want)
	}
	if want := "leaks: [{connect 203.0.113.1:443 1}]\n"; errs != want {
		t.Errorf("standard error %q, want %q", errs, want)
	}
}

func TestDestinationsOfPackets(t *testing.T) {
	const ip4, ports = "\x45\x00\x00\x3c\x00\x00\x40\x00\x40\x06\x00\x00\xc6\x12\x00\x01\xcb\x00\x71\x01", "\x30\x39\x01\xbb"
	info := string(unix.PktInfo6(&unix.Inet6Pktinfo{Addr: netip.MustParseAddr("2001:db8::1").As16()}))
	for _, row := range []struct{ packet, control, want string }{
		{ip4 + ports, "", "203.0.113.1:443"},
		{"\x46" + ip4[1:] + "\x94\x04\x00\x00" + ports, "", "203.0.113.1:443"}, // with an option
		{ports, info, "[2001:db8::1]:443"},
		{ip4 + ports[:2], "", ""},
		{ip4[:19], "", ""},
		{ports[:3], info, ""},
		{ports, info[:20], ""},
		{"", "", ""},
	} {
		got, ok := destination([]byte(row.packet), []byte(row.control))
		if ok != (row.want != "") || ok && got != netip.MustParseAddrPort(row.want) {
			t.Errorf("%x with %x goes to %v, %v; want %q", row.packet, row.control, got, ok, row.want)
		}
	}
}

func FuzzDestination(f *testing.F) {
	f.Add([]byte("\x45\x00\x00\x3c\x00\x00\x40\x00\x40\x06\x00\x00\xc6\x12\x00\x01\xcb\x00\x71\x01\x30\x39\x01\xbb"), []byte{})
	f.Add([]byte("\x30\x39\x01\xbb"), unix.PktInfo6(&unix.Inet6Pktinfo{}))
	f.Fuzz(func(t *testing.T, packet, control []byte) {
		if to, ok := destination(packet, control); ok && !to.IsValid() {
			t.Errorf("%x with %x goes to %v", packet, control, to)
		}
	})
}
