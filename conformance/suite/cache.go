package suite

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// vaultScope is that of another resource than StorageScope.
const vaultScope = "https://vault.azure.net/.default"

// cacheChecks are about what clients keep, for how long, and for whom.
func cacheChecks() []*Check {
	return slices.Concat(cacheUseChecks(), cacheIsolationChecks(), cacheExpiryChecks(), cacheRefreshChecks())
}

// issued returns how many tokens were handed out for an operation. A request that
// got none, such as a probe, is no reason for a cache to be judged by.
func (s *Session) issued(op lab.Op) int {
	n := 0
	for _, x := range s.Exchanges(op) {
		if x.Issued() != "" {
			n++
		}
	}
	return n
}

// wantIssued expects a number of tokens to have been handed out for an operation,
// between two bounds.
func (s *Session) wantIssued(name string, op lab.Op, least, most int) bool {
	n := s.issued(op)
	return s.Want(name, n >= least && n <= most, "tokens handed out for "+string(op)+": "+counted(least, most), "%d", n)
}

func counted(least, most int) string {
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// wantTokens expects every caller to get a token.
func (s *Session) wantTokens(all []Got) bool {
	bad := slices.IndexFunc(all, func(g Got) bool { return !g.OK() || g.Token == "" })
	if bad < 0 {
		return s.Want("outcome", true, "a token for every caller", "%d tokens", len(all))
	}
	return s.Want("outcome", false, "a token for every caller", "%s at number %d", all[bad], bad+1)
}

// short returns a fixture in which the application's tokens live for a while.
func short(life time.Duration) func(*lab.Fixture) {
	return func(f *lab.Fixture) { f.ApplicationLife = life }
}

func cacheUseChecks() []*Check {
	return []*Check{
		{
			ID: "CAC-01", Level: Should, Tags: []string{"cache"}, Title: "a token is used more than once",
			Requirement: "Calls for the same scope are answered from a cache: one exchange and one token of the managed identity serve them all.",
			Sources:     []string{pageVMToken, "https://github.com/Azure/azure-sdk-for-net/issues/24046"},
			Provokes:    "Ten calls, one after the other.",
			Passes:      "the token endpoint hands out one token, and so does IMDS",
			Known:       []string{"Azure.Identity before 1.8: a managed identity's tokens were not cached (Azure/azure-sdk-for-net#24046)"},
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				var all []Got
				for range 10 {
					all = append(all, s.Token())
				}
				s.Reached(lab.Token)
				s.wantTokens(all)
				s.wantIssued("exchanges", lab.Token, 1, 1)
				s.wantIssued("identity", lab.IMDSToken, 1, 1)
			}}},
		},
		{
			ID: "CAC-02", Level: Should, Tags: []string{"cache"}, Title: "one token of the managed identity for all resources",
			Requirement: "Each resource takes an exchange of its own, but the assertion is the same: the managed identity is asked once.",
			Sources:     []string{pageVMToken},
			Provokes:    "Calls for two resources, in turn, twice.",
			Passes:      "the token endpoint hands out two tokens, IMDS one",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				var all []Got
				for range 2 {
					for _, scope := range []string{StorageScope, vaultScope} {
						all = append(all, s.Ask(driver.TokenRequest{Scopes: []string{scope}}))
					}
				}
				s.Reached(lab.Token)
				s.wantTokens(all)
				s.wantIssued("exchanges", lab.Token, 2, 2)
				s.wantIssued("identity", lab.IMDSToken, 1, 1)
			}}},
		},
		{
			ID: "CAC-07", Level: Should, Tags: []string{"cache"}, Title: "callers wait for one exchange",
			Requirement: "Callers that need the same token at the same time wait for one exchange, instead of each doing their own.",
			Sources: []string{
				"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4196",
				"https://github.com/Azure/azure-sdk-for-js/issues/8992", "https://github.com/Azure/azure-sdk-for-go/issues/20044",
			},
			Provokes: "Fifty first calls at once; IMDS takes 300 ms to answer.",
			Passes:   "at most two requests at the token endpoint, and at IMDS",
			Needs:    []driver.Capability{driver.IMDS, driver.Concurrency},
			Known: []string{
				"MSAL Go 1.10.1: not met, 50 exchanges (observed)",
				"@azure/identity 4.13.1 and 4.14.1: not met, 50 exchanges (observed)",
				"@azure/msal-node 7.2.1: not met, 50 exchanges (observed; AzureAD/microsoft-authentication-library-for-js#6566)",
				"azure-identity 1.27.0 and MSAL 1.39.0 for Python, azure-identity 1.18.2 and MSAL4J 1.26.0 for Java: not met (observed)",
			},
			Cases: []Case{{Run: func(s *Session) {
				r := s.Fault(lab.IMDSToken, 0, lab.Slow(300*time.Millisecond))
				all := s.AskTogether(50, driver.TokenRequest{})
				s.Armed(r)
				s.Reached(lab.Token)
				s.wantTokens(all)
				s.wantIssued("exchanges", lab.Token, 1, 2)
				s.wantIssued("identity", lab.IMDSToken, 1, 2)
			}}},
		},
		{
			ID: "CAC-16", Level: Should, Tags: []string{"cache", "tel"}, Title: "a correlation ID is no part of the key",
			Requirement: "What a request carries for diagnosis has no part in which cached token answers it.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/6073"},
			Provokes:    "Three calls, each with a correlation ID of its own.",
			Passes:      "the token endpoint hands out one token",
			Needs:       []driver.Capability{driver.IMDS, driver.Correlation},
			Known:       []string{"MSAL.NET before 4.85.0: extra headers divided the cache (AzureAD/microsoft-authentication-library-for-dotnet#6073)"},
			Cases: []Case{{Run: func(s *Session) {
				var all []Got
				for _, id := range []string{
					"11111111-aaaa-4bbb-8ccc-000000000001", "11111111-aaaa-4bbb-8ccc-000000000002", "11111111-aaaa-4bbb-8ccc-000000000003",
				} {
					all = append(all, s.Ask(driver.TokenRequest{CorrelationID: id}))
				}
				s.Reached(lab.Token)
				s.wantTokens(all)
				s.wantIssued("exchanges", lab.Token, 1, 1)
			}}},
		},
		{
			ID: "CAC-17", Level: Should, Tags: []string{"cache", "err"}, Title: "a failure is not remembered",
			Requirement: "A refusal is neither cached as a success nor held against later calls: the next call asks again.",
			Sources:     []string{"https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azidentity/CHANGELOG.md"},
			Provokes:    "IMDS, or the token endpoint, refuses one request; then all is well.",
			Passes:      "the second call gets a token",
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"azidentity before 0.13.0: an error of IMDS disabled the credential (changelog)",
				"azure-identity for Python before 1.15.0b1: likewise (changelog)",
			},
			Cases: []Case{
				{Name: "IMDS", Run: func(s *Session) {
					forgiven(s, s.identityFault, lab.JSON(http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "Identity not found"}))
				}},
				{Name: "the token endpoint", Run: func(s *Session) {
					forgiven(s, s.exchangeFault, entraRefusal(http.StatusUnauthorized, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject."))
				}},
			},
		},
		{
			ID: "CAC-18", Level: Should, Tags: []string{"cache"}, Title: "the keys of the tenant are none of the client's business",
			Requirement: "Tokens are opaque to clients: new signing keys at the token endpoint change nothing for them, and their keys are not looked up.",
			Sources:     []string{"https://learn.microsoft.com/entra/identity-platform/access-tokens", "RFC 6749 section 1.4"},
			Provokes:    "New signing keys between two calls, and a third call for another resource.",
			Passes:      "no request for keys; every call gets a token, the second one from the cache",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				all := []Got{s.Token()}
				s.Cloud.RotateKeys()
				all = append(all, s.Token(), s.Ask(driver.TokenRequest{Scopes: []string{vaultScope}}))
				s.Reached(lab.Token)
				s.wantTokens(all)
				s.WantUntouched("keys", lab.Keys)
				s.Want("cached", all[0].Token == all[1].Token, "the same token before and after", "another one")
			}}},
		},
	}
}

// forgiven is a case in which the first request of a kind is refused.
func forgiven(s *Session, fault func(int, lab.Act) *lab.Rule, refusal *lab.Answer) {
	r := fault(1, lab.Always(refusal))
	s.Token()
	s.Armed(r)
	got := s.Token()
	s.Want("again", got.OK(), "a token at the second call", "%s", got)
}
