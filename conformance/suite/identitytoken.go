package suite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// identityTokenChecks are about the token of the managed identity.
func identityTokenChecks() []*Check {
	return []*Check{
		{
			ID: "MIT-01", Level: Must, Tags: []string{"core"}, Title: "the token is forwarded as it is",
			Requirement: "The token of a managed identity is opaque to a client: whatever it looks like, it is the assertion, byte for byte.",
			Sources:     []string{"RFC 6750 section 2.1", "RFC 6749 section 1.4"},
			Provokes:    "IMDS hands out tokens that are no JWT; the token endpoint takes them.",
			Passes:      "the client_assertion of each exchange decodes to the bytes that IMDS handed out, and the client gets a token",
			Needs:       needsIMDS,
			Cases: []Case{
				opaque("every character of token68", "opaque.not_a~jwt+/=="),
				opaque("one byte", "x"),
				opaque("16 KiB", strings.Repeat("0123456789abcdef", 1024)),
				opaque("encrypted", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.b2xkIGtleQ.aXY_aXY_aXY_.Y2lwaGVydGV4dA.dGFnX3RhZ190YWdfdGFn"),
			},
		},
		{
			ID: "MIT-02", Level: Must, Tags: []string{"core"}, Title: "expires_on as text",
			Requirement: "A client reads expires_on as the text that IMDS writes: the seconds since 1970.",
			Sources:     []string{pageVMToken},
			Provokes:    "IMDS answers with expires_on as text, beside the usual expires_in.",
			Passes:      passesDialect,
			Needs:       needsIMDS,
			Cases:       []Case{dialect("", func(ends time.Time) any { return strconv.FormatInt(ends.Unix(), 10) })},
		},
		{
			ID: "MIT-03", Level: Should, Tags: []string{"core"}, Title: "expires_on in ISO 8601",
			Requirement: "A client reads expires_on as a date in ISO 8601, also with the seven digits that .NET writes.",
			Sources: []string{
				"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4963", "https://github.com/Azure/azure-sdk-for-net/issues/46714",
				"https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/760",
			},
			Provokes: "IMDS answers with expires_on as a date, beside the usual expires_in; and App Service does, which has no expires_in.",
			Passes:   passesDialect,
			Known:    []string{"Azure.Identity 1.13.0, with MSAL.NET before 4.66.1: not met (reported)", "@azure/identity 4.13.1, @azure/msal-node 7.2.1: not met, take such a date for now (observed)"},
			Cases: []Case{
				elsewhere(fakeentra.IMDS, driver.IMDS, dialect("with offset", written("2006-01-02T15:04:05-07:00"))),
				elsewhere(fakeentra.IMDS, driver.IMDS, dialect("with Z", written("2006-01-02T15:04:05Z"))),
				elsewhere(fakeentra.IMDS, driver.IMDS, dialect("with seven digits", written("2006-01-02T15:04:05.0000000-07:00"))),
				elsewhere(fakeentra.AppService, driver.AppService, dialect("at App Service", written("2006-01-02T15:04:05.0000000-07:00"))),
			},
		},
		{
			ID: "MIT-04", Level: May, Tags: []string{"core", "src"}, Title: "expires_on as the older protocol writes dates",
			Requirement: "Clients that ask for the version 2017-09-01 read its dates, as App Service wrote them: 11/22/2026 8:38:57 PM +00:00 on Windows and 11/22/2026 20:38:57 +00:00 on Linux. Azure ML has the version still, but was seen to write numbers.",
			Sources: []string{
				"https://github.com/Azure/azure-sdk-for-python/issues/9480", "https://github.com/Azure/azure-sdk-for-net/issues/12869",
				"https://github.com/Azure/azure-sdk-for-js/issues/4965", "https://github.com/Azure/azure-cli/issues/20215",
			},
			Provokes: "The endpoint of App Service, and that of Azure ML, answers requests for that version with expires_on as such a date. They have no expires_in.",
			Passes:   passesDialect + "; skipped where the client asks for another version",
			Known:    []string{"azidentity 1.15.0, MSAL Go 1.10.1: not met (observed)", "@azure/identity 4.13.1, @azure/msal-node 7.2.1: not met, take such a date for now (observed)", "azure-identity 1.27.0 and MSAL 1.39.0 for Python: not met (observed)"},
			Cases:    olderDialects(),
		},
		{
			ID: "MIT-05", Level: Should, Tags: []string{"core"}, Title: "a token is not used after its time",
			Requirement: "A client counts from expires_in where there is no expires_on, and does not trust expires_in where expires_on is earlier.",
			Sources:     []string{pageVMToken, "@azure/msal-node 2.8.0, its changelog"},
			Provokes:    "IMDS answers that a token ends in six seconds: by expires_in, by expires_on, and by expires_on where expires_in says a day. There is an exchange at once and another one seven seconds later.",
			Passes:      "the client asks IMDS again before the second exchange, and gets a token; one that refuses an answer without expires_in, or without expires_on, uses no token of it",
			Cost:        Timed, Needs: needsIMDS,
			Lingers: true,
			Known:   []string{"@azure/msal-node before 2.8.0: not met (its changelog)", "azure-identity 1.27.0 and MSAL 1.39.0 for Python: not met at IMDS, where they read expires_in (observed)"},
			Cases: []Case{
				shortLived("expires_in", true, func(in string, _ int64) map[string]any {
					return map[string]any{"expires_in": in, "expires_on": lab.Absent}
				}),
				shortLived("expires_on", true, func(_ string, on int64) map[string]any {
					return map[string]any{"expires_in": lab.Absent, "expires_on": fmt.Sprint(on)}
				}),
				shortLived("both", false, func(_ string, on int64) map[string]any {
					return map[string]any{"expires_in": "86400", "expires_on": fmt.Sprint(on)}
				}),
			},
		},
		{
			ID: "MIT-06", Level: Should, Tags: []string{"core"}, Title: "a token that has ended is not used",
			Requirement: "A token whose time is over when it comes is not presented as an assertion.",
			Sources:     []string{"RFC 7523 section 3"},
			Provokes:    "IMDS answers every request with a token that ended 100 seconds ago, and says so in expires_on.",
			Passes:      "no exchange carries an assertion whose exp is over, and the client fails after at most four requests",
			Needs:       needsIMDS,
			Known:       []string{"azidentity 1.15.0, MSAL Go 1.10.1, @azure/identity 4.14.1, @azure/msal-node 7.2.1: not met (observed)"},
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = time.Minute
				r := s.identityFault(0, func(*lab.Exchange, func() *lab.Answer) *lab.Answer { return s.identityAnswer(-100 * time.Second) })
				got := s.Token()
				s.Armed(r)
				for _, x := range s.Exchanges(lab.Token) {
					ends := lab.Expiry(x.Form().Get("client_assertion"))
					s.Want("presented", ends.After(x.At), "an assertion that is still good", "one that ended %v before", x.At.Sub(ends).Round(time.Second))
				}
				s.wantRequests(4)
				s.WantError(got)
			}}},
		},
		{
			ID: "MIT-11", Level: May, Tags: []string{"core"}, Title: "expires_on as a number",
			Requirement: "A client reads expires_on as a number, too, which Service Fabric and endpoints that imitate IMDS write. IMDS itself writes text.",
			Sources: []string{
				pageServiceFabric, "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/5167",
				"https://github.com/Azure/azure-sdk-for-rust/pull/2460, which says why a client need not",
			},
			Provokes: "IMDS answers with expires_on as a number, beside the usual expires_in.",
			Passes:   passesDialect,
			Needs:    needsIMDS,
			Known:    []string{"azure_identity 1.0.0 for Rust: not met, an error (observed)"},
			Cases:    []Case{dialect("", func(ends time.Time) any { return ends.Unix() })},
		},
		identityNoise(), identityMalformed(), identityMissing(), identityUnreachable(),
	}
}

