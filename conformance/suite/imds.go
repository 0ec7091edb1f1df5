package suite

import (
	"net/http"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// Pages that several checks follow.
const (
	pageVMToken = "https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token"
	pageFIC     = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity"
)

// imdsChecks are about requests to IMDS.
func imdsChecks() []*Check {
	return []*Check{
		{
			ID: "IMDS-02", Level: Must, Tags: []string{"core"}, Title: "the header Metadata: true",
			Requirement: "Requests to IMDS carry the header Metadata once, with the value true in lower case.",
			Sources:     []string{pageVMToken},
			Provokes:    "Nothing; IMDS refuses everything else, as in Azure.",
			Passes:      "every request for a token has exactly one header Metadata, and it is true",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				got := s.Token()
				for _, x := range s.Reached(lab.IMDSToken) {
					values := x.Header.Values("Metadata")
					s.Want("header", len(values) == 1 && values[0] == "true", "one header Metadata: true", "%q", values)
				}
				s.WantToken(got)
			}}},
		},
		{
			ID: "IMDS-10", Level: Should, Tags: []string{"sec"}, Title: "redirects from IMDS are not followed",
			Requirement: "A redirect from IMDS is an error: what another host answers is never taken for a token.",
			Sources:     []string{pageVMToken, "RFC 9110 section 15.4"},
			Provokes:    "IMDS answers with a redirect to a host outside Azure, which answers with a token.",
			Passes:      "no request reaches that host, and the client fails",
			Names:       true,
			Needs:       []driver.Capability{driver.IMDS},
			Cases: redirects(func(s *Session, status int, location string) {
				r := s.Fault(lab.IMDSToken, 0, lab.Redirect(status, location))
				got := s.Token()
				s.Armed(r)
				s.WantUntouched("trap", lab.Trap)
				s.WantError(got)
			}),
		},
	}
}

// redirects returns a case for each kind of redirect to the trap.
func redirects(run func(s *Session, status int, location string)) []Case {
	var cases []Case
	for _, to := range []struct {
		status int
		scheme string
	}{{http.StatusFound, "http"}, {http.StatusTemporaryRedirect, "https"}, {http.StatusPermanentRedirect, "https"}} {
		cases = append(cases, Case{
			Name: strings.Join([]string{status(to.status), "to", to.scheme}, " "),
			Run:  func(s *Session) { run(s, to.status, to.scheme+"://"+lab.TrapDomain+"/token") },
		})
	}
	return cases
}
