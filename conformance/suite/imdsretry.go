package suite

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

const pageVMRetry = pageVMToken + "#error-handling"

// imdsRetryChecks are about retries of IMDS.
func imdsRetryChecks() []*Check {
	return []*Check{
		{
			ID: "IMDR-01", Level: Should, Tags: []string{"retry"}, Title: "404 is tried again",
			Requirement: "IMDS answers 404 while it is being updated, so that is no reason to give up.",
			Sources:     []string{pageVMRetry},
			Provokes:    "IMDS answers the first request with 404.",
			Passes:      "the client asks again, and gets a token",
			Cost:        Timed, Needs: needsIMDS,
			Known: []string{"@azure/identity before 2.0.0-beta.3: not met (its changelog)"},
			Cases: []Case{{Run: func(s *Session) { s.wantRecovery(1, imdsError(http.StatusNotFound)) }}},
		},
		{
			ID: "IMDR-02", Level: Should, Tags: []string{"retry"}, Title: "429 is tried again, ever later",
			Requirement: "Where IMDS is busy, a client asks again, and waits ever longer between its attempts. By the page's example it may do so at once the first time.",
			Sources:     []string{pageVMRetry, "https://github.com/Azure/azure-sdk-for-net/issues/19190"},
			Provokes:    "IMDS answers the first two requests with 429 and no Retry-After.",
			Passes:      "the second wait is at least one second, and not more than two seconds shorter than the first, which leaves room for chance and for a busy machine; the client gets a token",
			Cost:        Timed, Needs: needsIMDS,
			Known: []string{"@azure/identity 4.13.1: not met, does not ask again (observed)"},
			Cases: []Case{{Run: func(s *Session) {
				s.wantRecovery(2, imdsError(http.StatusTooManyRequests))
				if gaps := s.identityGaps(); len(gaps) > 1 {
					s.wantGap(gaps[1], 980*time.Millisecond)
					s.Want("backoff", gaps[1]+2*time.Second >= gaps[0], "a second wait that is no shorter", "%v after %v", gaps[1], gaps[0])
				}
			}}},
		},
		{
			ID: "IMDR-03", Level: Should, Tags: []string{"retry"}, Title: "Retry-After in seconds is honoured",
			Requirement: "A client that asks again does not do so before the time that Retry-After names.",
			Sources:     []string{"RFC 9110 section 10.2.3", "RFC 6585 section 4"},
			Provokes:    "IMDS answers the first request with 429 and Retry-After: 4.",
			Passes:      "the next request comes no earlier than 3.95 s after the answer, or there is none",
			Cost:        Timed, Needs: needsIMDS,
			Known: []string{"MSAL Go 1.10.1: not met (observed)", "@azure/msal-node 7.2.1: not met (observed)", "MSAL4J 1.26.0: not met (observed)"},
			Cases: []Case{{Run: func(s *Session) { s.wantPatience(func() string { return "4" }, 3950*time.Millisecond) }}},
		},
		{
			ID: "IMDR-04", Level: Should, Tags: []string{"retry"}, Title: "Retry-After as a date is honoured",
			Requirement: "Retry-After may be a date, which counts as its seconds do.",
			Sources:     []string{"RFC 9110 section 10.2.3"},
			Provokes:    "IMDS answers the first request with 429 and a Retry-After five seconds from now.",
			Passes:      "the next request comes no earlier than 3.9 s after the answer, since dates have no fractions, or there is none",
			Cost:        Timed, Needs: needsIMDS,
			Known: []string{"MSAL Go 1.10.1: not met (observed)", "@azure/msal-node 7.2.1: not met (observed)"},
			Cases: []Case{{Run: func(s *Session) {
				s.wantPatience(func() string { return time.Now().Add(5 * time.Second).UTC().Format(http.TimeFormat) }, 3900*time.Millisecond)
			}}},
		},
		{
			ID: "IMDR-05", Level: Should, Tags: []string{"retry"}, Title: "an absurd Retry-After does no harm",
			Requirement: "A Retry-After of a day does not hold up a caller beyond its deadline, and one that makes no sense does not make the client ask without a pause.",
			Sources:     []string{"RFC 9110 section 10.2.3"},
			Provokes:    "IMDS answers every request with 429 and a Retry-After of a day, of a negative number, or of a word; the caller's deadline is three seconds.",
			Passes:      "the caller has the control back within two seconds of its deadline, in one of three calls on a busy machine, after at most eight requests",
			Cost:        Timed, Needs: []driver.Capability{driver.IMDS, driver.Timeout},
			Known: []string{"@azure/identity 4.13.1: not met for a day (observed)"},
			Cases: []Case{absurd("86400"), absurd("-1"), absurd("soon")},
		},
		{
			ID: "IMDR-06", Level: Should, Tags: []string{"retry"}, Title: "410 is tried again for 70 seconds",
			Requirement: "IMDS answers 410 while it is being updated, which takes up to 70 seconds; a client waits as long.",
			Sources: []string{
				pageVMRetry, "https://github.com/Azure/azure-sdk-for-net/issues/50724",
				"https://github.com/Azure/azure-sdk-for-python/issues/42330", "https://github.com/Azure/azure-sdk-for-go/issues/1848",
			},
			Provokes: "IMDS answers 410 for 65 seconds from the first request on.",
			Passes:   "the client gets a token",
			Cost:     Slow, Needs: needsIMDS,
			Known: []string{
				"MSAL Go 1.10.1: not met, gives up after 2 s (observed)", "Azure.Identity before 1.15.0-beta.1: not met (its changelog)",
				"Azure.Identity 1.15.0: not met where its waits, which it draws, add up to more than 100 s, the timeout of its HttpClient (observed)",
				"azure-identity for Python before 1.24.0: not met (its changelog)", "azidentity before 1.11.0-beta.1: not met, gives up after 54 s (its changelog)",
			},
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = 150 * time.Second
				r := s.identityFault(0, until(65*time.Second, imdsError(http.StatusGone)))
				got := s.Token()
				s.Armed(r)
				s.WantToken(got)
			}}},
		},
		{
			ID: "IMDR-07", Level: Should, Tags: []string{"retry"}, Title: "server errors are tried again after a second",
			Requirement: "Errors of the server pass, so a client asks again, but not within a second.",
			Sources:     []string{pageVMRetry},
			Provokes:    "IMDS answers the first request with 500, 502, 503 or 504.",
			Passes:      "the next request comes no earlier than 0.98 s after the answer, and the client gets a token",
			Cost:        Timed, Needs: needsIMDS,
			Known: []string{
				"@azure/identity 4.13.1: not met, asks after 0.78 s (observed)", "azidentity before 1.4.0: not met for 503 (its changelog)",
				"azure_identity for Rust before 0.30.0: not met (its changelog)", "azure-identity for Java 1.18.2, for Python 1.27.0: not met, ask too early (observed)",
			},
			Cases: serverErrors(),
		},
		imdsDesignErrors(), imdsBounds(), imdsMultiplication(), imdsReset(), imdsStorm(),
	}
}

