package suite

import (
	"fmt"
	"net/http"
	"slices"
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
			Provokes:    "Two calls, and a third one after half a minute where they lead to nothing; the application's tokens live for two minutes.",
			Passes:      "there is a second exchange",
			Needs:       []driver.Capability{driver.IMDS},
			Lingers:     true,
			Cases: []Case{{Fixture: short(2 * time.Minute), Run: func(s *Session) {
				all := []Got{s.Token(), s.Token()}
				if s.issued(lab.Token) < 2 {
					s.Pause(throttle)
					all = append(all, s.Token())
				}
				s.Reached(lab.Token)
				s.wantTokens(all)
				s.wantIssued("exchanges", lab.Token, 2, 10) // some renew by themselves, too
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
			Lingers:     true,
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
					now := time.Now()
					s.List()
					again := slices.DeleteFunc(since(now, s.Exchanges(lab.Blob)), func(x *lab.Exchange) bool { return x.Bearer() == "" })
					s.Proven(len(again) > 0, "second request to storage with a token")
					for _, x := range again {
						s.Want("expiry", lab.Expiry(x.Bearer()).After(now), "a token that has not expired", "one that expired %v ago", now.Sub(lab.Expiry(x.Bearer())).Round(time.Second))
					}
				}},
			},
		},
		{
			ID: "CAC-13", Level: Should, Tags: []string{"cache"}, Title: "a long-lived token of the managed identity is kept",
			Requirement: "A token of the managed identity that lives for more than two hours is used for half of its life, not fetched for each exchange.",
			Sources:     []string{"https://github.com/Azure/azure-sdk-for-net/blob/main/sdk/identity/Azure.Identity/CHANGELOG.md", pageVMToken},
			Provokes:    "Calls for ten resources; the managed identity's tokens live for a day.",
			Passes:      "IMDS hands out one token",
			Needs:       []driver.Capability{driver.IMDS},
			Lingers:     true,
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.ManagedIdentityLife = 24 * time.Hour },
				Run: func(s *Session) {
					all := s.each(resources...)
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
			Lingers:     true,
			Cases: []Case{
				{Name: "no outage", Run: func(s *Session) {
					r := s.Fault(lab.Token, 1, lab.Members(lifetime(2, 3600)))
					first := s.Token()
					s.Pause(7 * time.Second)
					got := s.Token()
					s.Armed(r)
					if s.WantToken(got) {
						s.Want("renewed", got.Token != first.Token, "another token", "the one that has expired")
					}
				}},
				{Name: "an outage", Run: func(s *Session) { extended(s, time.Minute, 3*time.Second, true) }},
				{Name: "a long outage", Run: func(s *Session) { extended(s, 4*time.Second, 6*time.Second, false) }},
			},
		},
		{
			ID: "CAC-15", Level: Should, Tags: []string{"cache"}, Title: "one token of the managed identity for one exchange",
			Requirement: "Where the managed identity's tokens are short-lived, an exchange takes one of them, and no second look (inferred).",
			Sources:     []string{pageVMToken},
			Provokes:    "Calls for three resources; the managed identity's tokens live for 20 s.",
			Passes:      "IMDS hands out no more tokens than the token endpoint",
			Needs:       []driver.Capability{driver.IMDS},
			Lingers:     true,
			Known:       []string{"@azure/identity 4.13.1 and 4.14.1: not met, two for each exchange (observed)", "azure-identity 1.18.2 for Java: not met (observed)"},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.ManagedIdentityLife = 20 * time.Second },
				Run: func(s *Session) {
					all := s.each(resources[:3]...)
					s.Reached(lab.Token)
					s.wantTokens(all)
					s.wantIssued("identity", lab.IMDSToken, 1, s.issued(lab.Token))
				},
			}},
		},
	}
}

// resources are some that every tenant has.
var resources = []string{
	"https://storage.azure.com", "https://vault.azure.net", "https://management.azure.com", "https://graph.microsoft.com", "https://database.windows.net",
	"https://servicebus.azure.net", "https://eventhubs.azure.net", "https://cosmos.azure.com", "https://cognitiveservices.azure.com", "https://app.vssps.visualstudio.com",
}

// each asks for a token for each of some resources.
func (s *Session) each(resources ...string) []Got {
	var all []Got
	for _, r := range resources {
		all = append(all, s.Ask(driver.TokenRequest{Scopes: []string{r + "/.default"}}))
	}
	return all
}

// throttle is the time that some clients leave between two exchanges for the same
// token, whatever becomes of it meanwhile.
const throttle = 31 * time.Second

// renewsNothing is why checks of renewals say nothing about a client.
const renewsNothing = "the client renews no token ahead of time, which is what CAC-10 is about"

