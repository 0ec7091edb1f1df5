package suite

import (
	"fmt"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// tenantChecks are about the tenant that an exchange is made in.
func tenantChecks() []*Check {
	return []*Check{
		{
			ID: "AUT-01", Level: Must, Tags: []string{"core", "tenant"}, Title: "the tenant of the configuration",
			Requirement: "The exchange is made in the tenant that the client is configured with, be it named by its ID or by a domain.",
			Sources:     []string{pageClientCredentials},
			Provokes:    "The client is configured with the ID of the tenant, or with its domain.",
			Passes:      "the path of every token request begins with what is configured; for a domain, it may begin with the ID that discovery gives",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"Azure.Identity before 1.17.0: not met for some authorities (its changelog)"},
			Cases: []Case{
				{Name: "ID", Run: func(s *Session) { s.exchangeIn(string(s.Tenant.ID)) }},
				{Name: "domain", Run: func(s *Session) { s.exchangeIn(s.Tenant.Domains[0], string(s.Tenant.ID)) }},
			},
		},
		{
			ID: "AUT-02", Level: Must, Tags: []string{"core", "tenant"}, Title: "another tenant for one request",
			Requirement: "A request that names a tenant gets a token of that tenant; those that name none go on with the tenant of the configuration.",
			Sources:     []string{"https://learn.microsoft.com/dotnet/api/azure.core.tokenrequestcontext.tenantid", "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/694"},
			Provokes:    "Tokens are asked for: of the configured tenant, of another one, of the configured one again.",
			Passes:      "token requests go to the tenant that was asked for, and each token is of it",
			Needs:       []driver.Capability{driver.IMDS, driver.Tenants},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.Tenants = 1 },
				Run: func(s *Session) {
					own, other := string(s.Tenant.ID), string(s.Tenants[0].ID)
					s.wantTokenOf("first", own, driver.TokenRequest{})
					s.wantTokenOf("other", other, driver.TokenRequest{Tenant: other})
					s.wantTokenOf("again", own, driver.TokenRequest{})
					s.Reached(lab.Token)
				},
			}},
		},
		{
			ID: "AUT-03", Level: Should, Tags: []string{"tenant", "sec"}, Title: "no tenant that is not allowed",
			Requirement: "A request for another tenant is refused unless the configuration allows that tenant. Letter case does not matter.",
			Sources: []string{"https://learn.microsoft.com/dotnet/api/azure.identity.clientassertioncredentialoptions.additionallyallowedtenants",
				"https://github.com/Azure/azure-sdk-for-net/issues/51693"},
			Provokes: "Another tenant is asked for: one that is not allowed, one that is allowed in capital letters, and the configured one in capital letters.",
			Passes:   "the first is an error, with no token request in that tenant; the others are tokens",
			Needs:    []driver.Capability{driver.IMDS, driver.Tenants},
			Known: []string{
				"Azure.Identity before 1.15.0: not met for the letter case (its changelog)",
				"azidentity 1.15.0, @azure/identity 4.13.1 and azure-identity for Python 1.27.0: not met for the letter case (observed)",
				"MSAL Go 1.10.1 and MSAL Node 7.2.1: have no list of tenants that are allowed (observed)",
			},
			Cases: []Case{
				{Name: "not allowed", Fixture: oneMore, Run: func(s *Session) {
					s.Config.AllowedTenants = []string{}
					other := string(s.Tenants[0].ID)
					s.WantError(s.Ask(driver.TokenRequest{Tenant: other}))
					n := 0
					for _, x := range s.Exchanges(lab.Token) {
						if strings.EqualFold(x.Tenant(), other) {
							n++
						}
					}
					s.Want("exchange", n == 0, "no token request in the other tenant", "%d", n)
				}},
				{Name: "allowed in capitals", Fixture: oneMore, Run: func(s *Session) {
					other := string(s.Tenants[0].ID)
					s.Config.AllowedTenants = []string{strings.ToUpper(other)}
					s.wantTokenOf("other", other, driver.TokenRequest{Tenant: other})
				}},
				{Name: "its own in capitals", Fixture: oneMore, Run: func(s *Session) {
					s.Config.AllowedTenants = []string{}
					own := string(s.Tenant.ID)
					s.wantTokenOf("own", own, driver.TokenRequest{Tenant: strings.ToUpper(own)})
				}},
			},
		},
		{
			ID: "AUT-04", Level: Must, Tags: []string{"core", "tenant"}, Title: "an application signs in to one tenant",
			Requirement: "common, organizations and consumers are for users. A client that is configured with one of them fails, and guesses no tenant.",
			Sources: []string{pageClientCredentials, "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/2212",
				"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/2887"},
			Provokes: "The client is configured with one of the three.",
			Passes:   "the client fails, by itself or since the token endpoint refuses it",
			Needs:    []driver.Capability{driver.IMDS},
			Cases:    []Case{shared("common"), shared("organizations"), shared("consumers")},
		},
		{
			ID: "AUT-12", Level: Should, Tags: []string{"tenant"}, Title: "the first use of many tenants at once",
			Requirement: "A client can be used for the first time by several callers and for several tenants at the same time.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/620", "https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/621"},
			Provokes:    "Five callers for each of ten tenants ask for a token at the same time; documents take a tenth of a second.",
			Passes:      "all callers but one, which leaves room for a busy machine, get a token of their tenant, and there are one to five token requests in each tenant",
			Needs:       []driver.Capability{driver.IMDS, driver.Tenants, driver.Concurrency},
			Known:       []string{"MSAL Go before 1.8.0: a race that may end the process (https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/620); not seen in 20 runs of 1.7.2"},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.Tenants = 9 },
				Run: func(s *Session) {
					tenants := []string{string(s.Tenant.ID)}
					for _, t := range s.Tenants {
						tenants = append(tenants, string(t.ID))
					}
					s.Fault(lab.OpenIDConfig, 0, lab.Slow(100*time.Millisecond))
					var wrong, failed []string
					for i, got := range s.AskTogether(5*len(tenants), driver.TokenRequest{Tenants: tenants}) {
						switch tenant := tenants[i%len(tenants)]; {
						case !got.OK():
							failed = append(failed, fmt.Sprintf("for %q %s", tenant, got))
						case lab.Claim(got.Token, "tid") != tenant:
							wrong = append(wrong, fmt.Sprintf("for %q %s", tenant, ofTenant(got)))
						}
					}
					s.Want("tokens", len(wrong) == 0, "a token of its tenant for each caller", "%d others, such as %s", len(wrong), first(wrong))
					// One of many connections may break on a busy machine, as in CAC-04.
					s.Want("outcome", len(failed) <= 1, "a token for all callers but one", "%d errors, such as %s", len(failed), first(failed))
					exchanges := map[string]int{}
					for _, x := range s.Reached(lab.Token) {
						exchanges[strings.ToLower(x.Tenant())]++
					}
					least, most := 5, 0
					for _, tenant := range tenants {
						least, most = min(least, exchanges[tenant]), max(most, exchanges[tenant])
					}
					s.Want("exchanges", least >= 1 && most <= 5, "1 to 5 token requests in each tenant", "%d to %d", least, most)
				},
			}},
		},
	}
}