// imdsErrors are what IMDS says beside a status. Microsoft's page has the first
// and the last; of the others the text is inferred.
var imdsErrors = map[int][2]string{
	http.StatusBadRequest:      {"invalid_request", "Identity not found"},
	http.StatusUnauthorized:    {"unauthorized_client", "The request is not authorized"},
	http.StatusForbidden:       {"access_denied", "The request is not allowed"},
	http.StatusNotFound:        {"not_found", "IMDS is being updated"},
	http.StatusGone:            {"service_unavailable", "IMDS is going through updates"},
	http.StatusTooManyRequests: {"too_many_requests", "Temporarily throttled, too many requests"},
}

// imdsError returns a refusal of IMDS.
func imdsError(code int) *lab.Answer {
	said, ok := imdsErrors[code]
	if !ok {
		said = [2]string{"unknown", "Failed to retrieve token from the Active directory. For details see logs"}
	}
	return lab.JSON(code, map[string]any{"error": said[0], "error_description": said[1]})
}

// identityGaps returns the time between answers to requests for a token of the
// managed identity that were no success and the next requests.
func (s *Session) identityGaps() []time.Duration {
	var gaps []time.Duration
	seen := s.requestsForIdentity()
	for i := 1; i < len(seen); i++ {
		if seen[i-1].Issued() == "" {
			gaps = append(gaps, seen[i].At.Sub(seen[i-1].Done))
		}
	}
	return gaps
}

func (s *Session) wantGap(gap, least time.Duration) {
	s.Want("gap", gap >= least, fmt.Sprintf("a wait of at least %v", least), "%v", gap.Round(time.Millisecond))
}

