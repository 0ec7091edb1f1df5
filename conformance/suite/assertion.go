package suite

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// pageClientCredentials describes the request that every exchange is.
const pageClientCredentials = "https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"

// assertionChecks are about the assertion at the token endpoint.
func assertionChecks() []*Check {
	return slices.Concat(tokenRequestChecks(), clientAuthenticationChecks(), assertionLifeChecks(), assertionPlaceChecks())
}

// tokenRequestChecks are about the form of the request.
func tokenRequestChecks() []*Check {
	return []*Check{
		{
			ID: "AST-01", Level: Must, Tags: []string{"core"}, Title: "a form, posted to the v2.0 endpoint",
			Requirement: "A token is asked for with POST, by a form, at /{tenant}/oauth2/v2.0/token.",
			Sources:     []string{"RFC 6749 sections 3.2 and 4.4.2", pageClientCredentials},
			Provokes:    "Nothing: one exchange.",
			Passes:      "every token request is a POST with the media type application/x-www-form-urlencoded to that path",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				s.Want("method", x.Method == http.MethodPost, "POST", "%s", x.Method)
				kind, _, err := mime.ParseMediaType(x.Header.Get("Content-Type"))
				s.Want("type", err == nil && kind == "application/x-www-form-urlencoded", "application/x-www-form-urlencoded", "%q", x.Header.Get("Content-Type"))
				_, rest, _ := strings.Cut(strings.Trim(x.URL.Path, "/"), "/")
				s.Want("path", strings.EqualFold(rest, "oauth2/v2.0/token") && x.Tenant() != "", "/{tenant}/oauth2/v2.0/token", "%s", x.URL.Path)
			}),
		},
		{
			ID: "AST-02", Level: Must, Tags: []string{"core"}, Title: "the grant type client_credentials, once",
			Requirement: "The grant type is client_credentials, and is said once.",
			Sources:     []string{"RFC 6749 section 4.4.2", pageClientCredentials},
			Provokes:    "Nothing: one exchange.",
			Passes:      "every token request has exactly one grant_type, and it is client_credentials",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				s.wantParameter(x, "grant_type", "client_credentials")
			}),
		},
		{
			ID: "AST-03", Level: Must, Tags: []string{"core"}, Title: "the type of the assertion",
			Requirement: "The assertion is said to be a JWT that its bearer may use.",
			Sources:     []string{"RFC 7523 section 2.2"},
			Provokes:    "Nothing: one exchange.",
			Passes:      "every token request has the client_assertion_type urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				s.wantParameter(x, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			}),
		},
		{
			ID: "AST-04", Level: Must, Tags: []string{"core"}, Title: "the token of the managed identity, as it is",
			Requirement: "The assertion is the token of the managed identity, to the byte.",
			Sources:     []string{"RFC 7523 section 2.2", pageFIC},
			Provokes:    "Nothing: one exchange.",
			Passes:      "every token request has exactly one client_assertion, and it is a token that IMDS handed out to this client",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				values := x.Form()["client_assertion"]
				if s.Want("once", len(values) == 1, "one client_assertion", "%d", len(values)) {
					s.Want("bytes", slices.Contains(s.assertions(), values[0]), "a token from IMDS", "%d bytes that are none of them: …%q", len(values[0]), end(values[0], 12))
				}
			}),
		},
		{
			ID: "AST-05", Level: Must, Tags: []string{"core"}, Title: "the client ID of the application",
			Requirement: "The client is the application, not the managed identity that vouches for it.",
			Sources:     []string{"RFC 7521 section 4.2", pageFIC},
			Provokes:    "The client IDs of the application and of the managed identity differ.",
			Passes:      "every token request has exactly one client_id, and it is the application's",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				values := x.Form()["client_id"]
				s.Want("client_id", len(values) == 1 && strings.EqualFold(values[0], string(s.App.ClientID)), string(s.App.ClientID), "%q", values)
			}),
		},
		{
			ID: "AST-06", Level: Must, Tags: []string{"core"}, Title: "one resource in the scope",
			Requirement: "The scope names the resource that was asked for, with /.default after it, and no other.",
			Sources:     []string{pageClientCredentials, "https://github.com/Azure/azure-sdk-for-net/issues/37453"},
			Provokes:    "Nothing: one exchange.",
			Passes:      "every token request has exactly one scope, and between its spaces stand https://storage.azure.com/.default once and nothing else but openid, profile and offline_access",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: eachExchange(func(s *Session, x *lab.Exchange) {
				values := x.Form()["scope"]
				resources := slices.DeleteFunc(strings.Split(strings.Join(values, " "), " "), func(scope string) bool {
					return slices.Contains([]string{"", "openid", "profile", "offline_access"}, scope)
				})
				s.Want("scope", len(values) == 1 && slices.Equal(resources, []string{StorageScope}), StorageScope+" and no more than openid, profile and offline_access", "%q", values)
			}),
		},
	}
}

// eachExchange looks at every token request of a client that asks for one token.
// What becomes of it is for other checks.
func eachExchange(look func(*Session, *lab.Exchange)) []Case {
	return []Case{{Run: func(s *Session) {
		s.Token()
		for _, x := range s.Reached(lab.Token) {
			look(s, x)
		}
	}}}
}

// wantParameter expects a parameter of a form to be there once, with one value.
func (s *Session) wantParameter(x *lab.Exchange, name, value string) {
	values := x.Form()[name]
	s.Want(name, slices.Equal(values, []string{value}), "one "+name+"="+value, "%q", values)
}

// assertions are the tokens of managed identities that were handed out.
func (s *Session) assertions() []string {
	var all []string
	for _, x := range s.Exchanges(lab.IMDSToken, lab.EndpointToken) {
		if token := x.Issued(); token != "" {
			all = append(all, token)
		}
	}
	return all
}

// end returns the last bytes of a text, which give no token away.
func end(text string, n int) string { return text[max(0, len(text)-n):] }
