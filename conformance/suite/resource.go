package suite

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// usesBlobs is what a driver has to be capable of for checks of the resource.
var usesBlobs = []driver.Capability{driver.IMDS, driver.Blob}

// resourceChecks are about the use of the token (RES).
func resourceChecks() []*Check { return slices.Concat(bearerChecks(), originChecks()) }

// bearerChecks are about which token is used, and how often a new one is got.
func bearerChecks() []*Check {
	return []*Check{
		{
			ID: "RES-01", Level: Must, Tags: []string{"res", "core"}, Title: "the token is sent as Authorization: Bearer, and nowhere else",
			Requirement: "A request to a resource has one header Authorization, which is Bearer, a blank and the token. The token is neither in its URL nor in its body.",
			Sources:     []string{"RFC 6750 section 2.1", "RFC 6750 section 2.3", "RFC 6750 section 5.3"},
			Provokes:    "Nothing: the client lists the blobs of a container.",
			Passes:      "no request has more than one header Authorization, each of those has the form of RFC 6750, no token is in a URL or a body, and the list is complete",
			Names:       true, Needs: usesBlobs,
			Cases: []Case{{Run: func(s *Session) {
				got := s.List()
				for _, x := range s.Reached(lab.Blob) {
					// Some clients send one without, to be told what is asked for.
					if values := x.Header.Values("Authorization"); len(values) > 0 {
						s.Want("header", len(values) == 1 && bearerForm().MatchString(values[0]), "one header Authorization: Bearer TOKEN", "%q", values)
					}
					s.Want("elsewhere", !s.mentions(x.Target) && !s.mentions(string(x.Body)), "no token in the URL or the body", "%s %s with a body of %d bytes", x.Method, x.Target, len(x.Body))
				}
				s.wantBlobs(got)
			}}},
		},
		{
			ID: "RES-02", Level: Must, Tags: []string{"res", "core"}, Title: "the application's token is used, not the managed identity's",
			Requirement: "What reaches a resource is the token that the exchange gave to the application, for that resource. The token of the managed identity is nothing but the assertion.",
			Sources:     []string{pageFIC},
			Provokes:    "Nothing: the client lists the blobs of a container.",
			Passes:      "each token that reaches storage has the application as appid or azp, and storage as aud",
			Names:       true, Needs: usesBlobs,
			Cases: []Case{{Run: func(s *Session) {
				got := s.List()
				s.Reached(lab.Blob)
				for _, token := range s.bearers() {
					app := applicationOf(token)
					s.Want("application", strings.EqualFold(app, string(s.App.ClientID)), "a token of the application "+string(s.App.ClientID), "one of %q", app)
					aud := lab.Claim(token, "aud")
					s.Want("audience", s.isStorage(aud), "a token for storage", "one for %q", aud)
				}
				s.wantBlobs(got)
			}}},
		},
		{
			ID: "RES-09", Level: Must, Tags: []string{"res", "retry"}, Title: "a resource that says no is not answered by exchange after exchange",
			Requirement: "A 401 without a challenge, or a 403, from a resource is an error. At most one new token is tried.",
			Sources:     []string{"RFC 9110 section 15.5.4"},
			Provokes:    "Storage answers 403, or 401 without a challenge, to every request with a token.",
			Passes:      "2 exchanges and 3 requests with a token to storage at most, and the client fails",
			Names:       true, Needs: usesBlobs,
			Cases: []Case{
				{Name: status(http.StatusForbidden), Run: denied(blobError(http.StatusForbidden, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission."))},
				{Name: status(http.StatusUnauthorized), Run: denied(blobError(http.StatusUnauthorized, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format. Check the value of Authorization header."))},
			},
		},
		{
			ID: "RES-10", Level: Should, Tags: []string{"res", "retry"}, Title: "a resource that is busy is asked again with the same token",
			Requirement: "Another attempt at a resource that was busy or unavailable is made with the token of the first one.",
			Sources:     []string{"RFC 9110 section 15.6.4", "RFC 6585 section 4"},
			Provokes:    "Storage answers 503, or 429, to two requests. The list is asked for again if the client does not try again by itself.",
			Passes:      "one exchange, and the list is complete",
			Cost:        Timed,
			Names:       true, Needs: usesBlobs,
			Cases: []Case{
				{Name: status(http.StatusServiceUnavailable), Run: busy(blobError(http.StatusServiceUnavailable, "ServerBusy", "The server is busy."))},
				{Name: status(http.StatusTooManyRequests), Run: busy(blobError(http.StatusTooManyRequests, "TooManyRequests", "There are too many requests."))},
			},
		},
		{
			ID: "RES-11", Level: Should, Tags: []string{"res", "tenant"}, Title: "two accounts of two tenants get each their own token",
			Requirement: "A process that uses the accounts of two tenants sends to each a token of that account's tenant.",
			Sources:     []string{"RFC 6750 section 5.2"},
			Provokes:    "Two clients of one process, each of its own tenant, list two accounts in turn.",
			Passes:      "every token that reaches an account is of the account's tenant, and all lists are complete",
			Names:       true, Needs: usesBlobs,
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.Tenants = 1 },
				Run: func(s *Session) {
					other := s.Config
					other.Tenant, other.Endpoints.Blob = string(s.Tenants[0].ID), s.Accounts[0].Endpoint()
					clients := []*Client{s.Default(), s.Open(other)}
					containers := []string{s.Container(), lab.ContainerOf(s.Accounts[0])}
					for i := range 4 {
						s.wantBlobs(clients[i%2].Use(driver.ListBlobs, containers[i%2]))
					}
					for _, x := range s.Reached(lab.Blob) {
						if token := x.Bearer(); applicationOf(token) == string(s.App.ClientID) { // others are for RES-02
							want := s.Config.Tenant
							if strings.HasPrefix(x.URL.String(), containers[1]) {
								want = other.Tenant
							}
							s.Want("tenant", lab.Claim(token, "tid") == want, "a token of the tenant "+want+" at "+x.URL.Hostname(), "one of %q", lab.Claim(token, "tid"))
						}
					}
				},
			}},
		},
		{
			ID: "RES-12", Level: Should, Tags: []string{"res", "cache"}, Title: "a list goes on when the token expires between its pages",
			Requirement: "A list of many pages gets a new token, once, when the one that it began with has expired.",
			Sources:     []string{"https://github.com/Azure/azure-sdk-for-js/issues/22722"},
			Provokes:    "The list comes in pages of one blob. The first token lives for 8 s, and the first page takes 9 s.",
			Passes:      "two exchanges, and the list is complete",
			Cost:        Timed,
			Names:       true, Needs: usesBlobs,
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = 40 * time.Second
				s.Fault(lab.Token, 1, s.shortLived(8*time.Second))
				pages := s.Pages(1)
				first := s.Fault(lab.Blob, 0, func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
					a := pages(x, next)
					if !x.Query().Has("marker") {
						a.Delay = 9 * time.Second
					}
					return a
				})
				got := s.List()
				s.Armed(first)
				s.WantCount("exchanges", lab.Token, 2, 2)
				s.wantBlobs(got)
			}}},
		},
	}
}

