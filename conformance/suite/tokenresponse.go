package suite

import (
	"net/http"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// tokenResponseChecks are about what the token endpoint says when it does not
// refuse.
func tokenResponseChecks() []*Check {
	return []*Check{
		{
			ID: "ERR-09", Level: Must, Tags: []string{"err"}, Title: "an error with the status 200 is an error",
			Requirement: "Whether there is a token is said by the body: one with an error has none, whatever its status (inferred).",
			Sources:     []string{"RFC 6749 section 5.2"},
			Provokes:    "An error of OAuth with the status 200.",
			Passes:      "the client fails",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"azure-identity 1.18.2 and MSAL4J 1.26.0 for Java, azure_identity 1.0.0 for Rust: not met, a success without a token (observed)"},
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = 40 * time.Second // for those that try again
				r := s.Fault(lab.Token, 0, lab.Always(entraRefusal(http.StatusOK, "invalid_client", 700213, textNoRecord)))
				got := s.Token()
				s.Armed(r)
				s.WantError(got)
			}}},
		},
		{
			ID: "ERR-10", Level: Must, Tags: []string{"err", "sec"}, Title: "a token of another type is no bearer token",
			Requirement: "A client does not use an access token whose type it does not understand.",
			Sources:     []string{"RFC 6749 section 7.1"},
			Provokes:    "The token_type pop, or mac.",
			Passes:      "the client fails, or tells the type, and sends no request to the resource with the token as a bearer token",
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"azidentity 1.15.0, MSAL Go 1.10.1: not met (observed)",
				"azure-identity 1.27.0 for Python, azure-identity 1.18.2 and MSAL4J 1.26.0 for Java, azure_identity 1.0.0 for Rust: not met (observed)",
				"@azure/identity 4.13.1: not met for mac (observed)",
			},
			Cases: []Case{
				{Name: "pop", Run: func(s *Session) { unusable(s, "pop") }},
				{Name: "mac", Run: func(s *Session) { unusable(s, "mac") }},
			},
		},
		{
			ID: "ERR-20", Level: May, Tags: []string{"err"}, Title: "a token of no type is refused",
			Requirement: "The token endpoint has to say the type of a token. That a client fails where it does not is inferred: the RFC demands it of servers alone, and clients take the one type that Entra hands out for granted.",
			Sources:     []string{"RFC 6749 section 5.1", "https://pkg.go.dev/golang.org/x/oauth2#Token.Type"},
			Provokes:    "An answer without token_type.",
			Passes:      "the client fails, or sends no request to the resource with the token as a bearer token",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"Azure.Identity 1.15.0, MSAL.NET 4.76.0: met; all others that were looked at: not met (observed)"},
			Cases:       []Case{{Run: func(s *Session) { unusable(s, lab.Absent) }}},
		},
		{
			ID: "ERR-11", Level: Must, Tags: []string{"err"}, Title: "letter case does not count in token_type",
			Requirement: "The type of a token is compared without regard to case.",
			Sources:     []string{"RFC 6749 section 5.1"},
			Provokes:    "The token_type bearer, and BEARER.",
			Passes:      "the client gets a token",
			Needs:       []driver.Capability{driver.IMDS},
			Cases:       []Case{understood("bearer", "token_type", "bearer"), understood("BEARER", "token_type", "BEARER")},
		},
		{
			ID: "ERR-12", Level: Should, Tags: []string{"err"}, Title: "a lifetime may be text",
			Requirement: "An expires_in of \"3599\", as the v1.0 endpoint sends it, is as good as the number.",
			Sources:     []string{"https://learn.microsoft.com/entra/identity-platform/access-tokens", "RFC 6749 section 5.1"},
			Provokes:    "An expires_in that is text.",
			Passes:      "the client gets a token",
			Needs:       []driver.Capability{driver.IMDS},
			Cases:       []Case{understood("", "expires_in", "3599")},
		},
		{
			ID: "ERR-13", Level: Should, Tags: []string{"err", "cache"}, Title: "a token of unknown lifetime is not kept for ever",
			Requirement: "A token whose expires_in is missing, or makes no sense, is refused, or used once, or has an end within a day (inferred).",
			Sources:     []string{"RFC 6749 section 5.1"},
			Provokes:    "Two calls; an expires_in that is absent, \"soon\", -1, 1e99 or null, and no ext_expires_in.",
			Passes:      "the first call fails, or the second does an exchange, or the outcome tells an expiry within a day",
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"@azure/identity 4.13.1, @azure/msal-node 7.2.1, MSAL 1.39.0 for Python: not met for 1e99 (observed)",
			},
			Cases: []Case{
				{Name: "absent", Run: func(s *Session) { endless(s, lab.Absent) }},
				{Name: "soon", Run: func(s *Session) { endless(s, "soon") }},
				{Name: "-1", Run: func(s *Session) { endless(s, -1) }},
				{Name: "1e99", Run: func(s *Session) { endless(s, 1e99) }},
				{Name: "null", Run: func(s *Session) { endless(s, nil) }},
			},
		},
		{
			ID: "ERR-17", Level: Should, Tags: []string{"err"}, Title: "answers may come without headers for diagnosis",
			Requirement: "A client does without x-ms-request-id and its like, in answers that are errors and in ones that are not.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/5617"},
			Provokes:    "Answers with the header Content-Type alone: 500, and then tokens.",
			Passes:      "the client lives, and a call for another resource gets a token",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"MSAL.NET before 4.80.0: KeyNotFoundException (AzureAD/microsoft-authentication-library-for-dotnet#5617)"},
			Cases: []Case{{Run: func(s *Session) {
				failing := s.Fault(lab.Token, 1, lab.Always(lab.JSON(http.StatusInternalServerError, map[string]any{"error": "server_error"})))
				bare := s.Fault(lab.Token, 0, lab.Edit(func(a *lab.Answer) {
					a.Header = http.Header{"Content-Type": a.Header.Values("Content-Type")}
				}))
				s.Token()
				s.Armed(failing)
				got := s.Ask(driver.TokenRequest{Scopes: []string{vaultScope}})
				s.Armed(bare)
				s.Want("usable", got.OK() && got.Token != "", "a token after the error", "%s", got)
			}}},
		},
	}
}