// wantRecovery expects a client to get a token although the first answers are
// no success.
func (s *Session) wantRecovery(times int, a *lab.Answer) {
	s.Patience = time.Minute
	r := s.identityFault(times, lab.Always(a))
	got := s.Token()
	s.Armed(r)
	s.WantToken(got)
}

// wantPatience expects a client to wait as Retry-After says, if it asks again.
func (s *Session) wantPatience(retryAfter func() string, least time.Duration) {
	s.Patience = time.Minute
	r := s.identityFault(1, func(*lab.Exchange, func() *lab.Answer) *lab.Answer {
		return imdsError(http.StatusTooManyRequests).With("Retry-After", retryAfter())
	})
	s.Token()
	s.Armed(r)
	gaps := s.identityGaps()
	if len(gaps) == 0 {
		s.Want("gap", true, "a wait, or no further request", "no further request")
		return
	}
	s.wantGap(gaps[0], least)
}

func absurd(retryAfter string) Case {
	return Case{Name: retryAfter, Run: func(s *Session) {
		r := s.identityFault(0, lab.Always(imdsError(http.StatusTooManyRequests).With("Retry-After", retryAfter)))
		var before []int // each call
		s.inTime(3*time.Second, func(ms int) driver.TokenRequest {
			before = append(before, len(s.requestsForIdentity()))
			return driver.TokenRequest{Timeout: ms}
		})
		s.Armed(r)
		n := append(before, len(s.requestsForIdentity()))[1]
		s.Want("requests", n <= 8, "at most 8 requests", "%d", n)
	}}
}

// wantRequests expects no more requests for a token of the managed identity.
func (s *Session) wantRequests(most int) {
	n := len(s.requestsForIdentity())
	s.Want("requests", n <= most, fmt.Sprintf("at most %d requests", most), "%d", n)
}

// until answers in one way for a while from the first request on.
func until(d time.Duration, a *lab.Answer) lab.Act {
	var once sync.Once
	var first time.Time
	always := lab.Always(a)
	return func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
		once.Do(func() { first = x.At })
		if x.At.Sub(first) < d {
			return always(x, next)
		}
		return next()
	}
}

func serverErrors() []Case {
	var cases []Case
	for _, code := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		cases = append(cases, Case{Name: status(code), Run: func(s *Session) {
			s.wantRecovery(1, imdsError(code))
			for _, gap := range s.identityGaps() {
				s.wantGap(gap, 980*time.Millisecond)
			}
		}})
	}
	return cases
}

func imdsDesignErrors() *Check {
	var cases []Case
	for _, code := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden} {
		cases = append(cases, Case{Name: status(code), Run: func(s *Session) {
			s.Patience = time.Minute
			r := s.identityFault(0, lab.Always(imdsError(code)))
			got := s.Token()
			s.Armed(r)
			s.wantRequests(1)
			s.WantError(got)
		}})
	}
	return &Check{
		ID: "IMDR-08", Level: Must, Tags: []string{"core", "retry"}, Title: "400, 401 and 403 are not tried again",
		Requirement: "Errors of design stay, whoever asks again: the client reports them at once.",
		Sources:     []string{pageVMRetry},
		Provokes:    "IMDS answers every request with 400, 401 or 403.",
		Passes:      "there is one request, and the client fails",
		Needs:       needsIMDS,
		Known:       []string{"azure-identity 1.18.2 for Java: not met, asks for an assertion twice (observed)"},
		Cases:       cases,
	}
}

func imdsBounds() *Check {
	return &Check{
		ID: "IMDR-09", Level: Should, Tags: []string{"retry"}, Title: "retries end, and the last error is told",
		Requirement: "A client gives up in the end, and says what IMDS answered: its status, or its own words.",
		Sources:     []string{pageVMRetry},
		Provokes:    "IMDS answers every request with 500.",
		Passes:      "the client fails after at most ten requests and two minutes, with an error that names the status 500 or has the text of the answer",
		Cost:        Slow, Needs: needsIMDS,
		Cases: []Case{{Run: func(s *Session) {
			got := s.outage()
			s.wantRequests(10)
			s.Want("time", got.Took <= s.run.scaled(2*time.Minute), "an end within 2m", "%v", got.Took.Round(time.Second))
			s.WantError(got)
			named := got.Error != nil && (got.Error.HTTPStatus == http.StatusInternalServerError || strings.Contains(got.Message(), "500"))
			s.Want("told", named || strings.Contains(got.Message(), "Failed to retrieve token"), "an error that says what IMDS answered", "%s", got)
		}}},
	}
}

