package suite

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// pageClaimsChallenge describes how a resource asks for more.
const pageClaimsChallenge = "https://learn.microsoft.com/entra/identity-platform/claims-challenge"

// moreClaims is what a resource asks for when a token was revoked: one that is
// issued after a moment.
const moreClaims = `{"access_token":{"nbf":{"essential":true,"value":"1726077595"}}}`

// claimsChecks are about claims challenges and continuous access evaluation.
func claimsChecks() []*Check {
	return slices.Concat(challengeChecks(), claimsCacheChecks())
}

// challengeChecks are about what a client does when a resource challenges it.
func challengeChecks() []*Check {
	return []*Check{
		{
			ID: "CAE-01", Level: Must, Tags: []string{"cae"}, Title: "a claims challenge is answered by one exchange",
			Requirement: "A client that says it understands continuous access evaluation answers a claims challenge with one exchange that has the claims, beside its own capabilities, and sends its request again once.",
			Sources: []string{pageClaimsChallenge, "https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation-workload",
				"https://github.com/Azure/azure-sdk-for-net/issues/40451", "https://github.com/Azure/azure-sdk-for-net/issues/43468"},
			Provokes: "The first request for blobs is answered with 401 and a claims challenge.",
			Passes:   "one token request follows, whose claims have nbf of the challenge and xms_cc with cp1 in any letter case; then one request for blobs with the new token. A client that does not say cp1 before is left out",
			Names:    true,
			Needs:    []driver.Capability{driver.IMDS, driver.Blob, driver.CAE},
			Cases: []Case{{Run: func(s *Session) {
				s.Config.CAE = true
				r := s.withToken(1, s.challenge(claimsIn(moreClaims)))
				got := s.List()
				s.Armed(r)
				if posts := s.Reached(lab.Token); len(posts) > 0 && !requestedClaims(posts[0]).understands() {
					s.Skip("the client does not say to the token endpoint that it understands continuous access evaluation when it uses Blob storage")
				}
				challenged, posts := s.afterChallenge()
				if s.Want("exchange", len(posts) == 1, "one exchange after the challenge", "%d", len(posts)) {
					claims := requestedClaims(posts[0])
					s.Want("claims", claims.asksForMore(), "the claims of the challenge", "%q", posts[0].Form()["claims"])
					s.Want("capabilities", claims.understands(), "xms_cc with cp1", "%q", posts[0].Form()["claims"])
				}
				used := s.authorized()
				s.Want("replay", len(used) == 2, "the request once more", "%d requests in all", len(used))
				for _, x := range used {
					if x.Seq > challenged && len(posts) == 1 {
						s.Want("token", x.Bearer() == posts[0].Issued(), "the new token", "another one")
					}
				}
				s.Want("outcome", got.OK() && slices.Equal(got.Items, s.Blobs), "the blobs", "%s", got)
			}}},
		},
		{
			ID: "CAE-02", Level: Must, Tags: []string{"cae"}, Title: "a challenge that comes again is an error",
			Requirement: "When the new token is answered with the same challenge, the client gives up.",
			Sources:     []string{pageClaimsChallenge},
			Provokes:    "Every request for blobs is answered with 401 and the same claims challenge.",
			Passes:      "there are at most three requests for blobs with a token, and the client fails",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS, driver.Blob, driver.CAE},
			Cases: []Case{{Run: func(s *Session) {
				s.Config.CAE = true
				r := s.withToken(0, s.challenge(claimsIn(moreClaims)))
				got := s.List()
				s.Armed(r)
				used := len(s.authorized())
				s.Want("requests", used <= 3, "at most 3 requests for blobs with a token", "%d", used)
				s.WantError(got)
			}}},
		},
		{
			ID: "CAE-06", Level: Should, Tags: []string{"cae"}, Title: "a challenge that makes no sense is no challenge",
			Requirement: "Claims that cannot be read, or are not there, are not sent to the token endpoint. The client fails with what the resource answered, or with what is wrong with it.",
			Sources:     []string{pageClaimsChallenge},
			Provokes:    "Requests for blobs are answered with 401 and a claims challenge whose claims are missing, not in Base64, not JSON, or 12 KB of nothing.",
			Passes:      "no token request follows, and the client fails",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS, driver.Blob, driver.CAE},
			Cases: []Case{
				senseless("no claims", ""), senseless("no Base64", `, claims="{not~base64}"`), senseless("no JSON", claimsIn("nothing to see")),
				senseless("12 KB of nothing", claimsIn(strings.Repeat("\x00", 9<<10))),
			},
		},
	}
}

