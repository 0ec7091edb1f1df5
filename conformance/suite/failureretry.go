package suite

import (
	"fmt"
	"net/http"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

const pageRetries = "https://learn.microsoft.com/entra/msal/dotnet/advanced/exceptions/retry-policy"

func failureRetryChecks() []*Check {
	return []*Check{
		{
			ID: "ERR-05", Level: Should, Tags: []string{"err", "retry"}, Title: "Retry-After of the token endpoint is heeded",
			Requirement: "A client that tries again does not do so before the time that the token endpoint asked for.",
			Sources:     []string{"RFC 6585 section 4", "RFC 9110 section 10.2.3", pageRetries},
			Provokes:    "The token endpoint answers 429, or 503, with a Retry-After of four seconds, once.",
			Passes:      "no request for 3.95 s",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Cases:       []Case{later(http.StatusTooManyRequests), later(http.StatusServiceUnavailable)},
		},
		{
			ID: "ERR-06", Level: Should, Tags: []string{"err", "retry"}, Title: "a failure for a moment is not the end",
			Requirement: "A server error without a Retry-After is tried again at least once.",
			Sources:     []string{pageRetries},
			Provokes:    "The token endpoint answers 500, 502, 503 or 504, once.",
			Passes:      "the client gets a token",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"MSAL Go 1.10.1, @azure/msal-node 7.2.1, MSAL 1.39.0 for Python: not met (observed); they leave retries to the application",
			},
			Cases: []Case{
				momentary(http.StatusInternalServerError), momentary(http.StatusBadGateway),
				momentary(http.StatusServiceUnavailable), momentary(http.StatusGatewayTimeout),
			},
		},
		{
			ID: "ERR-07", Level: Should, Tags: []string{"err", "retry"}, Title: "retries end",
			Requirement: "A client that gets no answer from the token endpoint but 503 gives up, after a few attempts and within a minute (inferred).",
			Sources:     []string{pageRetries},
			Provokes:    "The token endpoint answers 503 for ever.",
			Known:       []string{"azure-identity 1.18.2 for Java: not met, 8 requests, since two layers retry (observed)"},
			Passes:      "at most six requests, within a minute, and the client fails",
			Cost:        Slow,
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				r := s.Fault(lab.Token, 0, lab.Always(unavailable()))
				got := s.UpTo(100*time.Second, s.Token)
				s.Armed(r)
				s.WantError(got)
				s.Want("ended", !s.left, "an end", "%s", got)
				s.WantCount("requests", lab.Token, 1, 6)
				if posts := s.Exchanges(lab.Token); len(posts) > 0 {
					span := posts[len(posts)-1].At.Sub(posts[0].At)
					s.Want("span", span <= time.Minute, "a minute at most from the first request to the last", "%v", span.Round(time.Second))
				}
			}}},
		},
		{
			ID: "ERR-18", Level: Should, Tags: []string{"err", "retry"}, Title: "a call that is cancelled leaves nothing behind",
			Requirement: "A caller that gives up ends the attempts that were made for it, and later calls are not the worse for it.",
			Sources:     []string{"https://github.com/Azure/azure-sdk-for-net/issues/47156"},
			Provokes:    "A call that is cancelled after half a second, while the token endpoint takes its time, or answers 503; then another one, when all is well.",
			Passes:      "the cancelled call gets no token, there is no request two seconds after the cancellation or later, and the second call gets a token",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS, driver.Cancel},
			Known:       []string{"@azure/identity 4.13.1: not met, its attempts go on (observed)"},
			Cases: []Case{
				{Name: "while it waits for the answer", Run: func(s *Session) { cancelled(s, lab.Slow(3*time.Second), StorageScope) }},
				// Some do not ask for the same token for a minute, when they were told 503.
				{Name: "between attempts", Run: func(s *Session) { cancelled(s, lab.Always(unavailable()), vaultScope) }},
			},
		},
	}
}

// later is a case in which the token endpoint says when to come again.
func later(code int) Case {
	return Case{Name: status(code), Run: func(s *Session) {
		answer := lab.JSON(code, map[string]any{"error": "temporarily_unavailable", "error_description": "Come again in four seconds."})
		r := s.Fault(lab.Token, 1, lab.Always(answer.With("Retry-After", "4")))
		s.Token()
		s.Armed(r)
		gaps := s.Gaps(lab.Token)
		s.Want("gap", len(gaps) == 0 || gaps[0] >= 3950*time.Millisecond, "no further request for 3.95 s", "%v", gaps)
	}}
}

// momentary is a case in which the token endpoint fails once.
func momentary(code int) Case {
	return Case{Name: status(code), Run: func(s *Session) {
		answer := lab.JSON(code, map[string]any{"error": "server_error", "error_description": fmt.Sprint("This is a ", code, ".")})
		r := s.Fault(lab.Token, 1, lab.Always(answer))
		got := s.Token()
		s.Armed(r)
		s.WantToken(got)
	}}
}

// cancelled is a call that its caller gives up, and another one.
func cancelled(s *Session, do lab.Act, then string) {
	after := s.run.scaled(500 * time.Millisecond)
	s.Patience = 40 * time.Second // for those that do not hear
	client := s.Default()
	client.Ask(driver.TokenRequest{Scopes: []string{"https://graph.microsoft.com/.default"}}) // the first call takes some runtimes longer than that
	r := s.Fault(lab.Token, 0, do)
	began := time.Now()
	given := client.Ask(driver.TokenRequest{CancelAfter: int(after / time.Millisecond)})
	s.Armed(r)
	s.Want("cancelled", !given.OK(), "an error of the call that was cancelled", "%s", given)
	s.Pause(8 * time.Second) // some wait for seven before their last attempt
	s.Disarm(r)
	late := 0
	for _, x := range s.Exchanges(lab.Token) {
		if x.At.Sub(began) > after+2*time.Second {
			late++
		}
	}
	s.Want("stopped", late == 0, "no request two seconds after the cancellation or later", "%d", late)
	got := client.Ask(driver.TokenRequest{Scopes: []string{then}})
	s.Want("usable", got.OK() && got.Token != "", "a token at the second call", "%s", got)
}
