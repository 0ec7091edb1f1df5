package suite

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// assertionPlaceChecks are about where assertions are sent.
func assertionPlaceChecks() []*Check {
	return []*Check{
		{
			ID: "AST-12", Level: Must, Tags: []string{"core", "sec"}, Title: "the assertion goes to the token endpoint alone",
			Requirement: "Whoever has the assertion can sign in as the application. It is sent to the token endpoint of the authority, and nowhere else.",
			Sources:     []string{"RFC 7521 section 8", "RFC 6819 section 5.1"},
			Provokes:    "Nothing: a token is asked for and, where the client can, used for Blob storage.",
			Passes:      "no request has a token of the managed identity in its URL, a header or its body, but for the bodies of token requests at a login host of the cloud",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{
				Run: func(s *Session) {
					s.use()
					s.Reached(lab.Token)
				},
				After: func(s *Session) { // what it sends at its end counts, too
					var elsewhere []string
					for _, x := range s.Exchanges() {
						if where := s.assertionIn(x); where != "" {
							elsewhere = append(elsewhere, where+" of "+x.Method+" "+x.URL.Host+shorten(x.URL.Path, 80))
						}
					}
					s.Want("elsewhere", len(elsewhere) == 0, "the assertion in bodies of token requests alone", "it is in %s", strings.Join(elsewhere, ", "))
				},
			}},
		},
		{
			ID: "AST-13", Level: Must, Tags: []string{"core", "sec"}, Title: "a redirect takes the assertion nowhere",
			Requirement: "A redirect of the token endpoint to another host is not followed, or without the assertion.",
			Sources:     []string{"RFC 9110 section 15.4", "RFC 9700 section 4.12", "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/6165"},
			Provokes:    "The token endpoint answers with a redirect to a host outside Azure.",
			Passes:      "no request that reaches that host has a secret",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       redirected,
			Cases: tokenRedirects(func(s *Session) {
				s.wantNoSecret("trap", lab.Trap)
			}, toTrap(http.StatusMovedPermanently), toTrap(http.StatusFound), toTrap(http.StatusTemporaryRedirect), toTrap(http.StatusPermanentRedirect)),
		},
		{
			ID: "AST-14", Level: Must, Tags: []string{"core", "sec"}, Title: "a redirect does not take the assertion off TLS",
			Requirement: "A redirect of the token endpoint to http is not followed, or without the assertion, also on the same host.",
			Sources:     []string{"RFC 6749 section 3.2", "RFC 9110 section 15.4"},
			Provokes:    "The token endpoint answers with a redirect to its own URL with http.",
			Passes:      "no request that reaches port 80 of the login host has a secret",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       redirected,
			Cases: tokenRedirects(func(s *Session) {
				s.wantNoSecret("cleartext", lab.Cleartext)
			}, toClear(http.StatusFound), toClear(http.StatusTemporaryRedirect), toClear(http.StatusPermanentRedirect)),
		},
		{
			ID: "AST-15", Level: Must, Tags: []string{"core", "sec"}, Title: "no token from where a redirect led",
			Requirement: "What another host, or one without TLS, answers after a redirect is never taken for a token.",
			Sources:     []string{"RFC 6749 section 3.2", "RFC 9110 section 15.4"},
			Provokes:    "The token endpoint answers with a redirect; where it leads, there is a token.",
			Passes:      "the client does not return that token",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       redirected,
			Cases:       tokenRedirects(nil, toTrap(http.StatusFound), toTrap(http.StatusTemporaryRedirect), toClear(http.StatusTemporaryRedirect)),
		},
	}
}

// redirected is what was seen of redirects of the token endpoint.
var redirected = []string{"azidentity 1.15.0: not met (observed)", "MSAL Go 1.10.1: not met (observed)", "MSAL Node 7.2.1: not met (observed)", "MSAL for Python 1.39.0: not met (observed)", "MSAL4J 1.26.0: not met for 301, 302 and 307 to https (observed)"}

// A redirect is where the token endpoint sends a client.
type redirect struct {
	status int
	to     string // trap or clear
}

func toTrap(status int) redirect  { return redirect{status, "trap"} }
func toClear(status int) redirect { return redirect{status, "clear"} }

// tokenRedirects returns a case for each redirect. look judges; nil stands for a look
// at the token that the client came back with.
func tokenRedirects(look func(*Session), all ...redirect) []Case {
	var cases []Case
	for _, r := range all {
		name := status(r.status) + " to another host"
		if r.to == "clear" {
			name = status(r.status) + " to http"
		}
		cases = append(cases, Case{Name: name, Run: func(s *Session) {
			rule := s.Fault(lab.Token, 0, func(x *lab.Exchange, _ func() *lab.Answer) *lab.Answer {
				u := *x.URL
				u.Host, u.Scheme = lab.TrapDomain, "https"
				if r.to == "clear" {
					u.Host, u.Scheme = x.URL.Host, "http"
				}
				return &lab.Answer{Status: r.status, Header: http.Header{"Location": {u.String()}}}
			})
			got := s.Token()
			s.Armed(rule)
			if look != nil {
				look(s)
				return
			}
			var theirs []string
			for _, x := range s.Exchanges(lab.Trap, lab.Cleartext) {
				theirs = append(theirs, x.Issued())
			}
			s.Want("token", got.Token == "" || !slices.Contains(theirs, got.Token), "no token from there", "it")
		}})
	}
	return cases
}

// loginHost reports whether a request is to a login host of a cloud, also to that of
// a region, which clients may ask IMDS for.
func loginHost(cloud fakeentra.Environment, x *lab.Exchange) bool {
	host := strings.ToLower(x.URL.Hostname())
	return slices.Contains(cloud.LoginAliases, host) || cloud.Regional(host)
}

// assertionIn says where in a request there is a token of a managed identity that
// should not be there, or nothing.
func (s *Session) assertionIn(x *lab.Exchange) string {
	for _, token := range s.assertions() {
		if strings.Contains(x.Target, token) {
			return "the URL"
		}
		for name, values := range x.Header {
			if strings.Contains(strings.Join(values, " "), token) {
				return "the header " + name
			}
		}
		if strings.Contains(string(x.Body), token) && (x.Op != lab.Token || !loginHost(s.Environment, x)) {
			return "the body"
		}
	}
	return ""
}
