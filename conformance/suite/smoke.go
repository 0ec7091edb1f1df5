package suite

import (
	"net/http"
	"slices"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// Smoke returns checks that say whether a driver works, and nothing of the client:
// an exchange that succeeds, and one that the token service refuses. They are not
// in the catalogue.
func Smoke() []*Check {
	return []*Check{
		{
			ID: "SMOKE-1", Level: Must, Title: "an exchange that succeeds",
			Requirement: "The client opens, and answers a request for a token with the one that the token service issued.",
			Provokes:    "Nothing; the application trusts the managed identity.",
			Passes:      "the token is the one that was issued",
			Cases: fromAnySource(func(s *Session) {
				got := s.Token()
				issued := ""
				for _, x := range s.Reached(lab.Token) {
					issued = x.Issued()
				}
				if s.WantToken(got) {
					s.Want("token", got.Token == issued, "the token that was issued", "another one")
				}
			}),
		},
		{
			ID: "SMOKE-2", Level: Must, Title: "an exchange that the token service refuses",
			Requirement: "The client answers a request for a token with an error, and says what the error was.",
			Provokes:    "The token service answers 401 with AADSTS700213.",
			Passes:      "the answer is an error with a message",
			Cases: fromAnySource(func(s *Session) {
				r := s.Fault(lab.Token, 0, lab.Always(lab.JSON(http.StatusUnauthorized, map[string]any{
					"error": "invalid_client", "error_codes": []int{700213},
					"error_description": "AADSTS700213: No matching federated identity record found for presented assertion subject.",
				})))
				got := s.Token()
				s.Armed(r)
				s.WantError(got)
				s.Want("message", got.Message() != "", "an error with a message", "%s", got)
			}),
		},
	}
}

// fromAnySource returns a case for each source that has user-assigned identities,
// or at least one. The first that the driver knows is taken.
func fromAnySource(run func(*Session)) []Case {
	var cases []Case
	var before []driver.Capability
	for _, source := range []driver.Capability{driver.IMDS, driver.AppService, driver.ServiceFabric, driver.AzureML, driver.Arc} {
		identity := driver.IdentityClientID
		if source == driver.Arc {
			identity = driver.IdentitySystem
		}
		others := slices.Clone(before)
		before = append(before, source)
		cases = append(cases, Case{
			Name: string(source), Needs: []driver.Capability{source, identity},
			Fixture: func(f *lab.Fixture) { f.Source = lab.Sources[string(source)] },
			Run: func(s *Session) {
				if slices.ContainsFunc(others, s.Has) {
					panic(ended{Skip, "another source was taken"})
				}
				if source == driver.Arc {
					s.Config.Identity = driver.Identity{Kind: "system"}
				}
				run(s)
			},
		})
	}
	return cases
}
