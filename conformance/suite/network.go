package suite

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// networkChecks are about networks and TLS (NET).
func networkChecks() []*Check { return slices.Concat(certificateChecks(), wireChecks()) }

// wireChecks are about how requests and answers get there.
func wireChecks() []*Check {
	return []*Check{
		{
			ID: "NET-05", Level: Should, Tags: []string{"core", "sec"}, Title: "TLS 1.2 and TLS 1.3 both work",
			Requirement: "A client gets its token from a server that has nothing but TLS 1.3, and from one that has nothing but TLS 1.2.",
			Sources:     []string{"RFC 9325 section 3.1.1"},
			Provokes:    "Every host has one version of TLS.",
			Passes:      "the client gets a token",
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: []Case{
				{Name: "TLS 1.2", Run: onlyTLS(lab.Profile{Min: tls.VersionTLS12, Max: tls.VersionTLS12})},
				{Name: "TLS 1.3", Run: onlyTLS(lab.Profile{Min: tls.VersionTLS13, Max: tls.VersionTLS13})},
			},
		},
		{
			ID: "NET-07", Level: Must, Tags: []string{"core"}, Title: "HTTP/1.1 works, and HTTP/2 where the client offers it",
			Requirement: "A client gets its token from a server that has nothing but HTTP/1.1, and from one that prefers HTTP/2, with the same form.",
			Sources:     []string{"RFC 9113 section 3.2", "RFC 9110 section 2.5"},
			Provokes:    "The login host has HTTP/1.1 alone, or HTTP/2 as well.",
			Passes:      "the client gets a token, and every exchange has the five parameters, once each, in a body of the length that it says",
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: []Case{{Name: "HTTP/1.1", Run: withProtocols("http/1.1")}, {Name: "HTTP/2 if offered", Run: withProtocols("h2", "http/1.1")}},
		},
		{
			ID: "NET-08", Level: Should, Tags: []string{"core"}, Title: "compressed answers, and those of no stated length, are read",
			Requirement: "A client reads an answer in chunks, one that ends with the connection, and one in gzip if it said that it accepts that.",
			Sources:     []string{"RFC 9110 section 8.4", "RFC 9112 section 6.3"},
			Provokes:    "IMDS and the token endpoint answer in chunks, until the end of the connection, or in gzip where the request accepts it.",
			Passes:      "the client gets a token",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"MSAL Go before 1.9.0: not met for an answer of IMDS of no stated length, now and then (observed, AzureAD/microsoft-authentication-library-for-go#634)"},
			Cases: []Case{
				{Name: "chunks", Run: encoded("chunked", false)},
				{Name: "until the end", Run: encoded("identity", false)},
				{Name: "gzip", Run: encoded("", true)},
				{Name: "gzip in chunks", Run: encoded("chunked", true)},
			},
		},
		{
			ID: "NET-09", Level: Should, Tags: []string{"core"}, Title: "a login host with IPv6 alone works",
			Requirement: "A client gets its token where the name of the login host has no address of IPv4.",
			Sources:     []string{"RFC 6724"},
			Provokes:    "The name of the login host leads to ::1 and nowhere else.",
			Passes:      "the client gets a token",
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				s.IPv6 = []string{s.Environment.LoginHost}
				s.WantToken(s.Token())
			}}},
		},
		{
			ID: "NET-10", Level: Should, Tags: []string{"core", "sec"}, Title: "HTTPS_PROXY is honoured, with CONNECT",
			Requirement: "A client reaches the login host through the proxy that HTTPS_PROXY names (inferred), in a tunnel: the proxy sees no request.",
			Sources:     []string{"RFC 9110 section 9.3.6"},
			Provokes:    "HTTPS_PROXY names a proxy.",
			Passes:      "the proxy gets CONNECT and nothing else for the login host, no connection goes there past it, and the client gets a token",
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Known: []string{"@azure/msal-node 7.2.1: not met (observed)"},
			Cases: []Case{{Run: throughProxy}},
		},
		{
			ID: "NET-11", Level: Should, Tags: []string{"core", "retry"}, Title: "a connection that the server closed meanwhile is no error",
			Requirement: "A connection that was kept for later and has been closed, or broken, is replaced by another one.",
			Sources:     []string{"RFC 9112 section 9.3.1"},
			Provokes:    "Every connection is closed, or reset, between two exchanges.",
			Passes:      "the client gets both tokens",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Alone:       true,
			Cases:       []Case{{Name: "closed", Run: disconnected(false)}, {Name: "reset", Run: disconnected(true)}},
		},
		{
			ID: "NET-12", Level: Should, Tags: []string{"core"}, Title: "clocks that differ a little break nothing",
			Requirement: "A client gets its token though the server's clock is 10 minutes ahead or behind, or a token begins in a minute.",
			Sources:     []string{"RFC 7519 section 4.1.5", "RFC 9110 section 6.6.1"},
			Provokes:    "The header Date of all answers is 10 minutes off, or not_before of the managed identity's token is a minute ahead.",
			Passes:      "the client gets a token",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{
				{Name: "10 minutes ahead", Run: dated(10 * time.Minute)},
				{Name: "10 minutes behind", Run: dated(-10 * time.Minute)},
				{Name: "not_before in a minute", Run: func(s *Session) {
					r := s.Fault(lab.IMDSToken, 0, lab.Members(map[string]any{"not_before": fmt.Sprint(time.Now().Add(time.Minute).Unix())}))
					if s.WantToken(s.Token()) {
						s.Armed(r)
					}
				}},
			},
		},
		{
			ID: "NET-14", Level: May, Tags: []string{"core"}, Title: "text is UTF-8",
			Requirement: "What a client shows of an error, and the names of blobs, are read as UTF-8.",
			Sources:     []string{"RFC 8259 section 8.1"},
			Provokes:    "The description of a refusal, or a blob's name, has letters outside ASCII.",
			Passes:      "the error's text has the description as it was sent, if it has it at all; the list has the name",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{
				{Name: "error_description", Run: describedInUTF8},
				{Name: "blob", Needs: []driver.Capability{driver.Blob}, Run: func(s *Session) {
					s.Account.PutBlob("reports", unusualName, []byte("1"))
					got := s.List()
					s.Want("name", slices.Contains(got.Items, unusualName), "the name "+unusualName, "%q, %s", got.Items, got)
				}},
			},
		},
		{
			ID: "NET-15", Level: Must, Tags: []string{"sec"}, Title: "nobody else is contacted",
			Requirement: "A client contacts the endpoint of the managed identity, the login host and the resource. What it asks IMDS about its region is allowed, and in the report.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/blob/main/README.md"},
			Provokes:    "Nothing; there is no other network.",
			Passes:      "no other name is looked up, no other address is connected to, and no host that nothing leads to is reached",
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				s.use()
				s.Reached(lab.IMDSToken)
			}, After: func(s *Session) {
				leaks := s.Leaks()
				s.Want("elsewhere", len(leaks) == 0, "nothing", "%s", strings.Join(leaks, ", "))
				s.WantUntouched("trap", lab.Trap)
			}}},
		},
	}
}

