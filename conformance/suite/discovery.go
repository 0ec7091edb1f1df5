package suite

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// discoveryChecks are about documents that say where endpoints are. No client has
// to ask for them.
func discoveryChecks() []*Check {
	return []*Check{
		{
			ID: "AUT-07", Level: Should, Tags: []string{"sec"}, Title: "documents do not lead the assertion elsewhere",
			Requirement: "A token endpoint that a document names is used if it has https and is at a login host of the cloud.",
			Sources:     []string{"RFC 8414 section 3.3", "https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation"},
			Provokes:    "The OpenID configuration names a token endpoint at a host outside Azure, or one with http.",
			Passes:      "no request reaches that host, or port 80 of the login host",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"azidentity 1.15.0: not met (observed)", "MSAL Go 1.10.1: not met (observed)", "MSAL for Python 1.39.0: not met for another host (observed)"},
			Cases: []Case{
				{Name: "another host", Run: func(s *Session) {
					s.document(map[string]any{"token_endpoint": "https://" + lab.TrapDomain + "/" + string(s.Tenant.ID) + "/oauth2/v2.0/token"})
					s.WantUntouched("trap", lab.Trap)
				}},
				{Name: "http", Run: func(s *Session) {
					s.document(map[string]any{"token_endpoint": "http://" + s.Environment.LoginHost + "/" + string(s.Tenant.ID) + "/oauth2/v2.0/token"})
					s.WantUntouched("cleartext", lab.Cleartext)
				}},
			},
		},
		{
			ID: "AUT-08", Level: Should, Tags: []string{"sec"}, Title: "documents of another issuer are refused",
			Requirement: "An OpenID configuration whose issuer is not of the authority that it was asked for at is not used.",
			Sources:     []string{"RFC 8414 section 3.3", "https://github.com/AzureAD/microsoft-authentication-library-for-go/pull/576"},
			Provokes:    "The OpenID configuration names an issuer outside Azure, also one whose name begins like that of the login host, and a token endpoint with a query of its own.",
			Passes:      "no token request goes to that endpoint: the client fails, or goes to the one that it knows",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"MSAL Go before 1.5.0: not met (https://github.com/AzureAD/microsoft-authentication-library-for-go/pull/576)", "MSAL for Python 1.39.0: not met (observed)"},
			Cases:       []Case{issuer("another host", lab.TrapDomain), issuer("a host with a similar name", "login.microsoftonline.com."+lab.TrapDomain)},
		},
		{
			ID: "AUT-09", Level: Should, Tags: []string{"tenant"}, Title: "a known cloud needs no instance discovery",
			Requirement: "When instance discovery fails, a client that knows the login host goes on.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/604"},
			Provokes:    "Instance discovery answers 500, or breaks the connection.",
			Passes:      "the client gets a token; it need not have asked",
			Cost:        Timed,
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"azidentity 1.15.0: met, after ten seconds of retries (observed)"},
			Alone:       true,
			Cases: []Case{
				undiscovered("500", lab.Always(lab.Text(http.StatusInternalServerError, "text/plain", "there is nobody"))),
				undiscovered("no answer", lab.Always(&lab.Answer{Hangup: true})),
			},
		},
		{
			ID: "AUT-10", Level: Should, Tags: []string{"tenant"}, Title: "instance discovery can be switched off",
			Requirement: "A client that is configured without instance discovery, as for a private cloud, asks nobody which hosts are login hosts.",
			Sources:     []string{"https://pkg.go.dev/github.com/Azure/azure-sdk-for-go/sdk/azidentity#ClientAssertionCredentialOptions"},
			Provokes:    "The client is configured with an authority at " + lab.PrivateHost + " and without instance discovery.",
			Passes:      "no request for instance discovery, to any host, and there is a token request; skipped where that goes to another host, as of a client that has no such configuration",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				s.Config = elsewhereThan(s.Config, "https://"+lab.PrivateHost)
				got := s.Token()
				known := s.loginHostsOutside()
				s.Want("elsewhere", len(known) == 0, "no connection to a login host that is known", "%s", strings.Join(known, ", "))
				s.WantUntouched("discovery", lab.InstanceDiscovery)
				s.Want("exchange", len(s.Exchanges(lab.Token)) > 0, "a token request", "none, and %s", got)
				s.wantConfigurable()
			}}},
		},
	}
}

// elsewhereThan is a configuration with an authority of no cloud that clients know, and
// without instance discovery, which nobody else could have.
func elsewhereThan(c driver.Config, authority string) driver.Config {
	c.Cloud, c.Endpoints.Authority, c.Discovery = "", authority, false
	return c
}

// wantConfigurable skips a client that asks another login host than the private one
// which it was configured with: in most wirings its driver has no need to tell it.
func (s *Session) wantConfigurable() {
	for _, x := range s.Exchanges(lab.Token) {
		if !strings.EqualFold(x.URL.Hostname(), lab.PrivateHost) {
			s.Skip("the driver does not tell the client of another login host: it asks " + x.URL.Host)
		}
	}
}

// loginHostsOutside returns the login hosts of the cloud that the client asked for
// where they do not lead to the lab, as when it is configured with URLs of loopback.
func (s *Session) loginHostsOutside() []string {
	return slices.DeleteFunc(s.Leaks(), func(leak string) bool {
		_, host, _ := strings.Cut(leak, " ")
		name, _, _ := strings.Cut(host, ":")
		return !slices.Contains(s.Environment.LoginAliases, name)
	})
}

// document has the client ask for a token while the OpenID configuration has other
// members. A client that does not ask for that document has nothing to show.
func (s *Session) document(members map[string]any) Got {
	r := s.Fault(lab.OpenIDConfig, 0, lab.Members(members))
	got := s.Token()
	if r.Fired() == 0 {
		s.Skip("the client does not ask for the OpenID configuration")
	}
	return got
}

// issuer is a case of AUT-08.
func issuer(name, host string) Case {
	return Case{Name: name, Run: func(s *Session) {
		const mark = "of"
		tenant := string(s.Tenant.ID)
		s.document(map[string]any{
			"issuer": "https://" + host + "/" + tenant + "/v2.0", "token_endpoint": "https://" + s.Environment.LoginHost + "/" + tenant + "/oauth2/v2.0/token?" + mark + "=" + host,
		})
		n := 0
		for _, x := range s.Exchanges(lab.Token) {
			if x.Query().Has(mark) {
				n++
			}
		}
		s.Want("used", n == 0, "no token request to the endpoint of that document", "%d", n)
	}}
}

// undiscovered is a case of AUT-09.
func undiscovered(name string, answer lab.Act) Case {
	return Case{Name: name, Run: func(s *Session) {
		s.Patience = time.Minute
		s.Fault(lab.InstanceDiscovery, 0, answer)
		s.WantToken(s.Token())
	}}
}