// otherScope makes a client that has a token for storage do another exchange.
const otherScope = "https://vault.azure.net/.default"

// identityAnswer is IMDS's answer with a token of the configured identity that it
// did not issue, which lives for as long as it says.
func (s *Session) identityAnswer(life time.Duration) *lab.Answer {
	m := s.Agent
	ends := time.Now().Add(life).Unix()
	return lab.JSON(http.StatusOK, map[string]any{
		"access_token": s.Assertion(m, life), "client_id": string(m.ClientID), "expires_in": strconv.Itoa(int(life.Seconds())), "expires_on": strconv.FormatInt(ends, 10),
		"not_before": strconv.FormatInt(ends-86700, 10), "resource": s.Config.Audience, "token_type": "Bearer",
	})
}

// granted is an answer of the token endpoint to whatever is presented.
func (s *Session) granted(*lab.Exchange, func() *lab.Answer) *lab.Answer {
	token := s.Forge(map[string]any{"aud": strings.TrimSuffix(StorageScope, "/.default"), "appid": string(s.App.ClientID)}, time.Hour)
	return lab.JSON(http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})
}

// opaque is a case with a token of some look.
func opaque(name, token string) Case {
	return Case{Name: name, Run: func(s *Session) {
		r := s.identityFault(0, lab.Members(map[string]any{"access_token": token}))
		s.Fault(lab.Token, 0, s.granted)
		got := s.Token()
		s.Armed(r)
		for _, x := range s.Reached(lab.Token) {
			sent := x.Form()["client_assertion"]
			s.Want("assertion", len(sent) == 1 && sent[0] == token, fmt.Sprintf("one client_assertion, %s", shorten(token, 80)), "%d: %s", len(sent), shorten(strings.Join(sent, " "), 80))
		}
		s.WantToken(got)
	}}
}

