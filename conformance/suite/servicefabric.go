package suite

import (
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

const pageServiceFabric = "https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code"

var needsFabric = []driver.Capability{driver.ServiceFabric, driver.IdentitySystem}

// inFabric is a case in an application of Service Fabric.
func inFabric(name string, run func(*Session)) Case {
	return at(fakeentra.ServiceFabric, Case{Name: name, Run: func(s *Session) {
		s.Config.Identity = driver.Identity{Kind: "system"}
		s.Patience = time.Minute
		run(s)
	}})[0]
}

func fabricPin() *Check {
	pinned := func(name string, form func(string) string) Case {
		return inFabric(name, func(s *Session) {
			s.ShowThumbprint(form)
			got := s.Token()
			for _, x := range s.endpointRequests() {
				s.wantValue("secret", "the value of IDENTITY_HEADER in Secret", x.Header.Get("Secret"), s.variable("IDENTITY_HEADER"))
			}
			s.WantToken(got)
		})
	}
	return &Check{
		ID: "SRC-14", Level: Must, Tags: []string{"src", "sec"}, Title: "Service Fabric is known by its thumbprint",
		Requirement: "The endpoint has a certificate that nobody vouches for. A client accepts it if its SHA-1 is IDENTITY_SERVER_THUMBPRINT, in either letter case, and then sends the secret.",
		Sources:     []string{pageServiceFabric, "https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/656", "https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/654"},
		Provokes:    "The endpoint shows a self-signed certificate with the thumbprint of the environment.",
		Passes:      "the request has the secret, and the client gets a token",
		Names:       true,
		Needs:       needsFabric,
		Known: []string{
			"@azure/identity 4.13.1, @azure/msal-node 7.2.1, azure-identity 1.18.2 for Java, MSAL4J 1.26.0: not met, do not pin (observed)",
			"MSAL for Python before 1.38.0, MSAL Go before 1.9.0: not met (observed)",
		},
		Cases: []Case{pinned("upper case", strings.ToUpper), pinned("lower case", strings.ToLower)},
	}
}

func fabricStranger() *Check {
	return &Check{
		ID: "SRC-15", Level: Must, Tags: []string{"src", "sec"}, Title: "no other certificate will do at Service Fabric",
		Requirement: "A certificate with another thumbprint is refused before the secret is sent, whoever vouches for it.",
		Sources: []string{
			pageServiceFabric, "https://github.com/AzureAD/microsoft-authentication-library-for-js/issues/6888",
			"https://github.com/AzureAD/microsoft-authentication-library-for-java/issues/773", "https://github.com/Azure/azure-sdk-for-python/issues/33431",
		},
		Provokes: "The endpoint shows a certificate for localhost of an authority that the client trusts.",
		Passes:   "no request comes through, and the client fails",
		Names:    true,
		Cost:     Timed,
		Needs:    needsFabric,
		Known: []string{
			"@azure/identity 4.13.1 and 4.14.1, @azure/msal-node 7.2.1, azure-identity 1.18.2 for Java, MSAL4J 1.26.0: not met (observed)", "azidentity before 1.15.0: not met (its changelog)", "MSAL for Python before 1.38.0, MSAL Go before 1.9.0: not met (observed)", "MSAL.NET before 4.62.0: not met (its changelog)",
		},
		Cases: []Case{inFabric("", func(s *Session) {
			s.UnpinEndpoint()
			got := s.Token()
			s.Proven(s.knocked(), "connection to the endpoint")
			s.WantUntouched("secret", lab.EndpointToken)
			s.WantError(got)
		})},
	}
}

func fabricScheme() *Check {
	cases := redirects(func(s *Session, status int, location string) {
		s.Config.Identity = driver.Identity{Kind: "system"}
		s.Patience = time.Minute
		s.VouchEndpoint()
		r := s.identityFault(0, lab.Redirect(status, location))
		s.Token()
		s.Armed(r)
		s.wantNoSecret("secret", lab.Trap, lab.Cleartext)
	})
	return &Check{
		ID: "SRC-16", Level: Must, Tags: []string{"src", "sec"}, Title: "the secret of Service Fabric needs TLS, and is sent nowhere else",
		Requirement: "An endpoint without https is refused before the secret is sent, and a redirect does not take the secret to another origin.",
		Sources:     []string{pageServiceFabric, "azidentity 1.15.0, its changelog"},
		Provokes:    "IDENTITY_ENDPOINT names an endpoint with http; and the right endpoint, whose certificate clients trust by its thumbprint and by its authority, answers with a redirect to another host.",
		Passes:      "no request to the other host has the secret",
		Names:       true,
		Cost:        Timed,
		Needs:       needsFabric,
		Known: []string{
			"azidentity before 1.15.0: not met (its changelog)",
			"@azure/msal-node 7.2.1, azure-identity 1.18.2 for Java, MSAL4J 1.26.0: not met, @azure/identity 4.13.1: not met for http (observed)",
		},
		Cases: append(at(fakeentra.ServiceFabric, cases...), inFabric("http", func(s *Session) {
			s.Environ = append(s.Environ, "IDENTITY_ENDPOINT=http://"+lab.TrapDomain+"/metadata/identity/oauth2/token")
			got := s.Token()
			s.wantNoSecret("secret", lab.Trap, lab.Cleartext)
			s.WantError(got)
		})),
	}
}
