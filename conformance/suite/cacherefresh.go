package suite

import (
	"net/http"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

const (
	pageRenewal  = "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/wiki/High-availability#pro-active-token-renewal"
	pageExtended = "https://learn.microsoft.com/dotnet/api/microsoft.identity.client.authenticationresult.isextendedlifetimetoken"
)

// unavailable is what an endpoint answers that does not work for a while.
func unavailable() *lab.Answer {
	return lab.JSON(http.StatusServiceUnavailable, map[string]any{"error": "temporarily_unavailable", "error_description": "The service is temporarily unavailable."})
}

// cacheExpiryChecks are about when a token is not used any more.
func cacheExpiryChecks() []*Check {
	return []*Check{
		{
			ID: "CAC-08", Level: Should, Tags: []string{"cache"}, Title: "a token is renewed before it expires",
			Requirement: "A token that has less than five minutes to live is renewed before it is used, since it may expire on the way.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/blob/main/apps/internal/base/storage/items.go"},
			Provokes:    "Two calls; the application's tokens live for two minutes.",
			Passes:      "the second call does an exchange",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Fixture: short(2 * time.Minute), Run: func(s *Session) {
				all := []Got{s.Token(), s.Token()}
				s.Reached(lab.Token)
				s.wantTokens(all)
				s.wantIssued("exchanges", lab.Token, 2, 2)
			}}},
		},
		{
			ID: "CAC-09", Level: Must, Tags: []string{"cache", "res"}, Title: "an expired token is not used",
			Requirement: "A token that has expired is neither returned nor sent to a resource.",
			Sources:     []string{"RFC 6750 section 3.1", "https://github.com/Azure/azure-sdk-for-js/issues/22722"},
			Provokes:    "Two calls with seven seconds between them; the application's tokens live for five.",
			Passes:      "the token of the second call, or of each request to the resource, has not expired",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{
				{Name: "returned", Fixture: short(5 * time.Second), Run: func(s *Session) {
					s.Token()
					s.Pause(7 * time.Second)
					now, got := time.Now(), s.Token()
					if s.WantToken(got) {
						s.Want("expiry", lab.Expiry(got.Token).After(now), "a token that has not expired", "one that expired %v ago", now.Sub(lab.Expiry(got.Token)).Round(time.Second))
					}
				}},
				{Name: "sent", Fixture: short(5 * time.Second), Needs: []driver.Capability{driver.Blob}, Run: func(s *Session) {
					s.List()
					s.Pause(7 * time.Second)
					s.List()
					for _, x := range s.Reached(lab.Blob) {
						if x.Bearer() != "" {
							s.Want("expiry", lab.Expiry(x.Bearer()).After(x.At), "a token that has not expired", "one that expired %v ago", x.At.Sub(lab.Expiry(x.Bearer())).Round(time.Second))
						}
					}
				}},
			},
		},
		{
			ID: "CAC-13", Level: Should, Tags: []string{"cache"}, Title: "a long-lived token of the managed identity is kept",
			Requirement: "A token of the managed identity that lives for more than two hours is used for half of its life, not fetched for each exchange.",
			Sources:     []string{"https://github.com/Azure/azure-sdk-for-net/blob/main/sdk/identity/Azure.Identity/CHANGELOG.md", pageVMToken},
			Provokes:    "Twenty calls; the managed identity's tokens live for a day, the application's for half a minute.",
			Passes:      "IMDS hands out one token",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) {
					f.ManagedIdentityLife, f.ApplicationLife = 24*time.Hour, 30*time.Second
				},
				Run: func(s *Session) {
					var all []Got
					for range 20 {
						all = append(all, s.Token())
					}
					s.Proven(s.issued(lab.Token) > 1, "second exchange")
					s.wantTokens(all)
					s.wantIssued("identity", lab.IMDSToken, 1, 1)
				},
			}},
		},
		{
			ID: "CAC-14", Level: May, Tags: []string{"cache"}, Title: "ext_expires_in is for outages",
			Requirement: "A client that uses a token until its ext_expires_in does so only while the token endpoint does not work, and no longer than that (inferred).",
			Sources:     []string{pageExtended},
			Provokes:    "A token with an expires_in of two seconds and a longer ext_expires_in; a call after the former, and after the latter.",
			Passes:      "a token that is returned after its expires_in was asked for anew in vain, and is within its ext_expires_in",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{
				{Name: "no outage", Run: func(s *Session) {
					r := s.Fault(lab.Token, 1, lab.Members(map[string]any{"expires_in": 2, "ext_expires_in": 3600}))
					first := s.Token()
					s.Pause(9 * time.Second)
					got := s.Token()
					s.Armed(r)
					if s.WantToken(got) {
						s.Want("renewed", got.Token != first.Token, "another token", "the one that has expired")
					}
				}},
				{Name: "an outage", Run: func(s *Session) { extended(s, time.Minute, 4*time.Second, true) }},
				{Name: "a long outage", Run: func(s *Session) { extended(s, 5*time.Second, 7*time.Second, false) }},
			},
		},
		{
			ID: "CAC-15", Level: Should, Tags: []string{"cache"}, Title: "one token of the managed identity for one exchange",
			Requirement: "Where the managed identity's tokens are short-lived, an exchange takes one of them, and no second look (inferred).",
			Sources:     []string{pageVMToken},
			Provokes:    "Three calls; the managed identity's tokens live for 20 s, the application's for half a minute.",
			Passes:      "IMDS hands out no more tokens than the token endpoint",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"@azure/identity 4.13.1 and 4.14.1: not met, two for each exchange (observed)"},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) {
					f.ManagedIdentityLife, f.ApplicationLife = 20*time.Second, 30*time.Second
				},
				Run: func(s *Session) {
					all := []Got{s.Token(), s.Token(), s.Token()}
					s.Reached(lab.Token)
					s.wantTokens(all)
					s.wantIssued("identity", lab.IMDSToken, 1, s.issued(lab.Token))
				},
			}},
		},
	}
}