func identityNoise() *Check {
	return &Check{
		ID: "MIT-07", Level: Must, Tags: []string{"core"}, Title: "members that a client does not know do no harm",
		Requirement: "Members of an answer that a client has no use for are read over, whatever is in them, and the order of the others is of no importance.",
		Sources:     []string{"RFC 6749 section 5.1"},
		Provokes:    "IMDS answers with members of every type that nobody knows, an empty refresh_token, blanks and another order.",
		Passes:      "the client gets a token",
		Needs:       needsIMDS,
		Cases: []Case{{Run: func(s *Session) {
			r := s.identityFault(0, lab.Edit(func(a *lab.Answer) {
				var usual struct {
					Token    string `json:"access_token"`
					In       string `json:"expires_in"`
					On       string `json:"expires_on"`
					Client   string `json:"client_id"`
					Resource string `json:"resource"`
				}
				_ = json.Unmarshal(a.Body, &usual) // the emulator's own
				a.Body = fmt.Appendf(nil, noisy, usual.On, usual.Resource, usual.Token, usual.In, usual.Client)
			}))
			got := s.Token()
			s.Armed(r)
			s.WantToken(got)
		}}},
	}
}

// noisy is an answer with the members that matter between others.
const noisy = "\r\n{\r\n\t\"x_object\": {\"access_token\": \"no\", \"list\": [1, -2.5e3, null, true, {\"deep\": []}]},\r\n" +
	"\t\"token_type\" : \"Bearer\",\r\n\t\"expires_on\" : \"%s\",\r\n\t\"x_null\": null,\r\n\t\"名前\": \"値 \\u2713 \\ud83d\\ude00\",\r\n" +
	"\t\"resource\" : \"%s\",\r\n\t\"refresh_token\": \"\",\r\n\t\"x_number\": 12345678901234567890,\r\n\t\"access_token\" : \"%s\",\r\n" +
	"\t\"x_bool\": false,\r\n\t\"x_list\": [],\r\n\t\"expires_in\" : \"%s\",\r\n\t\"client_id\": \"%s\",\r\n\t\"\": \"\"\r\n}\r\n"