// overdue calls when a token is past its refresh_in, until there is an attempt to
// renew it: before the call, as of clients that need none, during or after it, or
// when the client permits itself. Some leave it to chance which of many calls renews.
// It returns what the last call came to, and how many attempts there were.
func (s *Session) overdue(r driver.TokenRequest, attempts func() int) (Got, renewals) {
	const often = 20
	s.Pause(3 * time.Second)
	var got Got
	var n renewals
	for i := range often + 1 {
		if i == often {
			s.Pause(throttle)
		}
		n.before = attempts()
		got = s.Ask(r)
		n.during = attempts() - n.before
		background := 100 * time.Millisecond // some renew there
		if i >= often-1 {
			background = time.Second
		}
		if s.await(background, func() bool { return attempts() > 0 }); attempts() > 0 {
			break
		}
	}
	s.Pause(time.Second) // until it is over
	return got, n
}

// settled returns the requests for an operation when none has come in for a second, or
// after a few seconds.
func (s *Session) settled(op lab.Op) []*lab.Exchange {
	all := s.Exchanges(op)
	for range 5 {
		s.Pause(time.Second)
		before := len(all)
		if all = s.Exchanges(op); len(all) == before {
			break
		}
	}
	return all
}

// renewals are how many attempts to renew a token there were before a call, and while
// it was under way.
type renewals struct{ before, during int }

// lifetime are the members of an answer that say when its token ends.
func lifetime(in, ext any) map[string]any {
	return map[string]any{"expires_in": in, "ext_expires_in": ext, "expires_on": lab.Absent} // the last is of the v1.0 endpoint
}

// extended is a call in an outage, when a token is past its expires_in.
func extended(s *Session, ext, after time.Duration, within bool) {
	r := s.Fault(lab.Token, 1, lab.Members(lifetime(2, int(ext/time.Second))))
	first := s.Token()
	s.Armed(r)
	s.Pause(after)
	outage := s.Fault(lab.Token, 0, lab.Always(unavailable()))
	got := s.UpTo(longEnough, s.Token) // some go on trying, which is an error here
	switch {
	case !got.OK():
		s.Armed(outage)
	case got.Token != first.Token:
		s.Skip("the client renewed the token by itself, before the outage")
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
			Provokes:    "Calls from three seconds on, up to twenty, and one half a minute later where they lead to nothing; tokens are to be renewed after one second.",
			Passes:      "there is another exchange, and the calls get a token",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Lingers:     true,
			Known: []string{
				"MSAL4J 1.26.0, azure-identity 1.18.2 for Java, azure_identity 1.0.0 for Rust: not met (observed)", "msal-node before 2.1.0: not met (release notes)",
			},
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
			Passes:      "the call gets a token, and no more than one attempt at the token endpoint is made until it does: no other one is waited for",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Lingers:     true,
			Known: []string{
				"azidentity 1.15.0: not met, 10.4 s (observed)",
				"@azure/identity 4.13.1 and 4.14.1: not met, 4.4 to 6.0 s (observed)",
				"azure-identity 1.27.0 for Python: not met, 3.5 s; MSAL 1.39.0 for Python: not met, an error (observed)",
			},
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = 40 * time.Second
				due := s.Fault(lab.Token, 1, lab.Members(map[string]any{"refresh_in": 1}))
				s.Token()
				s.Armed(due)
				outage := s.Fault(lab.Token, 0, lab.Always(unavailable()))
				got, r := s.overdue(driver.TokenRequest{}, outage.Fired)
				if outage.Fired() == 0 {
					s.Skip(renewsNothing)
				}
				s.WantToken(got)
				most := 1
				if r.before > 0 {
					most++ // of those that renew by themselves, it may meet with another
				}
				// Not by the clock, which a busy machine stretches.
				s.Want("promptly", r.during <= most, fmt.Sprintf("%d attempts at most while the call was under way", most), "%d", r.during)
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
			Lingers:     true,
			Known:       []string{"MSAL Go before 1.8.0, with a cache of the application's own: the new token was stored where it was not found (AzureAD/microsoft-authentication-library-for-go#630)"},
			Cases: []Case{{Run: func(s *Session) {
				due := s.Fault(lab.Token, 1, lab.Members(map[string]any{"refresh_in": 1}))
				s.Token()
				s.Armed(due)
				s.overdue(driver.TokenRequest{}, func() int { return s.issued(lab.Token) - 1 })
				renewed := s.settled(lab.Token)
				if len(renewed) < 2 {
					s.Skip(renewsNothing)
				}
				got := s.Token()
				if s.WantToken(got) {
					// Of several that were renewed at the same time, any may be kept.
					fresh := slices.ContainsFunc(renewed[1:], func(x *lab.Exchange) bool { return x.Issued() == got.Token })
					s.Want("token", fresh, "the new token", "another one")
				}
				s.WantCount("exchanges", lab.Token, len(renewed), len(renewed))
			}}},
		},
	}
}

// ahead is a call after refresh_in.
func ahead(s *Session, r driver.TokenRequest) {
	due := s.Fault(lab.Token, 0, lab.Members(map[string]any{"refresh_in": 1}))
	first := s.Ask(r)
	s.Armed(due)
	again, _ := s.overdue(r, func() int { return s.issued(lab.Token) - 1 })
	s.wantTokens([]Got{first, again})
	n := s.issued(lab.Token)
	s.Want("renewed", n > 1, "another exchange", "%d in all", n)
}
