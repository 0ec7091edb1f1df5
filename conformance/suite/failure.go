package suite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

const (
	pageCodes          = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes"
	pageConsiderations = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations"
)

// failureChecks are about errors and retries at the token endpoint.
func failureChecks() []*Check {
	return slices.Concat(refusalChecks(), failureRetryChecks(), tokenResponseChecks(), transferChecks())
}

// entraRefusal is a refusal as the token endpoint writes them.
func entraRefusal(status int, oauth string, code int, text string) *lab.Answer {
	const trace, correlation = "7c1a2b3d-0001-4a5b-8c9d-0e1f2a3b4c5d", "7c1a2b3d-0002-4a5b-8c9d-0e1f2a3b4c5d"
	when := time.Now().UTC().Format("2006-01-02 15:04:05Z")
	return lab.JSON(status, map[string]any{
		"error":             oauth,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", code, text, trace, correlation, when),
		"error_codes":       []int{code}, "timestamp": when, "trace_id": trace, "correlation_id": correlation,
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code),
	})
}

const (
	textNoRecord = "No matching federated identity record found for presented assertion."
	textKey      = "The certificate with identifier used to sign the client assertion is not registered on application."
	textLifetime = "Client assertion is not within its valid time range."
	textNoApp    = "Application with identifier was not found in the directory."
	textMissing  = "The request body must contain the following parameter: 'scope'."
	nobody       = "deadbeef-0000-4000-8000-000000000001" // an identifier that nothing has
)