func identityMalformed() *Check {
	html := "<!DOCTYPE html><html><head><title>Sign in</title></head><body>This network asks you to sign in.</body></html>"
	var cases []Case
	for _, body := range []struct{ name, contentType, text string }{
		{"malformed", "application/json; charset=utf-8", `{"access_token" "x"}`},
		{"truncated", "application/json; charset=utf-8", `{"access_token":"eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOi`},
		{"HTML", "text/html; charset=utf-8", html},
		{"empty", "application/json; charset=utf-8", ""},
		{"a list", "application/json; charset=utf-8", `[{"access_token":"x"}]`},
		{"null", "application/json; charset=utf-8", "null"},
	} {
		cases = append(cases, Case{Name: body.name, Run: func(s *Session) {
			s.Patience = time.Minute
			r := s.identityFault(0, lab.Always(lab.Text(http.StatusOK, body.contentType, body.text)))
			got := s.Token()
			s.Armed(r)
			s.wantRequests(6)
			s.WantError(got)
			s.Disarm(r)
			s.Open(s.Config).Token() // which a process that has died does not answer
		}})
	}
	return &Check{
		ID: "MIT-08", Level: Should, Tags: []string{"core"}, Title: "an answer that makes no sense is an error",
		Requirement: "A success of IMDS that is no token, such as the page of a network that wants people to sign in, is an error, which ends neither the process nor in a storm of retries.",
		Sources: []string{
			"https://github.com/Azure/azure-sdk-for-net/issues/30467", "https://github.com/Azure/azure-sdk-for-net/issues/32061",
			"https://github.com/Azure/azure-sdk-for-net/issues/45184", "https://github.com/Azure/azure-sdk-for-net/issues/47470",
			"https://github.com/Azure/azure-sdk-for-net/issues/47844",
		},
		Provokes: "IMDS answers every request with 200 and a body that is malformed, truncated, a page, empty, a list or null.",
		Passes:   "the client fails after at most six requests, and its process goes on",
		Needs:    needsIMDS,
		Known:    []string{"MSAL Go 1.10.1, azidentity 1.15.0 with it: not met, panics on null (observed)"},
		Cases:    cases,
	}
}

func identityMissing() *Check {
	var cases []Case
	for name, value := range map[string]any{"absent": lab.Absent, "empty": "", "null": nil} {
		cases = append(cases, Case{Name: name, Run: func(s *Session) {
			s.Patience = time.Minute
			r := s.identityFault(0, lab.Members(map[string]any{"access_token": value}))
			got := s.Token()
			s.Armed(r)
			s.WantUntouched("exchange", lab.Token)
			s.WantError(got)
		}})
	}
	return &Check{
		ID: "MIT-09", Level: Should, Tags: []string{"core"}, Title: "an answer without a token is an error",
		Requirement: "A success without access_token, or with an empty one, is an error, and nothing is presented in its place.",
		Sources:     []string{"RFC 6749 section 5.1"},
		Provokes:    "IMDS answers every request as usual, but without access_token, or with an empty one or null.",
		Passes:      "there is no exchange, and the client fails",
		Needs:       needsIMDS,
		Known:       []string{"azidentity 1.15.0, MSAL Go 1.10.1: not met (observed)"},
		Cases:       sortedCases(cases),
	}
}

func identityUnreachable() *Check {
	var cases []Case
	for _, what := range []string{"network", "host"} {
		cases = append(cases, Case{Name: "unreachable " + what, Run: func(s *Session) {
			s.Patience = time.Minute
			text := "connecting to 169.254.169.254:80: connecting to 169.254.169.254:80: dial tcp 169.254.169.254:80: connectex: A socket operation was attempted to an unreachable " + what + "."
			r := s.identityFault(0, lab.Always(lab.Text(http.StatusForbidden, "text/plain; charset=utf-8", text)))
			got := s.Token()
			s.Armed(r)
			if got.Error != nil && (got.Error.Kind == "" || got.Error.Kind == driver.Other) {
				s.Skip("the driver does not say of what kind an error is")
			}
			s.WantError(got)
			s.Want("kind", got.Error != nil && got.Error.Kind == driver.Unavailable, "an error of the kind unavailable", "%s", kindOf(got))
		}})
	}
	return &Check{
		ID: "MIT-10", Level: Should, Tags: []string{"core"}, Title: "a 403 that says unreachable means that there is no IMDS",
		Requirement: "Docker Desktop answers for addresses that it cannot reach with 403 and a text. There is no managed identity then, and a chain of credentials goes on.",
		Sources: []string{
			"https://github.com/Azure/azure-sdk-for-go/issues/21417", "https://github.com/Azure/azure-sdk-for-net/issues/38218",
			"https://github.com/Azure/azure-sdk-for-python/issues/31824", "https://github.com/Azure/azure-sdk-for-python/issues/33928",
		},
		Provokes: "Every request to IMDS is answered as Docker Desktop does.",
		Passes:   "the client fails with an error of the kind unavailable; skipped where the driver does not tell kinds",
		Needs:    needsIMDS,
		Cases:    cases,
	}
}

func kindOf(g Got) string {
	if g.Error == nil {
		return g.String()
	}
	return fmt.Sprintf("%s, of the kind %s", g, g.Error.Kind)
}