// outage asks for a token while IMDS answers 500.
func (s *Session) outage() Got {
	r := s.identityFault(0, lab.Always(imdsError(http.StatusInternalServerError)))
	got := s.UpTo(150*time.Second, s.Token)
	s.Armed(r)
	return got
}

func imdsMultiplication() *Check {
	return &Check{
		ID: "IMDR-10", Level: Should, Tags: []string{"retry"}, Title: "retries do not multiply",
		Requirement: "Where layers of a client try again, such as an SDK on top of MSAL, one of them does so: not each as often as the other tells it to.",
		Sources:     []string{pageVMRetry, "Azure.Identity 1.18.0-beta.3, its changelog"},
		Provokes:    "IMDS answers every request with 500.",
		Passes:      "there are at most eight requests, or up to ten of which no wait is less than half as long as one before: where two layers try again, the waits of the inner one begin anew",
		Cost:        Slow, Needs: needsIMDS,
		Known: []string{"Azure.Identity before 1.18.0-beta.3: not met (its changelog)"},
		Cases: []Case{{Run: func(s *Session) {
			s.outage()
			n := len(s.requestsForIdentity())
			s.Want("requests", n <= 8 || n <= 10 && !anew(s.identityGaps()), "at most 8 requests, or 10 of one layer", "%d, with waits of %v", n, s.identityGaps())
		}}},
	}
}

// anew reports whether waits between attempts begin again with short ones.
func anew(gaps []time.Duration) bool {
	var longest time.Duration
	for _, gap := range gaps {
		if gap < longest/2 {
			return true
		}
		longest = max(longest, gap)
	}
	return false
}

func imdsReset() *Check {
	return &Check{
		ID: "IMDR-11", Level: Should, Tags: []string{"retry"}, Title: "a broken connection is tried again",
		Requirement: "A connection that breaks before there is an answer is a passing failure.",
		Sources:     []string{pageVMRetry, "https://github.com/Azure/azure-sdk-for-js/issues/13894"},
		Provokes:    "IMDS takes the first request and breaks the connection, with a reset or without.",
		Passes:      "the client gets a token",
		Cost:        Timed, Needs: needsIMDS,
		Known: []string{"@azure/identity before 1.2.4: not met (its changelog)", "@azure/msal-node 7.2.1: not met (observed)"},
		Alone: true,
		Cases: []Case{
			{Name: "reset", Run: func(s *Session) { s.wantRecovery(1, &lab.Answer{Reset: true}) }},
			{Name: "closed", Run: func(s *Session) { s.wantRecovery(1, &lab.Answer{Hangup: true}) }},
		},
	}
}

func imdsStorm() *Check {
	return &Check{
		ID: "IMDR-12", Level: Should, Tags: []string{"retry", "cache"}, Title: "many callers do not make throttling worse",
		Requirement: "Callers who want the same token wait for one request, also while IMDS is busy, and share its token.",
		Sources: []string{
			"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4196",
			"https://github.com/Azure/azure-sdk-for-net/issues/37166", "https://github.com/Azure/azure-sdk-for-js/issues/8992",
		},
		Provokes: "Fifty callers ask for the same token, while IMDS answers 429 for two seconds from the first request on, and takes a second and a half for that.",
		Passes:   "there are at most ten requests",
		Cost:     Timed, Needs: []driver.Capability{driver.IMDS, driver.Concurrency},
		Known: []string{"MSAL.NET before 4.56.0: not met (its changelog)", "MSAL Go 1.10.1: not met (observed)", "@azure/identity 4.14.1: not met (observed)", "MSAL for Python 1.39.0: not met (observed)"},
		Cases: []Case{{Run: func(s *Session) {
			busy := imdsError(http.StatusTooManyRequests)
			busy.Delay = 1500 * time.Millisecond // so that all callers have come before the first one is told
			r := s.identityFault(0, until(2*time.Second, busy))
			s.UpTo(longEnough, func() Got { return s.AskTogether(50, driver.TokenRequest{})[0] }) // some wait for a minute then
			s.Armed(r)
			s.wantRequests(10)
		}}},
	}
}