func refusalChecks() []*Check {
	return []*Check{
		{
			ID: "ERR-01", Level: Should, Tags: []string{"err"}, Title: "the code of a refusal can be seen",
			Requirement: "The error that the application gets has the AADSTS code that says why the token endpoint refused.",
			Sources: []string{
				pageCodes, "https://github.com/Azure/login/issues/517", "https://github.com/Azure/login/issues/619",
				"https://github.com/Azure/azure-workload-identity/issues/1200",
			},
			Provokes: "Applications that trust another issuer, audience or subject, or do not exist; an expired assertion; an unknown tenant.",
			Passes:   "the message, or the codes of the outcome, contain the number",
			Needs:    []driver.Capability{driver.IMDS},
			Known: []string{
				"MSAL.NET before 4.60.0: not in its logs (AzureAD/microsoft-authentication-library-for-dotnet#4408)",
				"Microsoft.Identity.Web: AzureAD/microsoft-identity-web#3345",
			},
			Cases: []Case{
				stranger("issuer", 700211, lab.Credential{Issuer: "https://issuer.example.com"}),
				stranger("audience of the credential", 700214, lab.Credential{Audience: "api://another"}),
				injected("audience", 700212, textNoRecord),
				stranger("subject", 700213, lab.Credential{Subject: nobody}),
				{Name: "letter case of the subject", Run: func(s *Session) {
					s.Config.AppClientID = string(s.Register("shouter", lab.Credential{Subject: strings.ToUpper(string(s.Agent.ObjectID))}).ClientID)
					s.wantCode(7002138)
				}},
				{Name: "application", Run: func(s *Session) {
					s.Config.AppClientID = nobody
					s.wantCode(700016)
				}},
				injected("lifetime", 700024, textLifetime),
				{Name: "tenant", Run: func(s *Session) {
					s.Config.Tenant = nobody
					s.wantCode(90002)
				}},
			},
		},
		{
			ID: "ERR-02", Level: Should, Tags: []string{"err"}, Title: "a refusal can be told to support",
			Requirement: "The error that the application gets has the correlation ID or the trace ID of the refusal, which support asks for.",
			Sources:     []string{pageCodes},
			Provokes:    "An application that trusts another subject.",
			Passes:      "the message, or the outcome, contains one of the two identifiers that the token endpoint sent",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				s.Config.AppClientID = string(s.Register("stranger", lab.Credential{Subject: nobody}).ClientID)
				got := s.Token()
				var ids []string
				for _, x := range s.Reached(lab.Token) {
					var said struct {
						Trace       string `json:"trace_id"`
						Correlation string `json:"correlation_id"`
					}
					if json.Unmarshal(x.Answer, &said) == nil {
						ids = append(ids, said.Trace, said.Correlation)
					}
				}
				if s.WantError(got) {
					text := strings.ToLower(got.Message() + " " + got.Error.CorrelationID)
					seen := slices.ContainsFunc(ids, func(id string) bool { return id != "" && strings.Contains(text, id) })
					s.Want("id", seen, fmt.Sprintf("one of %q", ids), "%s", got)
				}
			}}},
		},
		{
			ID: "ERR-03", Level: Must, Tags: []string{"err", "retry"}, Title: "a refusal is not answered by another request",
			Requirement: "What the token endpoint refuses for good it refuses again: the same request is not sent once more.",
			Sources:     []string{"RFC 6749 section 5.2", "https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azidentity/CHANGELOG.md"},
			Provokes:    "Refusals with invalid_client, unauthorized_client and invalid_request.",
			Passes:      "exactly one request at the token endpoint, and the client fails",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"azidentity before 1.4.0-beta.3: two requests on behalf of a user (changelog)"},
			Cases: []Case{
				final("invalid_client", http.StatusUnauthorized, 700027, textKey),
				final("unauthorized_client", http.StatusBadRequest, 700016, textNoApp),
				final("invalid_request", http.StatusBadRequest, 900144, textMissing),
			},
		},
		{
			ID: "ERR-04", Level: May, Tags: []string{"err", "retry"}, Title: "a credential that has not propagated is waited for with patience",
			Requirement: "A client that tries again when there is no matching credential, since a new federated identity credential takes a while to be seen, " +
				"waits a second or more, and gives up after five attempts; or it leaves that to the application.",
			Sources: []string{
				pageConsiderations, "https://github.com/Azure/azure-workload-identity/issues/273", "https://github.com/Azure/azure-workload-identity/issues/576",
			},
			Provokes: "AADSTS70021, or AADSTS700213 as Entra has it today, twice, and then a token.",
			Passes:   "at most five requests at the token endpoint, with a second or more between them",
			Cost:     Timed,
			Needs:    []driver.Capability{driver.IMDS},
			Cases:    []Case{unpropagated(70021), unpropagated(700213)},
		},
		{
			ID: "ERR-08", Level: Should, Tags: []string{"err"}, Title: "an answer that is no JSON is reported by its status",
			Requirement: "Where a gateway answers in place of the token endpoint, the error that the application gets has the HTTP status (inferred).",
			Sources:     []string{"RFC 9110 section 15"},
			Provokes:    "A page of HTML with the status 403, or 502, and 400, or 500, with an empty body.",
			Passes:      "the message, or the outcome, has the status; skipped for a client that still tries after a quarter of a minute",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"@azure/identity 4.13.1: not met, network_error (observed); 4.14.1: met",
				"@azure/msal-node 7.2.1: not met, token_parsing_error (observed)",
				"azure-identity 1.27.0 for Python, azure-identity 1.18.2 and MSAL4J 1.26.0 for Java: not met (observed)",
			},
			Cases: []Case{
				withoutJSON(http.StatusForbidden, "text/html", "<html><head><title>Blocked</title></head><body>Your administrator does not permit this page.</body></html>"),
				withoutJSON(http.StatusBadRequest, "text/plain", ""),
				withoutJSON(http.StatusBadGateway, "text/html", "<html><head><title>502 Bad Gateway</title></head><body></body></html>"),
				withoutJSON(http.StatusInternalServerError, "text/plain", ""),
			},
		},
		{
			ID: "ERR-19", Level: Should, Tags: []string{"err"}, Title: "a configuration that cannot work is refused before anything is sent",
			Requirement: "A client whose tenant, application or audience is empty says so, without a request (inferred).",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4332"},
			Provokes:    "A client that is configured with an empty tenant, client ID or audience.",
			Passes:      "no request at all, and the client fails",
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"azidentity 1.15.0, MSAL Go 1.10.1: not met for an empty client ID or audience (observed)",
				"@azure/msal-node 7.2.1, azure-identity 1.18.2 for Java: not met for an empty tenant or client ID (observed)",
				"azure-identity 1.27.0 for Python: not met; MSAL 1.39.0 for Python: not met for an empty client ID or audience (observed)",
				"MSAL.NET before 4.57.0: crashed at a resource that was null (AzureAD/microsoft-authentication-library-for-dotnet#4332)",
			},
			Cases: []Case{
				misconfigured("tenant", func(c *driver.Config) { c.Tenant = "" }),
				misconfigured("client ID", func(c *driver.Config) { c.AppClientID = "" }),
				misconfigured("audience", func(c *driver.Config) { c.Audience = "" }),
			},
		},
	}
}