// unusable is a token of a type that nobody asked for.
func unusable(s *Session, kind any) {
	s.Patience = 40 * time.Second // for those that try again
	r := s.Fault(lab.Token, 0, lab.Members(map[string]any{"token_type": kind}))
	if !s.Has(driver.Blob) {
		got := s.Token()
		s.Armed(r)
		told := got.TokenType != "" && !strings.EqualFold(got.TokenType, "Bearer")
		s.Want("bearer", !got.OK() || told, "an error, or a token with its type", "a token of the type %q", got.TokenType)
		return
	}
	s.List()
	s.Armed(r)
	used := 0
	for _, x := range s.Exchanges(lab.Blob) {
		if x.Bearer() != "" {
			used++
		}
	}
	s.Want("bearer", used == 0, "an error, or no request to the resource with it as a bearer token", "%d requests", used)
}

// understood is a case in which the token endpoint writes a member in another way.
func understood(name, member string, value any) Case {
	return Case{Name: name, Run: func(s *Session) {
		r := s.Fault(lab.Token, 0, lab.Members(map[string]any{member: value}))
		got := s.Token()
		s.Armed(r)
		s.WantToken(got)
	}}
}

// endless is a token of which nobody knows when it ends.
func endless(s *Session, expiresIn any) {
	s.Patience = 40 * time.Second // for those that try again
	usual := s.Ask(driver.TokenRequest{Scopes: []string{vaultScope}})
	r := s.Fault(lab.Token, 0, lab.Members(lifetime(expiresIn, lab.Absent)))
	got := s.Token()
	s.Armed(r)
	if !got.OK() {
		s.Want("cached", true, "an error", "%s", got)
		return
	}
	before := len(s.Exchanges(lab.Token))
	next := s.Token()
	again := len(s.Exchanges(lab.Token)) > before
	if !again && usual.ExpiresOn == 0 {
		s.Skip("the driver does not say until when the client keeps a token")
	}
	ends := got.endsSoon() || next.endsSoon()
	s.Want("cached", again || ends, "an error, another exchange at the next call, or an expiry within a day", "the token from a cache, with the expiry %d", next.ExpiresOn)
}

// endsSoon reports whether a client tells that a token ends within about a day.
func (g Got) endsSoon() bool {
	return g.ExpiresOn > 0 && g.ExpiresOn <= time.Now().Add(25*time.Hour).Unix()
}