// bearerForm is that of RFC 6750; the names of schemes may have any letter case
// (RFC 9110 section 11.1).
var bearerForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?i:Bearer) [A-Za-z0-9._~+/-]+=*$`) })

// blobError is a refusal in the form that storage has.
func blobError(status int, code, message string) *lab.Answer {
	return lab.Text(status, "application/xml", `<?xml version="1.0" encoding="utf-8"?><Error><Code>`+code+`</Code><Message>`+message+`</Message></Error>`).With("X-Ms-Error-Code", code)
}

func denied(a *lab.Answer) func(*Session) {
	return func(s *Session) {
		r := s.withToken(0, lab.Always(a))
		got := s.UpTo(longEnough, s.List)
		s.Armed(r)
		s.WantCount("exchanges", lab.Token, 1, 2)
		n := len(s.bearers())
		s.Want("requests", n >= 1 && n <= 3, "1 to 3 requests with a token", "%d", n)
		s.WantError(got)
	}
}

func busy(a *lab.Answer) func(*Session) {
	return func(s *Session) {
		s.Patience = 75 * time.Second // some wait for a quarter of a minute each time
		r := s.Fault(lab.Blob, 2, lab.Always(a.With("Retry-After", "1")))
		got := s.List()
		for n := 0; n < 2 && !got.OK(); n++ {
			got = s.List()
		}
		s.Armed(r)
		s.WantCount("exchanges", lab.Token, 1, 1)
		s.wantBlobs(got)
	}
}

// shortLived has the token endpoint hand out a token that ends soon, and says so.
func (s *Session) shortLived(life time.Duration) lab.Act {
	return func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
		a := next()
		claims := lab.Claims(issued(a))
		if claims == nil {
			return a
		}
		for _, name := range []string{"iat", "nbf", "exp"} {
			delete(claims, name)
		}
		return lab.Members(map[string]any{
			"access_token": s.Forge(claims, life), "expires_in": int(life.Seconds()), "ext_expires_in": int(life.Seconds()), "refresh_in": lab.Absent,
		})(x, func() *lab.Answer { return a })
	}
}

// bearers returns the tokens that reached storage.
func (s *Session) bearers() []string {
	var all []string
	for _, x := range s.Exchanges(lab.Blob) {
		if token := x.Bearer(); token != "" {
			all = append(all, token)
		}
	}
	return all
}

// applicationOf returns the application that a token was issued to.
func applicationOf(token string) string {
	if app := lab.Claim(token, "appid"); app != "" {
		return app
	}
	return lab.Claim(token, "azp") // in tokens of v2.0
}

// isStorage reports whether a claim aud is about the account.
func (s *Session) isStorage(aud string) bool {
	return slices.Contains([]string{"https://storage.azure.com", s.Account.Endpoint()}, strings.TrimSuffix(aud, "/"))
}

// wantBlobs expects the whole list of blobs.
func (s *Session) wantBlobs(got Got) bool {
	return s.Want("outcome", got.OK() && slices.Equal(slices.Sorted(slices.Values(got.Items)), s.Blobs), "the names of the blobs", "%s", got)
}