// stranger is a case in which an application trusts somebody else.
func stranger(name string, code int, c lab.Credential) Case {
	return Case{Name: name, Run: func(s *Session) {
		s.Config.AppClientID = string(s.Register("stranger", c).ClientID)
		s.wantCode(code)
	}}
}

// injected is a case in which a code is shown that the cloud would not give this
// client.
func injected(name string, code int, text string) Case {
	return Case{Name: name, Run: func(s *Session) {
		s.Fault(lab.Token, 0, lab.Always(entraRefusal(http.StatusUnauthorized, "invalid_client", code, text)))
		s.wantCode(code)
	}}
}

// wantCode expects an error that has the AADSTS code of the refusal.
func (s *Session) wantCode(code int) {
	got := s.Token()
	s.Proven(slices.ContainsFunc(s.Exchanges(), func(x *lab.Exchange) bool { return mentions(string(x.Answer), code) }), fmt.Sprintf("refusal AADSTS%d", code))
	if s.WantError(got) {
		s.Want("code", mentions(got.Message(), code) || slices.Contains(got.Error.AADSTS, code), fmt.Sprint("the code ", code), "%s", got)
	}
}

var number = regexp.MustCompile(`[0-9]+`)

// mentions reports whether a number is in a text, not as a part of another one.
func mentions(text string, n int) bool {
	return slices.Contains(number.FindAllString(text, -1), strconv.Itoa(n))
}

// final is a case in which the token endpoint refuses for good.
func final(oauth string, status, code int, text string) Case {
	return Case{Name: oauth, Run: func(s *Session) {
		r := s.Fault(lab.Token, 0, lab.Always(entraRefusal(status, oauth, code, text)))
		got := s.Token()
		s.Armed(r)
		s.WantCount("requests", lab.Token, 1, 1)
		s.WantError(got)
	}}
}

// unpropagated is a case in which a federated identity credential is not seen at first.
func unpropagated(code int) Case {
	return Case{Name: fmt.Sprint("AADSTS", code), Run: func(s *Session) {
		r := s.Fault(lab.Token, 2, lab.Always(entraRefusal(http.StatusUnauthorized, "invalid_client", code, textNoRecord)))
		s.UpTo(longEnough, s.Token) // it may be patient
		s.Armed(r)
		s.WantCount("requests", lab.Token, 1, 5)
		gaps := s.Gaps(lab.Token)
		s.Want("gaps", len(gaps) == 0 || slices.Min(gaps) >= 950*time.Millisecond, "a second or more between requests", "%v", gaps)
	}}
}

// withoutJSON is a case in which the token endpoint answers with what is no JSON.
func withoutJSON(code int, contentType, body string) Case {
	return Case{Name: status(code), Run: func(s *Session) {
		r := s.Fault(lab.Token, 0, lab.Always(lab.Text(code, contentType, body)))
		got := s.UpTo(15*time.Second, s.Token)
		s.Armed(r)
		if s.left {
			s.Skip("the client still tries")
		}
		if s.WantError(got) {
			s.Want("status", mentions(got.Message(), code) || got.Error.HTTPStatus == code, fmt.Sprint("the status ", code), "%s", got)
		}
	}}
}

// misconfigured is a case in which a part of the configuration is missing.
func misconfigured(what string, change func(*driver.Config)) Case {
	return Case{Name: "no " + what, Run: func(s *Session) {
		change(&s.Config)
		got := s.Token()
		s.WantError(got)
		n := len(s.Exchanges())
		s.Want("requests", n == 0, "no request", "%d", n)
	}}
}
