package suite

import (
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// cacheIsolationChecks are about tokens that get to somebody else.
func cacheIsolationChecks() []*Check {
	return []*Check{
		{
			ID: "CAC-03", Level: Must, Tags: []string{"cache", "tenant"}, Title: "a token is for the tenant that was asked for",
			Requirement: "The tenant is part of what a cached token is found by.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/2381"},
			Provokes:    "Calls for the configured tenant and for another one, in turn, twice.",
			Passes:      "the claim tid of each token is the tenant of its call",
			Needs:       []driver.Capability{driver.IMDS, driver.Tenants},
			Known:       []string{"MSAL.NET before its fix of #2381: a token of another tenant could be returned"},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.Tenants = 1 },
				Run: func(s *Session) {
					other := string(s.Tenants[0].ID)
					for range 2 {
						s.wantTenant(s.Token(), string(s.Tenant.ID))
						s.wantTenant(s.Ask(driver.TokenRequest{Tenant: other}), other)
					}
				},
			}},
		},
		{
			ID: "CAC-04", Level: Must, Tags: []string{"cache", "tenant"}, Title: "tenants are kept apart when callers come at once",
			Requirement: "However many callers ask at the same time, each gets a token of the tenant that it asked for.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/5743"},
			Provokes:    "Callers for twenty tenants at once; the token endpoint answers in another order than it was asked in.",
			Passes:      "the claim tid of each token is the tenant of its caller, and 49 callers of 50 get one",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS, driver.Tenants, driver.Concurrency},
			Known:       []string{"MSAL.NET before its fix of #5743: a token of another tenant could be returned, once in about a million calls"},
			Cases: []Case{
				{Name: "tokens that are kept", Fixture: func(f *lab.Fixture) { f.Tenants = 20 }, Run: func(s *Session) { together(s, 2, 10, 10, 10, 10, 10) }},
				{Name: "tokens that are renewed", Run: func(s *Session) { together(s, 1, 1, 1) }, Fixture: func(f *lab.Fixture) {
					f.Tenants, f.ApplicationLife = 20, 2*time.Minute
				}},
			},
		},
		{
			ID: "CAC-05", Level: Must, Tags: []string{"cache"}, Title: "identities of one process are kept apart",
			Requirement: "Two clients of one process that are configured with different identities, or applications, share no token.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/blob/main/apps/managedidentity/managedidentity_test.go"},
			Provokes:    "Two clients in turn, each time for a resource that neither has asked for.",
			Passes:      "each assertion is of the identity, and each request for a token of the application, that its client is configured with",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{
				{Name: "two user-assigned identities", Needs: []driver.Capability{driver.IdentityClientID}, Run: func(s *Session) {
					other := s.Config
					other.Identity = driver.Identity{Kind: "client_id", Value: string(s.Second.ClientID)}
					apart(s, sharer{s.Config, s.Agent}, sharer{other, s.Second})
				}},
				{
					Name: "a user-assigned identity and the system-assigned one", Needs: []driver.Capability{driver.IdentityClientID, driver.IdentitySystem},
					Run: func(s *Session) {
						other := s.Config
						other.Identity = driver.Identity{Kind: "system"}
						apart(s, sharer{s.Config, s.Agent}, sharer{other, s.System})
					},
				},
				{Name: "two applications", Run: func(s *Session) {
					other := s.Config
					other.AppClientID = string(s.Tenant.AddApplication("importer").Trust(s.Agent).ClientID)
					apart(s, sharer{s.Config, s.Agent}, sharer{other, s.Agent})
				}},
			},
		},
		{
			ID: "CAC-06", Level: Must, Tags: []string{"cache"}, Title: "a token is for the resource that was asked for",
			Requirement: "The resource is part of what a cached token is found by.",
			Sources:     []string{"RFC 6749 section 3.3"},
			Provokes:    "Calls for two resources, in turn, twice.",
			Passes:      "the claim aud of each token is the resource of its call",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				for range 2 {
					for _, scope := range []string{StorageScope, vaultScope} {
						got := s.Ask(driver.TokenRequest{Scopes: []string{scope}})
						aud := strings.TrimSuffix(lab.Claim(got.Token, "aud"), "/")
						if s.WantToken(got) {
							s.Want("aud", aud+"/.default" == scope, "a token whose aud is "+strings.TrimSuffix(scope, "/.default"), "%q", aud)
						}
					}
				}
			}}},
		},
	}
}

// wantTenant expects a token of a tenant.
func (s *Session) wantTenant(got Got, tenant string) {
	if s.WantToken(got) {
		tid := lab.Claim(got.Token, "tid")
		s.Want("tid", tid == tenant, "a token whose tid is "+tenant, "%q", tid)
	}
}

// together has callers for all tenants ask at once, so many for each, several
// times. The first tenants are answered last.
func together(s *Session, callers ...int) {
	var tenants []string
	for _, t := range s.Tenants {
		tenants = append(tenants, string(t.ID))
	}
	r := s.Fault(lab.Token, 0, func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
		a := next()
		a.Delay = time.Duration(len(tenants)-slices.Index(tenants, x.Tenant())) * 3 * time.Millisecond
		return a
	})
	var wrong []string
	asked, failed := 0, 0
	for _, each := range callers {
		for i, got := range s.AskTogether(each*len(tenants), driver.TokenRequest{Tenants: tenants}) {
			tid, want := lab.Claim(got.Token, "tid"), tenants[i%len(tenants)]
			asked++
			switch {
			case !got.OK():
				failed++
			case tid != want:
				wrong = append(wrong, tid+" for "+want)
			}
		}
	}
	s.Armed(r)
	s.Proven(slices.ContainsFunc(s.Exchanges(lab.Token), func(x *lab.Exchange) bool { return slices.Contains(tenants, x.Tenant()) }),
		"request for a token of one of the tenants (TokenRequest.Tenants)")
	// One of a thousand connections may break on a busy machine, which is no mix-up.
	s.Want("outcome", failed*50 <= asked, "a token for 49 callers of 50", "%d of %d failed", failed, asked)
	s.Want("tid", len(wrong) == 0, "tokens of the tenants that were asked for", "%d others, such as one of %s", len(wrong), strings.Join(wrong[:min(len(wrong), 1)], ""))
}

// A sharer is one of two clients in a process, and whose assertions it presents.
type sharer struct {
	driver.Config
	identity *fakeentra.ManagedIdentity
}

// apart has two clients do exchanges in turn.
func apart(s *Session, a, b sharer) {
	clients := []*Client{s.Open(a.Config), s.Open(b.Config)}
	for i, resource := range resources[:4] {
		who := []sharer{a, b}[i%2]
		before := len(s.Exchanges(lab.Token))
		got := clients[i%2].Ask(driver.TokenRequest{Scopes: []string{resource + "/.default"}})
		s.WantToken(got)
		posts := s.Exchanges(lab.Token)[before:]
		s.Proven(len(posts) > 0, "request for a token for "+resource)
		for _, x := range posts {
			sub, app := lab.Claim(x.Form().Get("client_assertion"), "sub"), x.Form().Get("client_id")
			s.Want("assertion", strings.EqualFold(sub, string(who.identity.ObjectID)), "an assertion of "+string(who.identity.ObjectID), "one of %q", sub)
			s.Want("client", strings.EqualFold(app, who.AppClientID), "the client_id "+who.AppClientID, "%q", app)
		}
	}
}