func onlyTLS(p lab.Profile) func(*Session) {
	return func(s *Session) {
		s.SetTLS("", p)
		s.WantToken(s.Token())
	}
}

func withProtocols(names ...string) func(*Session) {
	return func(s *Session) {
		s.SetTLS(s.Environment.LoginHost, lab.Profile{Protocols: names})
		got := s.Token()
		for _, x := range s.Exchanges(lab.Token) {
			for _, name := range []string{"grant_type", "client_id", "scope", "client_assertion_type", "client_assertion"} {
				values := x.Form()[name]
				s.Want("form", len(values) == 1 && values[0] != "", "one "+name, "%d over %s", len(values), x.Proto)
			}
			if length := x.Header.Get("Content-Length"); length != "" {
				s.Want("length", length == fmt.Sprint(len(x.Body)), fmt.Sprintf("a body of %s bytes", length), "%d over %s", len(x.Body), x.Proto)
			}
		}
		s.WantToken(got)
	}
}

// encoded has both token endpoints answer with a transfer encoding, and compressed
// where the client accepts it. HTTP/2 has no transfer encodings.
func encoded(transfer string, compressed bool) func(*Session) {
	return func(s *Session) {
		s.SetTLS(s.Environment.LoginHost, lab.Profile{Protocols: []string{"http/1.1"}})
		act := func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
			a := next()
			if compressed && strings.Contains(x.Header.Get("Accept-Encoding"), "gzip") {
				a.Body = gzipped(a.Body)
				a.Header.Set("Content-Encoding", "gzip")
			}
			if transfer != "" {
				a.Header.Set("Transfer-Encoding", transfer)
			}
			return a
		}
		r := s.Fault(lab.IMDSToken, 0, act)
		s.Fault(lab.Token, 0, act)
		if s.WantToken(s.Token()) {
			s.Armed(r)
		}
	}
}