func oneMore(f *lab.Fixture) { f.Tenants = 1 }

// exchangeIn expects an exchange in a tenant, which may be called by other names
// there.
func (s *Session) exchangeIn(tenant string, names ...string) {
	s.Config.Tenant = tenant
	got := s.Token()
	for _, x := range s.Reached(lab.Token) {
		met := strings.EqualFold(x.Tenant(), tenant)
		for _, name := range names {
			met = met || strings.EqualFold(x.Tenant(), name)
		}
		s.Want("path", met, "/"+tenant+"/…", "%s", x.URL.Path)
	}
	s.WantToken(got)
}

// wantTokenOf expects a request to get a token of a tenant, and to make exchanges
// there alone, if it makes any.
func (s *Session) wantTokenOf(name, tenant string, r driver.TokenRequest) {
	before := len(s.Exchanges(lab.Token))
	got := s.Ask(r)
	s.Want(name+".token", lab.Claim(got.Token, "tid") == tenant, "a token of the tenant "+tenant, "%s", ofTenant(got))
	for _, x := range s.Exchanges(lab.Token)[before:] {
		s.Want(name+".path", strings.EqualFold(x.Tenant(), tenant), "/"+tenant+"/…", "%s", x.URL.Path)
	}
}

func first(texts []string) string {
	if len(texts) == 0 {
		return "none"
	}
	return texts[0]
}

func ofTenant(got Got) string {
	if got.Token == "" {
		return got.String()
	}
	return fmt.Sprintf("one of %q", lab.Claim(got.Token, "tid"))
}

// shared is a case of AUT-04.
func shared(tenant string) Case {
	return Case{Name: tenant, Run: func(s *Session) {
		s.Config.Tenant = tenant
		s.WantError(s.Token())
	}}
}
