package sandbox

import (
	"net/netip"
	"strings"
	"testing"

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
