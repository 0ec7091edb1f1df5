package suite

import (
	"crypto/tls"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// certificateChecks are about servers that are not who they say they are.
func certificateChecks() []*Check {
	return []*Check{
		{
			ID: "NET-01", Level: Must, Tags: []string{"sec"}, Title: "a certificate of an unknown authority is refused",
			Requirement: "Nothing is sent to a host whose certificate nobody trusted has issued.",
			Sources:     []string{"RFC 6749 section 1.6", "RFC 6750 section 5.3"},
			Provokes:    "The login host, or storage, shows a certificate of an authority that the client does not know.",
			Passes:      "no request reaches that host, and the client fails",
			Cost:        Timed,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: impostors("", lab.Profile{Unknown: true}),
		},
		{
			ID: "NET-02", Level: Must, Tags: []string{"sec"}, Title: "a certificate of another name is refused",
			Requirement: "Nothing is sent to a host whose certificate is for another one.",
			Sources:     []string{"RFC 9110 section 4.3.4"},
			Provokes:    "The login host, or storage, shows a trusted certificate for other.example.com.",
			Passes:      "no request reaches that host, and the client fails",
			Cost:        Timed,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: impostors("", lab.Profile{Name: "other.example.com"}),
		},
		{
			ID: "NET-03", Level: Must, Tags: []string{"sec"}, Title: "a certificate outside its time is refused",
			Requirement: "Nothing is sent to a host whose certificate has expired, or has not begun.",
			Sources:     []string{"RFC 5280 section 6"},
			Provokes:    "The login host, or storage, shows a certificate that ended an hour ago, or begins tomorrow.",
			Passes:      "no request reaches that host, and the client fails",
			Cost:        Timed,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: append(impostors("expired", lab.Profile{NotBefore: -48 * time.Hour, NotAfter: -time.Hour}),
				impostors("not yet valid", lab.Profile{NotBefore: 24 * time.Hour})...),
		},
		{
			ID: "NET-04", Level: Must, Tags: []string{"sec"}, Title: "TLS before 1.2 is refused",
			Requirement: "No connection is made with TLS 1.0 or TLS 1.1.",
			Sources:     []string{"RFC 9325 section 3.1.1", "RFC 8996"},
			Provokes:    "The login host, or storage, has TLS 1.1, or TLS 1.0, at most.",
			Passes:      "no request reaches that host, and the client fails",
			Cost:        Timed,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Cases: append(impostors("TLS 1.1", outdated(tls.VersionTLS11)), impostors("TLS 1.0", outdated(tls.VersionTLS10))...),
		},
		{
			ID: "NET-06", Level: Should, Tags: []string{"sec", "retry"}, Title: "a bad certificate is an error at once",
			Requirement: "A certificate that is refused is not tried again: it does not get better by itself (inferred).",
			Sources:     []string{"RFC 8446 section 6.2"},
			Provokes:    "The login host shows a certificate of an authority that the client does not know.",
			Passes:      "the client gives up after 3 handshakes at most, of which two may be for documents that it can do without",
			Cost:        Timed,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Known: []string{"azidentity 1.15.0: not met (observed)", "azure-identity for Python 1.27.0: not met (observed)"},
			Cases: []Case{{Run: func(s *Session) {
				s.SetTLS(s.Environment.LoginHost, lab.Profile{Unknown: true})
				got := s.UpTo(longEnough, s.Token)
				hellos := s.begun(s.Environment.LoginHost)
				if len(hellos) == 0 {
					return
				}
				s.Want("handshakes", len(hellos) <= 3, "3 handshakes at most", "%d", len(hellos))
				s.Want("ended", !s.left, "an end", "%s", got)
			}}},
		},
		{
			ID: "NET-13", Level: Should, Tags: []string{"sec", "core"}, Title: "an authority of one's own is trusted, and verification goes on",
			Requirement: "A certificate authority that is installed in the way of the platform is trusted (inferred). It turns no verification off, also not for hosts that were verified before.",
			Sources:     []string{"RFC 6749 section 10.9", "RFC 9110 section 4.3.4"},
			Provokes:    "Every certificate is of the suite's own authority, which is installed. Later the login host shows one of an authority that is not.",
			Passes:      "the client gets a token; after the change no request reaches the login host",
			Cost:        Timed,
			Names:       true, Needs: []driver.Capability{driver.IMDS},
			Known: []string{"MSAL4J 1.15.1 with an SSLSocketFactory of one's own: not met (reported)"},
			Alone: true,
			Cases: []Case{
				{Name: "installed", Run: func(s *Session) { s.WantToken(s.Token()) }},
				{Name: "changed later", Run: func(s *Session) {
					first := s.Token()
					s.Want("first", first.OK(), "a token", "%s", first)
					s.SetTLS(s.Environment.LoginHost, lab.Profile{Unknown: true})
					s.Disconnect(false)
					s.Pause(time.Second) // for the client to see it: a POST on a connection that ends is not sent again
					handshakes, requests := len(s.handshakes(s.Environment.LoginHost)), s.requestsTo(s.Environment.LoginHost)
					second := s.UpTo(longEnough, func() Got { return s.Ask(driver.TokenRequest{Scopes: []string{vaultScope}}) })
					s.Proven(len(s.handshakes(s.Environment.LoginHost)) > handshakes, "another handshake with the login host")
					more := s.requestsTo(s.Environment.LoginHost) - requests
					s.Want("request", more == 0, "no request to the login host", "%d", more)
					s.WantError(second)
				}},
			},
		},
	}
}

// longEnough is how long clients have for what is refused. Some try for a minute or
// two, and do nothing new.
const longEnough = 12 * time.Second

// impostors returns a case for the login host, and one for storage, that do TLS in
// a way which clients must refuse.
func impostors(name string, p lab.Profile) []Case {
	if name != "" {
		name += " at "
	}
	return []Case{
		{Name: name + "the login host", Run: func(s *Session) {
			s.wantRefused(s.Environment.LoginHost, p, s.Token)
		}},
		{Name: name + "storage", Needs: []driver.Capability{driver.Blob}, Run: func(s *Session) {
			s.wantRefused(strings.TrimPrefix(s.Account.Endpoint(), "https://"), p, s.List)
		}},
	}
}

// outdated is TLS of a version at most. HTTP/2 would not do with it (RFC 9113 section
// 9.2).
func outdated(version uint16) lab.Profile {
	return lab.Profile{Max: version, Protocols: []string{"http/1.1"}}
}

// wantRefused expects a client to send nothing to a host that does TLS in some way.
func (s *Session) wantRefused(host string, p lab.Profile, do func() Got) {
	s.SetTLS(host, p)
	got := s.UpTo(longEnough, do)
	s.begun(host)
	n := s.requestsTo(host)
	s.Want("request", n == 0, "no request to "+host, "%d", n)
	s.WantError(got)
}

// begun is [Session.handshakes], of which the case is about: where there is none, it
// proves nothing.
func (s *Session) begun(host string) []lab.Hello {
	seen := s.handshakes(host)
	s.Proven(len(seen) > 0, "a handshake with "+host)
	return seen
}

// requestsTo returns how many requests came to a host through TLS.
func (s *Session) requestsTo(host string) int {
	n := 0
	for _, x := range s.Exchanges() {
		if x.Door == "https" && strings.EqualFold(x.URL.Hostname(), host) {
			n++
		}
	}
	return n
}
