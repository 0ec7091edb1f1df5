package suite

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// claimsCacheChecks are about tokens in caches that claims do not accept.
func claimsCacheChecks() []*Check {
	return []*Check{
		{
			ID: "CAE-03", Level: Must, Tags: []string{"cae", "cache"}, Title: "claims pass the cache of the application's token",
			Requirement: "A request with claims gets a new token: the one in the cache is what a resource has just refused.",
			Sources:     []string{pageClaimsChallenge, "https://github.com/AzureAD/microsoft-authentication-library-for-java/issues/811"},
			Provokes:    "A token is asked for, and then another one with claims.",
			Passes:      "the second makes a token request with the claims, and returns the token of that",
			Needs:       []driver.Capability{driver.IMDS, driver.Claims},
			Known: []string{"MSAL4J 1.26.0, azure-identity 1.18.2 for Java with it: not met for an application's token, which is taken from the cache before claims are looked at (observed)",
				"MSAL Node before 2.8.0: not met (its changelog)"},
			Cases: []Case{{Run: func(s *Session) {
				got, posts, _ := s.withClaims()
				if s.Want("exchange", len(posts) > 0, "an exchange for the claims", "none") {
					last := posts[len(posts)-1]
					s.Want("claims", requestedClaims(last).asksForMore(), "the claims", "%q", last.Form()["claims"])
					s.Want("token", got.Token == last.Issued(), "the new token", "%s", got)
				}
			}}},
		},
		{
			ID: "CAE-04", Level: Should, Tags: []string{"cae", "cache"}, Title: "claims pass the cache of the managed identity's token",
			Requirement: "The exchange that answers claims begins with a new token of the managed identity, since its session may be what was revoked.",
			Sources: []string{
				"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4845", "https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/725",
				"https://github.com/AzureAD/microsoft-authentication-library-for-js/issues/7206", "https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/497",
				"https://github.com/AzureAD/microsoft-authentication-library-for-java/issues/842", "https://github.com/AzureAD/microsoft-identity-web/issues/3647",
			},
			Provokes: "A token is asked for, and then another one with claims.",
			Passes:   "IMDS is asked again for the second",
			Needs:    []driver.Capability{driver.IMDS, driver.Claims},
			Known: []string{
				"azidentity 1.15.0 and MSAL Go 1.10.1: not met where the assertion comes from a callback, which is not told the claims (observed)",
				"@azure/identity 4.13.1 and 4.14.1: not met, claims are dropped (observed)", "MSAL Node 7.2.1: not met where the assertion comes from a callback (observed)",
				"azure-identity for Python before its pull request 44815: not met (https://github.com/Azure/azure-sdk-for-python/issues/44815)",
			},
			Cases: []Case{{Run: func(s *Session) {
				_, _, assertions := s.withClaims()
				s.Want("imds", assertions > 0, "a token from IMDS for the claims", "none")
			}}},
		},
		{
			ID: "CAE-05", Level: Should, Tags: []string{"cae", "cache"}, Title: "tokens with and without CAE are kept apart",
			Requirement: "A token that was asked for with the capability cp1 can be revoked at any moment and lives long. Callers that did not ask for it do not get it, and the other way round.",
			Sources:     []string{"https://learn.microsoft.com/entra/identity-platform/app-resilience-continuous-access-evaluation", "https://github.com/Azure/azure-sdk-for-python/issues/42145"},
			Provokes:    "Tokens are asked for with CAE and without, in turns.",
			Passes:      "each token is of a token request that had cp1 in its claims if, and only if, it was asked for with CAE; a client that cannot choose for each request is left out",
			Needs:       []driver.Capability{driver.IMDS, driver.CAE},
			Known:       []string{"azure-identity for Python before 1.24.0: not met (https://github.com/Azure/azure-sdk-for-python/issues/42145)"},
			Cases: []Case{{Run: func(s *Session) {
				together := false
				for i, cae := range []bool{true, false, true, false} {
					got := s.Ask(driver.TokenRequest{CAE: cae})
					posts := s.Reached(lab.Token)
					if i == 0 && len(posts) > 0 && !requestedClaims(posts[0]).understands() {
						s.Skip("the client does not say for each request whether it understands continuous access evaluation")
					}
					issued := false
					for _, x := range posts {
						if got.Token != "" && x.Issued() == got.Token {
							issued = true
							apart := s.Want("apart", requestedClaims(x).understands() == cae, fmt.Sprintf("a token that was issued with cp1: %v", cae), "the claims %q", x.Form()["claims"])
							together = together || !apart
						}
					}
					s.Want("outcome", issued, "a token that the token endpoint issued", "%s", got)
				}
				if !together {
					return
				}
				// A client that has nothing in a cache yet tells whether it can choose.
				s.Open(s.Config).Ask(driver.TokenRequest{Scopes: []string{vaultScope}})
				if posts := s.Exchanges(lab.Token); resourceScope(posts[len(posts)-1]) == vaultScope && requestedClaims(posts[len(posts)-1]).understands() {
					s.Skip("the client says for every request that it understands continuous access evaluation")
				}
			}}},
		},
		{
			ID: "CAE-07", Level: May, Tags: []string{"cae", "src"}, Title: "endpoints are told which token was refused",
			Requirement: "Endpoints that cache the token of the managed identity can be told which one is worth nothing any more: by its SHA-256 in token_sha256_to_refresh. Otherwise they hand out the same one again. Clients say xms_cc=cp1 beside it.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4845", "MSAL.NET, ManagedIdentitySourceExtensions.cs"},
			Provokes:    "In a web app and in Service Fabric, a token is asked for, and then another one with claims.",
			Passes:      "a request to the endpoint for the second has the parameter, and it is the SHA-256, in lower case hexadecimal, of a token of the managed identity that was handed out before",
			Known:       []string{"MSAL Go 1.10.1 and MSAL Node 7.2.1 at App Service: not met (source)", "MSAL.NET: met at Service Fabric alone (source)"},
			Cases: []Case{
				{
					Name: "App Service", Needs: []driver.Capability{driver.AppService, driver.Claims},
					Fixture: func(f *lab.Fixture) { f.Source = fakeentra.AppService }, Run: (*Session).wantRefusedToken,
				},
				needing(inFabric("Service Fabric", func(s *Session) {
					s.VouchEndpoint() // clients that do not look at its thumbprint are for SRC-14
					s.wantRefusedToken()
				}), append([]driver.Capability{driver.Claims}, needsFabric...)),
			},
		},
	}
}