// extended is a call in an outage, when a token is past its expires_in.
func extended(s *Session, ext, after time.Duration, within bool) {
	s.Patience = 40 * time.Second // for those that try again
	r := s.Fault(lab.Token, 1, lab.Members(map[string]any{"expires_in": 2, "ext_expires_in": int(ext / time.Second)}))
	s.Token()
	s.Armed(r)
	s.Pause(after)
	outage := s.Fault(lab.Token, 0, lab.Always(unavailable()))
	got := s.Token()
	if !got.OK() {
		s.Armed(outage)
	}
	s.Want("outage", !got.OK() || outage.Fired() > 0, "an error, or a token after an attempt to renew it", "%s without an attempt", got)
	if !within {
		s.Want("past", !got.OK(), "an error, since even ext_expires_in has passed", "%s", got)
	}
}

// cacheRefreshChecks are about refresh_in, after which a token is renewed that is
// still good.
func cacheRefreshChecks() []*Check {
	return []*Check{
		{
			ID: "CAC-10", Level: Should, Tags: []string{"cache"}, Title: "refresh_in is heeded",
			Requirement: "After its refresh_in a token is renewed, while the old one is still good.",
			Sources:     []string{pageRenewal, "https://github.com/AzureAD/microsoft-authentication-library-for-js/pull/6102"},
			Provokes:    "Two calls with three seconds between them; the token endpoint says that tokens are to be renewed after one.",
			Passes:      "there is another exchange, and both calls get a token",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"msal4j before 1.16.1, msal-node before 2.1.0: refresh_in not heeded (release notes)"},
			Cases: []Case{
				{Name: "as usual", Run: func(s *Session) { ahead(s, driver.TokenRequest{}) }},
				{Name: "continuous access evaluation", Needs: []driver.Capability{driver.CAE}, Run: func(s *Session) { ahead(s, driver.TokenRequest{CAE: true}) }},
			},
		},
		{
			ID: "CAC-11", Level: Should, Tags: []string{"cache", "retry"}, Title: "a renewal that fails costs nothing",
			Requirement: "Where a token cannot be renewed ahead of time, the one that is still good is returned at once.",
			Sources:     []string{pageRenewal},
			Provokes:    "A call after refresh_in; the token endpoint answers 503 from then on.",
			Passes:      "the call gets a token, within a second more than the first call took",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"azidentity 1.15.0: not met, 10.4 s (observed)",
				"@azure/identity 4.13.1 and 4.14.1: not met, 4.4 to 6.0 s (observed)",
			},
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = 40 * time.Second
				due := s.Fault(lab.Token, 1, lab.Members(map[string]any{"refresh_in": 1}))
				first := s.Token()
				s.Armed(due)
				s.Pause(3 * time.Second)
				outage := s.Fault(lab.Token, 0, lab.Always(unavailable()))
				got := s.Token()
				s.Pause(time.Second) // some renew in the background
				s.Armed(outage)
				s.WantToken(got)
				extra, most := got.Took-first.Took, s.run.scaled(time.Second)
				s.Want("promptly", extra < most, "less than "+most.String()+" more than the first call", "%v more", extra.Round(time.Millisecond))
			}}},
		},
		{
			ID: "CAC-12", Level: Should, Tags: []string{"cache"}, Title: "a renewed token takes the old one's place",
			Requirement: "A token that was renewed ahead of time is the one that later calls get.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/630"},
			Provokes:    "A call after refresh_in, and another one.",
			Passes:      "the third call gets the new token, without an exchange",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"MSAL Go before 1.8.0: the new token was stored where it was not found (AzureAD/microsoft-authentication-library-for-go#630)"},
			Cases: []Case{{Run: func(s *Session) {
				due := s.Fault(lab.Token, 1, lab.Members(map[string]any{"refresh_in": 1}))
				s.Token()
				s.Armed(due)
				s.Pause(3 * time.Second)
				s.Token()
				s.Pause(time.Second) // some renew in the background
				renewed := s.Exchanges(lab.Token)
				s.Proven(len(renewed) > 1, "renewal")
				got := s.Token()
				if s.WantToken(got) {
					s.Want("token", got.Token == renewed[len(renewed)-1].Issued(), "the new token", "another one")
				}
				s.WantCount("exchanges", lab.Token, len(renewed), len(renewed))
			}}},
		},
	}
}

// ahead is a call after refresh_in.
func ahead(s *Session, r driver.TokenRequest) {
	due := s.Fault(lab.Token, 0, lab.Members(map[string]any{"refresh_in": 1}))
	all := []Got{s.Ask(r)}
	s.Armed(due)
	s.Pause(3 * time.Second)
	all = append(all, s.Ask(r))
	s.Pause(time.Second) // some renew in the background
	s.wantTokens(all)
	n := s.issued(lab.Token)
	s.Want("renewed", n > 1, "another exchange", "%d in all", n)
}