func gzipped(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// throughProxy lets no client to the login host but through the proxy.
func throughProxy(s *Session) {
	s.Proxy = true
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		s.Environ = append(s.Environ, fmt.Sprintf("%s=http://127.0.0.1:%d", name, stage.ProxyPort))
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		s.Environ = append(s.Environ, name+"=169.254.169.254,localhost,127.0.0.1")
	}
	got := s.Token()
	host, tunnels := s.Environment.LoginHost, 0
	for _, x := range s.Exchanges(lab.Connect) {
		if strings.HasPrefix(strings.ToLower(x.Host), host) {
			tunnels++
		}
	}
	s.Want("connect", tunnels > 0, "CONNECT "+host+":443", "%d", tunnels)
	direct := len(s.handshakes(host)) - tunnels
	s.Want("direct", direct <= 0, "no connection past the proxy", "%d", direct)
	for _, x := range s.Exchanges(lab.Proxy) {
		s.Want("request", !strings.EqualFold(x.URL.Hostname(), host), "no request that the proxy can read", "%s %s", x.Method, shorten(x.URL.Redacted(), 120))
	}
	s.wantNoSecret("secret", lab.Connect, lab.Proxy)
	s.WantToken(got)
}

// handshakes returns those that clients began with a host.
func (s *Session) handshakes(host string) []lab.Hello {
	return slices.DeleteFunc(s.Hellos(), func(h lab.Hello) bool { return !strings.EqualFold(h.ServerName, host) })
}

func disconnected(reset bool) func(*Session) {
	return func(s *Session) {
		first := s.Token()
		s.Disconnect(reset)
		s.Pause(time.Second)
		second := s.Ask(driver.TokenRequest{Scopes: []string{vaultScope}})
		s.Want("first", first.OK(), "a token", "%s", first)
		s.WantToken(second)
	}
}

// dated has every answer of the token endpoints come from a server whose clock is
// off.
func dated(by time.Duration) func(*Session) {
	return func(s *Session) {
		date := lab.Edit(func(a *lab.Answer) { a.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat)) })
		s.Fault(lab.IMDSToken, 0, date)
		r := s.Fault(lab.Token, 0, date)
		if s.WantToken(s.Token()) {
			s.Armed(r)
		}
	}
}

// Text that is another one when it is not read as UTF-8.
const (
	unusualName = "Zürich/東京 №1 ☂.csv"
	unusualText = "Locked application «Zürich–東京»"
)

// describedInUTF8 looks for the description in the client's error. Its type has
// no charset: JSON is UTF-8.
func describedInUTF8(s *Session) {
	refusal := lab.JSON(http.StatusBadRequest, map[string]any{
		"error": "unauthorized_client", "error_description": "AADSTS7000112: " + unusualText, "error_codes": []int{7000112},
	}).With("Content-Type", "application/json")
	r := s.Fault(lab.Token, 0, lab.Always(refusal))
	got := s.Token()
	s.Armed(r)
	s.WantError(got)
	const marker = "Locked application"
	shown := !strings.Contains(got.Message(), marker) || strings.Contains(got.Message(), unusualText) || strings.Contains(got.Message(), escaped(unusualText))
	s.Want("text", shown, unusualText, "%s", got)
}

// escaped is a text as it is within JSON of ASCII alone.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
