package suite

import (
	"maps"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// grantParameters belong into the body of a token request, and nowhere else.
var grantParameters = []string{"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "resource", "claims"}

// clientAuthenticationChecks are about how a token request proves who sends it.
func clientAuthenticationChecks() []*Check {
	return []*Check{
		{
			ID: "AST-07", Level: Must, Tags: []string{"core"}, Title: "one authentication, not two",
			Requirement: "A client that has an assertion authenticates by nothing else, also where a client secret lies about.",
			Sources:     []string{`RFC 6749 section 2.3 ("MUST NOT use more than one authentication method in each request")`},
			Provokes:    "The environment has AZURE_CLIENT_SECRET.",
			Passes:      "no token request has a client_secret or a header Authorization",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				const secret = "8Q~a-secret-that-nobody-configured"
				s.Secret("the client secret", secret)
				s.Environ = append(s.Environ, "AZURE_CLIENT_SECRET="+secret)
				s.Token()
				for _, x := range s.Reached(lab.Token) {
					s.Want("secret", !x.Form().Has("client_secret") && !x.Query().Has("client_secret"), "no client_secret", "one")
					s.Want("header", len(x.Header.Values("Authorization")) == 0, "no header Authorization", "%d", len(x.Header.Values("Authorization")))
				}
			}}},
		},
		{
			ID: "AST-08", Level: Must, Tags: []string{"core"}, Title: "nothing of the grant in the URL",
			Requirement: "Credentials and parameters of the grant are in the body; URLs end up in logs.",
			Sources:     []string{"RFC 6749 sections 2.3.1 and 3.2"},
			Provokes:    "Nothing: one exchange.",
			Passes:      "the query of a token request has no parameter of the grant, and none that the body has, but for client-request-id and what begins with x-",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				form := x.Form()
				var both []string
				for _, name := range slices.Sorted(maps.Keys(x.Query())) {
					telemetry := name == "client-request-id" || strings.HasPrefix(strings.ToLower(name), "x-")
					if slices.Contains(grantParameters, strings.ToLower(name)) || form.Has(name) && !telemetry {
						both = append(both, name)
					}
				}
				s.Want("query", len(both) == 0, "a query without parameters of the grant", "%q", both)
			}),
		},
		{
			ID: "AST-09", Level: Must, Tags: []string{"core"}, Title: "no parameter twice",
			Requirement: "No parameter of a token request is sent more than once.",
			Sources:     []string{"RFC 6749 section 3.2"},
			Provokes:    "Nothing: one exchange.",
			Passes:      "every parameter in the body of a token request is there once",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				var twice []string
				for name, values := range x.Form() {
					if len(values) > 1 {
						twice = append(twice, name)
					}
				}
				slices.Sort(twice)
				s.Want("once", len(twice) == 0, "each parameter once", "%q more often", twice)
			}),
		},
	}
}