func needing(k Case, needs []driver.Capability) Case {
	k.Needs = needs
	return k
}

// wantRefusedToken expects the endpoint to be told which token was refused.
func (s *Session) wantRefusedToken() {
	s.withClaims()
	asked := s.Reached(lab.EndpointToken)
	var refused, said []string
	for _, x := range asked {
		if told := x.Query()["token_sha256_to_refresh"]; len(told) > 0 {
			said = told
			break
		}
		sum := sha256.Sum256([]byte(x.Issued()))
		refused = append(refused, hex.EncodeToString(sum[:]))
	}
	met := len(said) == 1 && slices.Contains(refused, said[0])
	s.Want("hash", met, "the SHA-256 of a token that was handed out before, in a request for another one", "%q in %d requests", said, len(asked))
}

// withClaims has the client ask for a token, and then for one with claims. It
// returns what the second came to, its token requests, and how many tokens of the
// managed identity were handed out for it.
func (s *Session) withClaims() (got Got, posts []*lab.Exchange, assertions int) {
	s.Config.CAE = true
	s.WantToken(s.Token())
	before, known := len(s.Reached(lab.Token)), len(s.assertions())
	got = s.Ask(driver.TokenRequest{Claims: moreClaims})
	return got, s.Exchanges(lab.Token)[before:], len(s.assertions()) - known
}