// senseless is a case of CAE-06.
func senseless(name, claims string) Case {
	return Case{Name: name, Run: func(s *Session) {
		s.Config.CAE = true
		r := s.withToken(0, s.challenge(claims))
		got := s.List()
		s.Armed(r)
		_, posts := s.afterChallenge()
		s.Want("exchange", len(posts) == 0, "no exchange after the challenge", "%d", len(posts))
		s.WantError(got)
	}}
}

// claimsIn returns the parameter of a challenge that has claims.
func claimsIn(claims string) string {
	return fmt.Sprintf(`, claims="%s"`, base64.StdEncoding.EncodeToString([]byte(claims)))
}

// challenge answers with a claims challenge.
func (s *Session) challenge(claims string) lab.Act {
	header := fmt.Sprintf(`Bearer realm="", authorization_uri="https://%s/%s/oauth2/authorize", error="insufficient_claims"%s`, s.Environment.LoginHost, s.Tenant.ID, claims)
	return func(*lab.Exchange, func() *lab.Answer) *lab.Answer {
		return lab.Text(http.StatusUnauthorized, "application/xml",
			`<?xml version="1.0" encoding="utf-8"?><Error><Code>InvalidAuthenticationInfo</Code><Message>The token does not have all claims.</Message></Error>`).With("Www-Authenticate", header)
	}
}

// withToken arms a rule that acts on the first times requests to storage with a token;
// 0 means on all. Some clients first ask without one, to be told what is wanted.
func (s *Session) withToken(times int, do lab.Act) *lab.Rule {
	return s.Arm(&lab.Rule{Name: "request with a token", Ops: []lab.Op{lab.Blob}, When: func(x *lab.Exchange) bool { return x.Bearer() != "" }, Times: times, Do: do})
}

// authorized returns the requests for blobs that had a token.
func (s *Session) authorized() []*lab.Exchange {
	return slices.DeleteFunc(s.Exchanges(lab.Blob), func(x *lab.Exchange) bool { return x.Bearer() == "" })
}

// afterChallenge returns the number of the first request that was challenged, and
// the token requests after it.
func (s *Session) afterChallenge() (int, []*lab.Exchange) {
	used := s.authorized()
	if len(used) == 0 {
		return 0, nil
	}
	return used[0].Seq, slices.DeleteFunc(s.Exchanges(lab.Token), func(x *lab.Exchange) bool { return x.Seq < used[0].Seq })
}

// asked are the claims that a token request asks for, by their names.
type asked map[string]json.RawMessage

// requestedClaims reads the claims for the access token; there are none in what is
// no JSON.
func requestedClaims(x *lab.Exchange) asked {
	var claims struct {
		AccessToken asked `json:"access_token"`
	}
	_ = json.Unmarshal([]byte(x.Form().Get("claims")), &claims)
	return claims.AccessToken
}

// asksForMore reports whether these are the claims of moreClaims.
func (a asked) asksForMore() bool { return strings.Contains(string(a["nbf"]), "1726077595") }

// understands reports whether the client says that it understands continuous
// access evaluation. Clients write CP1 or cp1.
func (a asked) understands() bool {
	var capabilities struct {
		Values []string `json:"values"`
	}
	_ = json.Unmarshal(a["xms_cc"], &capabilities)
	return slices.ContainsFunc(capabilities.Values, func(v string) bool { return strings.EqualFold(v, "cp1") })
}
