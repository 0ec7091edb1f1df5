package suite

import (
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// authorityChecks are about authorities, tenants and clouds.
func authorityChecks() []*Check {
	return slices.Concat(tenantChecks(), hostChecks(), discoveryChecks())
}

// hostChecks are about which host is taken for the authority.
func hostChecks() []*Check {
	return []*Check{
		{
			ID: "AUT-05", Level: Must, Tags: []string{"core", "sec"}, Title: "a tenant cannot name the host",
			Requirement: "A tenant often comes from a request or a file. Whatever its name is, it does not lead the assertion to another host; what is no tenant is refused. What could be the query or the fragment of a URL may be cut off.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/622"},
			Provokes:    "Clients are configured with, or asked for, tenants such as ../trap.test/x and //trap.test/x.",
			Passes:      "no request reaches that host, and each is an error; after the tenant's ID, ?x= and # may be ignored",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"MSAL Go before 1.8.0: not met (https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/622)"},
			Cases: []Case{
				{Name: "in the configuration", Run: func(s *Session) {
					for _, tenant := range s.hostileTenants() {
						c := s.Config
						c.Tenant = tenant
						s.wantNoTenant(tenant, s.Open(c).Token())
					}
					s.WantUntouched("trap", lab.Trap)
				}},
				{Name: "in a request", Needs: []driver.Capability{driver.Tenants}, Run: (*Session).askHostileTenants},
				// Instance discovery refuses hosts that it does not know.
				{Name: "in a request, without instance discovery", Needs: []driver.Capability{driver.Tenants}, Run: func(s *Session) {
					s.Config.Discovery = false
					s.askHostileTenants()
				}},
			},
		},
		{
			ID: "AUT-06", Level: Must, Tags: []string{"core", "sec"}, Title: "no authority without TLS",
			Requirement: "An authority with http is refused, or called by https all the same.",
			Sources:     []string{"RFC 6749 section 3.2"},
			Provokes:    "The client is configured with http://login.microsoftonline.com, and another one with https and a login host of its own.",
			Passes:      "no request with an assertion comes in at port 80 of the login host; skipped for a client that cannot be told of another login host",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"azure_identity (Rust) before 0.29.0: not met (its changelog)"},
			Cases: []Case{{Run: func(s *Session) {
				s.Open(elsewhereThan(s.Config, "https://"+lab.PrivateHost)).Token() // it may be refused
				s.wantConfigurable()
				s.Open(elsewhereThan(s.Config, "http://"+s.Environment.LoginHost)).Token()
				clear := 0
				for _, x := range s.Exchanges(lab.Cleartext) {
					if x.Form().Has("client_assertion") || s.assertionIn(x) != "" {
						clear++
					}
				}
				s.Want("cleartext", clear == 0, "no assertion at port 80", "%d", clear)
			}}},
		},
		{
			ID: "AUT-11", Level: Must, Tags: []string{"core", "sec"}, Title: "sovereign clouds keep to themselves",
			Requirement: "In a sovereign cloud the assertion has the audience of that cloud and goes to its login host. The public cloud's hosts are not asked for anything.",
			Sources: []string{pageFIC, "https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud",
				"https://github.com/Azure/azure-sdk-for-net/issues/34077", "https://github.com/Azure/azure-sdk-for-net/issues/32498", "https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/604",
				"https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/589", "https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/871"},
			Provokes: "The client is configured for the US Government's cloud, or for China's, whose login host has two names.",
			Passes:   "resource is that cloud's audience in every request that IMDS answers with a token, no request reaches the login host of another cloud, and the client gets a token",
			Names:    true,
			Needs:    []driver.Capability{driver.IMDS},
			Known: []string{
				"MSAL Go 1.5.0: not met for login.chinacloudapi.cn (observed, https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/589)",
				"MSAL for Python before 1.35.1: not met for login.partner.microsoftonline.cn, asks the public cloud (observed)",
			},
			Cases: []Case{
				sovereign("US Government", fakeentra.AzureUSGovernment, fakeentra.AzureUSGovernment.LoginHost),
				sovereign("China", fakeentra.AzureChina, fakeentra.AzureChina.LoginHost),
				// The documents there name the other host, whichever is asked.
				sovereign("China by the name that SDKs have for it", fakeentra.AzureChina, "login.chinacloudapi.cn"),
			},
		},
	}
}

// hostileTenants are names that would change the host if they were pasted into a
// URL, or taken for a reference to one.
func (s *Session) hostileTenants() []string {
	id := string(s.Tenant.ID)
	return []string{
		"../" + lab.TrapDomain + "/" + id, // joined to a host and cleaned, it replaces the host
		"../../" + lab.TrapDomain + "/x",
		"//" + lab.TrapDomain + "/" + id,
		"https://" + lab.TrapDomain + "/" + id,
		id + "@" + lab.TrapDomain,
		id + "?x=",
		id + "#",
	}
}

func (s *Session) askHostileTenants() {
	for _, tenant := range s.hostileTenants() {
		s.wantNoTenant(tenant, s.Ask(driver.TokenRequest{Tenant: tenant}))
	}
	s.WantUntouched("trap", lab.Trap)
}

func (s *Session) wantNoTenant(tenant string, got Got) {
	own, _, cut := strings.Cut(strings.ReplaceAll(tenant, "?", "#"), "#")
	ignored := cut && lab.Claim(got.Token, "tid") == own
	s.Want("outcome", !got.OK() || ignored, "an error for the tenant "+tenant, "%s", got)
}

// sovereign is a case in a cloud whose login host has a name, of which there may be
// several.
func sovereign(name string, cloud fakeentra.Environment, host string) Case {
	return Case{
		Name:    name,
		Fixture: func(f *lab.Fixture) { f.Environment = cloud },
		Run: func(s *Session) {
			s.Config.Endpoints.Authority = "https://" + host
			got := s.Token()
			for _, x := range s.Exchanges(lab.IMDSToken) {
				if resource := x.Query().Get("resource"); x.Issued() != "" {
					s.Want("audience", resource == cloud.TokenExchangeAudience, cloud.TokenExchangeAudience, "%q", resource)
				}
			}
			s.WantUntouched("cloud", lab.Trap)
			for _, x := range s.Exchanges(lab.Token) {
				s.Want("host", loginHost(cloud, x), cloud.LoginHost, "%s", x.URL.Host)
			}
			s.WantToken(got)
		},
	}
}
