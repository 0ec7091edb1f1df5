//go:build amd64 || arm64

package sandbox

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func exampleRoutes(metadata bool) *routes {
	at := netip.MustParseAddrPort
	return &routes{
		https: at("127.0.0.1:1001"), http: at("127.0.0.1:1002"), dnsUDP: at("127.0.0.1:1003"), dnsTCP: at("127.0.0.1:1004"), void: at("127.0.0.1:1005"),
		metadata: metadata, endpoints: map[uint16]netip.AddrPort{40342: at("127.0.0.1:1006")},
	}
}

func TestRoutesOfConnections(t *testing.T) {
	to := func(address string) verdict { return verdict{to: netip.MustParseAddrPort(address)} }
	refused, unreachable := verdict{errno: unix.ECONNREFUSED}, verdict{errno: unix.ENETUNREACH}
	outside := verdict{errno: unix.ENETUNREACH, leak: true}
	for _, row := range []struct {
		kind    int
		address string
		laptop  bool
		want    verdict
	}{
		{unix.SOCK_STREAM, "198.18.0.1:443", false, to("127.0.0.1:1001")},
		{unix.SOCK_STREAM, "198.19.255.255:443", false, to("127.0.0.1:1001")},
		{unix.SOCK_STREAM, "198.18.0.1:80", false, to("127.0.0.1:1002")},
		{unix.SOCK_STREAM, "198.18.0.1:8080", false, refused},
		{unix.SOCK_STREAM, "169.254.169.254:80", false, to("127.0.0.1:1002")},
		{unix.SOCK_STREAM, "169.254.169.254:443", false, refused},
		{unix.SOCK_STREAM, "169.254.169.254:80", true, unreachable},
		{unix.SOCK_STREAM, "198.18.0.1:80", true, to("127.0.0.1:1002")},
		{unix.SOCK_STREAM, "127.0.0.53:53", false, to("127.0.0.1:1004")},
		{unix.SOCK_DGRAM, "127.0.0.53:53", false, to("127.0.0.1:1003")},
		{unix.SOCK_DGRAM, "192.0.2.1:53", false, to("127.0.0.1:1003")},
		{unix.SOCK_DGRAM, "198.18.0.1:443", false, to("127.0.0.1:1005")},
		{unix.SOCK_DGRAM, "192.0.2.1:443", false, outside},
		{unix.SOCK_STREAM, "192.0.2.1:443", false, outside},
		{unix.SOCK_STREAM, "192.0.2.1:80", true, outside},
		{unix.SOCK_STREAM, "[2001:db8::1]:443", false, outside},
		{unix.SOCK_STREAM, "169.254.169.253:80", false, outside},
		{unix.SOCK_STREAM, "127.0.0.1:40342", false, to("127.0.0.1:1006")},
		{unix.SOCK_STREAM, "127.8.9.10:40342", false, to("127.0.0.1:1006")},
		{unix.SOCK_STREAM, "[::1]:40342", false, to("127.0.0.1:1006")},
		{unix.SOCK_STREAM, "0.0.0.0:40342", false, to("127.0.0.1:1006")},
		{unix.SOCK_STREAM, "198.18.0.1:40342", false, refused},
		{unix.SOCK_STREAM, "192.0.2.1:40342", false, outside},
		{unix.SOCK_DGRAM, "127.0.0.1:40342", false, to("127.0.0.1:40342")},
		{unix.SOCK_RAW, "198.18.0.1:443", false, unreachable},
		{unix.SOCK_RAW, "192.0.2.1:443", false, outside},
	} {
		if got := exampleRoutes(!row.laptop).decide(row.kind, netip.MustParseAddrPort(row.address)); got != row.want {
			t.Errorf("kind %d, %s, laptop %v: %+v, want %+v", row.kind, row.address, row.laptop, got, row.want)
		}
	}
}

func TestLocalConnectionsAreLetThrough(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.8.9.10:443": true, "[::1]:80": true, "0.0.0.0:80": true, "[::]:80": true,
		"127.0.0.53:53": false, "[::1]:53": false, "198.18.0.1:80": false, "169.254.169.254:80": false, "192.0.2.1:80": false,
	} {
		for _, metadata := range []bool{true, false} {
			if got := exampleRoutes(metadata).local(netip.MustParseAddrPort(address)); got != want {
				t.Errorf("%s is local: %v, want %v", address, got, want)
			}
		}
	}
}

func TestAddressesAsProgramsGiveThem(t *testing.T) {
	for _, row := range []struct {
		given, want string
		nameService bool
	}{
		{"\x02\x00\x01\xbb\xc6\x12\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", "198.18.0.1:443", false},
		{"\x02\x00\x01\xbb\xc6\x12\x00\x01", "invalid AddrPort", false}, // too short for the kernel
		{"\x0a\x00\x00\x50\x00\x00\x00\x00\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", "[2001:db8::1]:80", false},
		{"\x0a\x00\x00\x50\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xa9\xfe\xa9\xfe", "169.254.169.254:80", false},
		{"\x01\x00/var/run/nscd/socket\x00", "invalid AddrPort", true},
		{"\x01\x00/run/systemd/resolve/io.systemd.Resolve", "invalid AddrPort", true},
		{"\x01\x00/run/docker.sock\x00/nscd/", "invalid AddrPort", false},
		{"\x00\x00", "invalid AddrPort", false},
		{"\x01", "invalid AddrPort", false},
		{"", "invalid AddrPort", false},
	} {
		s := sockaddr(row.given)
		if got, _ := s.addrPort(); got.String() != row.want || s.nameService() != row.nameService {
			t.Errorf("%q: %v, name service %v; want %v, %v", row.given, got, s.nameService(), row.want, row.nameService)
		}
	}
}

func FuzzSockaddr(f *testing.F) {
	f.Add([]byte("\x02\x00\x01\xbb\xc6\x12\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x00/var/run/nscd/socket\x00"))
	f.Add([]byte("\x0a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := sockaddr(b)
		if a, ok := s.addrPort(); ok && (!a.IsValid() || a.Addr().Is4In6() || s.nameService()) {
			t.Errorf("%q is %v", b, a)
		}
	})
}
