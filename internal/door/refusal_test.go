package door

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// A provocation is a request to a proxy on a laptop that is refused with a row
// of the table. {self} is the proxy's address, and {gone} one on loopback where
// nobody listens.
type provocation struct {
	no               *Refusal
	name, send, want string
}

func provocations() []provocation {
	return []provocation{
		{unknownHost, "an unknown host", "GET http://x.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			`404 Not Found|{"error":"unknown_host","error_description":"fakeentra: no emulated host x.example; known: ` + known + `"}`},
		{unknownTunnel, "CONNECT to an unknown host", "CONNECT x.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
			"502 fakeentra: no emulated host x.example; known: " + known + "|fakeentra: no emulated host x.example; known: " + known + "\n"},
		{unknownTunnel, "CONNECT to port 80 of an unknown host", "CONNECT x.example:80 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
			"502 fakeentra: no emulated host x.example; known: " + known + "|fakeentra: no emulated host x.example; known: " + known + "\n"},
		{noMetadata, "CONNECT to the metadata service of a laptop", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
			`502 fakeentra: the host "vm1" has no metadata service: nothing answers at 169.254.169.254|fakeentra: the host "vm1" has no metadata service: nothing answers at 169.254.169.254` + "\n"},
		{badTarget, "CONNECT without a port", "CONNECT login.microsoftonline.com HTTP/1.1\r\nHost: x\r\n\r\n",
			`400 fakeentra: cannot connect to "login.microsoftonline.com"; expected a host, a colon and a port from 1 to 65535|fakeentra: cannot connect to "login.microsoftonline.com"; expected a host, a colon and a port from 1 to 65535` + "\n"},
		{badScheme, "a scheme that is not http", "GET ftp://login.microsoftonline.com/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			`400 Bad Request|{"error":"bad_scheme","error_description":"fakeentra: this proxy has no way to request \"ftp://login.microsoftonline.com/\"; expected an http URL, or CONNECT for https"}`},
		{proxyOnly, "a request to the proxy itself", "GET /metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			`400 Bad Request|{"error":"this_is_a_proxy","error_description":"fakeentra: this is a forward proxy, and it was asked for /metadata as if it were the server itself; set HTTP_PROXY and HTTPS_PROXY to http://{self} and request the real URLs, such as http://169.254.169.254/metadata/identity/oauth2/token"}`},
		{proxyOnly, "HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
			`400 Bad Request|{"error":"this_is_a_proxy","error_description":"fakeentra: this is a forward proxy, and it was asked for * as if it were the server itself; set HTTP_PROXY and HTTPS_PROXY to http://{self} and request the real URLs, such as http://169.254.169.254/metadata/identity/oauth2/token"}`},
		{loopbackFailure, "a loopback address where nobody listens", "GET http://{gone}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			`502 Bad Gateway|{"error":"loopback_unreachable","error_description":"fakeentra: {gone} is on the loopback interface, where it was tried for real and failed: dial tcp {gone}: connect: connection refused"}`},
		{loopbackFailure, "CONNECT to a loopback address where nobody listens", "CONNECT {gone} HTTP/1.1\r\nHost: x\r\n\r\n",
			"502 fakeentra: {gone} is on the loopback interface, where it was tried for real and failed: dial tcp {gone}: connect: connection refused|fakeentra: {gone} is on the loopback interface, where it was tried for real and failed: dial tcp {gone}: connect: connection refused\n"},
		{unreadable, "a body that is not what its headers say", "POST http://login.windows.net/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
			`400 Bad Request|{"error":"unreadable_body","error_description":"fakeentra: the request body cannot be read: invalid byte in chunk length"}`},
	}
}

func TestEveryRefusalIsProvoked(t *testing.T) {
	p := newProxy(t)
	p.NoMetadata = true
	self := proxying(t, p)
	l := listen(t)
	_ = l.Close()
	fill := strings.NewReplacer("{self}", self, "{gone}", l.Addr().String())
	provoked := map[*Refusal]bool{}
	for _, tc := range provocations() {
		got := exchange(t, self, fill.Replace(tc.send))
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		line, _, _ := strings.Cut(head, "\r\n")
		if got, want := strings.TrimPrefix(line, "HTTP/1.1 ")+"|"+body, fill.Replace(tc.want); got != want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, want)
		}
		provoked[tc.no] = strings.HasPrefix(tc.want, strconv.Itoa(tc.no.Status))
	}
	for _, no := range refusals {
		if !provoked[no] {
			t.Errorf("no test provokes %s (%d): %s", no.Code, no.Status, no.Text)
		}
	}
}

func TestEveryRefusalIsComplete(t *testing.T) {
	for _, no := range Refusals() {
		if no.Code == "" || http.StatusText(no.Status) == "" || no.Text == "" || no.Source == "" {
			t.Errorf("the row has gaps: %+v", no)
		}
	}
}

// FuzzConnectTarget asks for tunnels to anything. What is accepted names a host
// and a port, and stays the same when it is split again.
func FuzzConnectTarget(f *testing.F) {
	for _, s := range []string{"login.microsoftonline.com:443", "LOCALHOST.:1", "[::1]:80", "::1:80", "a:b:c", ":443", "a:", "a:0", "a:65536", "a:+1", "[::1%25lo]:80", "a:443:", ".:1", "..:1", "\x00:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		hostname, port, ok := splitTarget(target)
		if !ok {
			return
		}
		again, samePort, ok := splitTarget(net.JoinHostPort(hostname, port))
		if !ok || samePort != port || again != hostname {
			t.Errorf("%q is split into %q and %q, and those into %q and %q, %v", target, hostname, port, again, samePort, ok)
		}
		if strings.ContainsAny(phrase([]byte(target)), "\r\n\x00") {
			t.Errorf("%q makes a reason phrase of more than one line", target)
		}
	})
}
