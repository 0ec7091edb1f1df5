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

// assertionLifeChecks are about when an assertion is got, and how long it is used.
func assertionLifeChecks() []*Check {
	return []*Check{
		{
			ID: "AST-10", Level: Must, Tags: []string{"core"}, Title: "no expired assertion",
			Requirement: "An assertion is got again when it has expired. One that was read when the program started is worth nothing after a while, and then every exchange fails with AADSTS700024.",
			Sources: []string{"RFC 7523 section 3", "https://github.com/Azure/login/issues/180", "https://github.com/Azure/login/issues/372",
				"https://github.com/Azure/azure-cli/issues/28915", "https://github.com/Azure/azure-cli/issues/29063", "https://github.com/dotnet/docker-tools/issues/1310"},
			Provokes: "The token of the managed identity and the application's token live for eight seconds; a second token is asked for after nine.",
			Passes:   "no request for the second token has an assertion that had expired when it was asked for",
			Cost:     Timed,
			Needs:    []driver.Capability{driver.IMDS},
			Lingers:  true,
			Known: []string{
				"MSAL for Java before 1.23.1: not met (https://github.com/AzureAD/microsoft-authentication-library-for-java/issues/879)",
				"MSAL Go before 0.5.1, with certificates: not met (https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/312)",
				"MSAL for Python, with an assertion given as text: not met (https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/746)",
			},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.ManagedIdentityLife, f.ApplicationLife = 8*time.Second, 8*time.Second },
				Run: func(s *Session) {
					again := s.Arm(&lab.Rule{Name: "a second exchange", Ops: []lab.Op{lab.Token}, Skip: 1, Do: asUsual})
					s.WantToken(s.Token())
					s.Pause(9 * time.Second)
					asked := time.Now()
					s.Token()
					s.Armed(again)
					// One that was good then may have ended by now, on a busy machine.
					for _, x := range since(asked, s.Exchanges(lab.Token)) {
						ends := lab.Expiry(x.Form().Get("client_assertion"))
						s.Want("fresh", ends.After(asked), "an assertion that has not expired", "one that ended %v before", asked.Sub(ends).Round(time.Second))
					}
				},
			}},
		},
		{
			ID: "AST-11", Level: Should, Tags: []string{"core"}, Title: "no assertion where none is needed",
			Requirement: "The assertion is got when an exchange is to be made. While the application's token is good, neither IMDS nor the token endpoint is asked.",
			Sources:     []string{"https://github.com/microsoft/teams.ts/issues/613", "https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/313"},
			Provokes:    "The token of the managed identity lives for two minutes, the application's for an hour; a token is asked for twice.",
			Passes:      "the second time, no request reaches IMDS or the token endpoint",
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"microsoft/teams.ts before its pull request 613: not met (https://github.com/microsoft/teams.ts/issues/613)",
				"@azure/identity 4.13.1 and MSAL Node 7.2.1: not met, the assertion is asked for before the cache is (observed)",
			},
			Cases: []Case{{
				// Two minutes are less than any client keeps a token for, so that one
				// which gets its assertion beforehand has to ask for it each time.
				Fixture: func(f *lab.Fixture) { f.ManagedIdentityLife = 2 * time.Minute },
				Run: func(s *Session) {
					first := s.WantToken(s.Token())
					imds, posts := len(s.Reached(lab.IMDSToken)), len(s.Reached(lab.Token))
					if first {
						s.WantToken(s.Token())
					}
					again := len(s.Exchanges(lab.IMDSToken)) - imds
					s.Want("imds", again == 0, "no second request to IMDS", "%d", again)
					again = len(s.Exchanges(lab.Token)) - posts
					s.Want("exchange", again == 0, "no second exchange", "%d", again)
				},
			}},
		},
		{
			ID: "AST-16", Level: Should, Tags: []string{"core"}, Title: "a rejected assertion is not sent again",
			Requirement: "When Entra says that an assertion is not within its time, a client may get another one, past its cache, and try once more. It does not send the same one again. Inferred: most clients just fail.",
			Sources:     []string{"https://learn.microsoft.com/entra/identity-platform/reference-error-codes (AADSTS700024)"},
			Provokes:    "The token endpoint answers AADSTS700024, once or always; IMDS has a new token for every request.",
			Passes:      "there are at most two token requests, with different assertions, and IMDS hands out at most two tokens",
			Needs:       []driver.Capability{driver.IMDS},
			Cases:       []Case{rejected("once", 1), rejected("always", 0)},
		},
		{
			ID: "AST-17", Level: Must, Tags: []string{"core"}, Title: "no exchange without an assertion",
			Requirement: "When there is no assertion, nothing is sent to the token endpoint, and the error says that the managed identity is why.",
			Sources:     []string{pageVMToken},
			Provokes:    `IMDS answers 400 with invalid_request, "Identity not found".`,
			Passes:      "no token request; the error has the code, the description or the status that IMDS answered, or says in words of its own that it is about an identity",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				r := s.Fault(lab.IMDSToken, 0, lab.Always(lab.JSON(http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": "Identity not found"})))
				got := s.Token()
				s.Armed(r)
				s.WantUntouched("exchange", lab.Token)
				if s.WantError(got) {
					s.Want("reason", blames(got.Message()) || got.Error.HTTPStatus == http.StatusBadRequest,
						"what IMDS answered, or the word identity, in the error", "%q", shorten(got.Message(), 300))
				}
			}}},
		},
	}
}

// since returns the exchanges that began after a moment.
func since(then time.Time, all []*lab.Exchange) []*lab.Exchange {
	return slices.DeleteFunc(all, func(x *lab.Exchange) bool { return x.At.Before(then) })
}

// unsaid are names of products and links, which say identity whatever happened.
var unsaid = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`https?://\S+|\baka\.ms/\S+|@?\bazure[-._/]identity\b|\bazidentity\b|\bmicrosoft[. ]identity\S*|\b(federated|workload)[ _]identity`)
})

// blames reports whether an error says that there is no token of the managed
// identity: in what IMDS answered, or in words of its own.
func blames(message string) bool {
	said := unsaid().ReplaceAllString(strings.ToLower(message), "")
	return strings.Contains(said, "invalid_request") || strings.Contains(said, "identity") || strings.Contains(said, "imds") || mentions(said, http.StatusBadRequest)
}

// asUsual lets a request pass: a rule with it only notices that it came.
func asUsual(_ *lab.Exchange, next func() *lab.Answer) *lab.Answer { return next() }

// rejected is a case of AST-16.
func rejected(name string, times int) Case {
	return Case{Name: name, Run: func(s *Session) {
		s.Fault(lab.IMDSToken, 0, s.Reissue())
		r := s.Fault(lab.Token, times, lab.Always(lab.JSON(http.StatusUnauthorized, map[string]any{
			"error": "invalid_client", "error_description": "AADSTS700024: Client assertion is not within its valid time range.", "error_codes": []int{700024},
		})))
		s.Token()
		s.Armed(r)
		s.WantCount("exchanges", lab.Token, 1, 2)
		sent := map[string]bool{}
		for _, x := range s.Exchanges(lab.Token) {
			sent[x.Form().Get("client_assertion")] = true
		}
		s.Want("another", len(sent) == len(s.Exchanges(lab.Token)), "another assertion each time", "%d assertions in %d requests", len(sent), len(s.Exchanges(lab.Token)))
		got := len(s.assertions())
		s.Want("imds", got <= 2, "at most 2 tokens from IMDS", "%d", got)
	}}
}
