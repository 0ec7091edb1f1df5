package suite

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// originChecks are about where tokens for a resource go, and about who may say
// where they come from.
func originChecks() []*Check {
	return []*Check{
		{
			ID: "RES-03", Level: Must, Tags: []string{"res", "sec"}, Title: "the token is sent to the resource's own origin alone",
			Requirement: "A redirect of the resource to another host is not followed, or without the token.",
			Sources: []string{
				"RFC 9110 section 15.4", "https://github.com/Azure/azure-sdk-for-net/issues/59606", "https://github.com/Azure/azure-sdk-for-js/issues/20957",
				"https://github.com/Azure/azure-sdk-for-java/issues/27838", "https://github.com/Azure/azure-sdk-for-python/issues/28349",
			},
			Provokes: "Storage answers with a redirect to a host outside Azure.",
			Passes:   "no request that reaches that host has a token",
			Names:    true, Needs: usesBlobs,
			Known: []string{"Azure.Core before #59606, where redirects are opted into: not met (reported)", "core-rest-pipeline before #21026: not met (reported)"},
			Cases: blobRedirects(func(*Session, *url.URL) string { return "https://" + lab.TrapDomain + "/reports" }, lab.Trap),
		},
		{
			ID: "RES-04", Level: Must, Tags: []string{"res", "sec"}, Title: "no token goes to an account whose URL is http",
			Requirement: "A client that is given a URL of http refuses it, or leaves the token out.",
			Sources:     []string{"RFC 6750 section 5.3", "https://github.com/Azure/Azurite/blob/main/tests/blob/oauth.test.ts"},
			Provokes:    "The client lists a container by its https URL, then by the same URL with http.",
			Passes:      "no request that reaches port 80 has a token",
			Names:       true, Needs: usesBlobs,
			Cases: []Case{{Run: func(s *Session) {
				s.List() // a client that cannot do this proves nothing by what it does not do
				s.Reached(lab.Blob)
				s.UpTo(longEnough, func() Got {
					return s.Open(s.Config).Use(driver.ListBlobs, "http"+strings.TrimPrefix(s.Container(), "https"))
				})
				s.wantNoSecret("cleartext", lab.Cleartext)
			}}},
		},
		{
			ID: "RES-05", Level: Must, Tags: []string{"res", "sec"}, Title: "a redirect does not take the token from https to http",
			Requirement: "A redirect of the resource to http on the same host is not followed, or without the token.",
			Sources:     []string{"RFC 6750 section 5.3"},
			Provokes:    "Storage answers with a redirect to the same URL with http.",
			Passes:      "no request that reaches port 80 has a token",
			Names:       true, Needs: usesBlobs,
			Known: []string{"azblob 1.8.3 with azcore 1.24.0: not met (observed)"},
			Cases: blobRedirects(func(_ *Session, u *url.URL) string {
				same := *u
				same.Scheme = "http"
				return same.String()
			}, lab.Cleartext),
		},
		{
			ID: "RES-06", Level: Must, Tags: []string{"res", "sec"}, Title: "a challenge does not choose what the token is for",
			Requirement: "The resource_id of a challenge is ignored, or leads to an error, when it is of another domain than the resource's.",
			Sources: []string{
				"https://github.com/Azure/azure-sdk-for-python/issues/26141", "https://github.com/Azure/azure-sdk-for-net/issues/31026",
				"https://github.com/Azure/azure-sdk-for-js/issues/23182", "https://github.com/Azure/azure-sdk-for-java/issues/31045",
			},
			Provokes: "Storage answers the first request with 401 and a challenge whose resource_id is of another domain.",
			Passes:   "nobody is asked for a token for that domain, and no request reaches it",
			Names:    true, Needs: usesBlobs,
			Known: []string{
				"azblob 1.8.3: not met (observed)", "@azure/storage-blob 12.32.0: not met (observed)", "azure-storage-blob for Python 12.31.1: not met (observed)", "azure-storage-blob for Java: not met (observed)",
			},
			Cases: []Case{
				{Name: "another domain", Run: misledAudience("https://" + lab.TrapDomain)},
				{Name: "a domain that begins alike", Run: misledAudience("https://storage.azure.com." + lab.TrapDomain)},
			},
		},
		{
			ID: "RES-07", Level: Must, Tags: []string{"res", "sec"}, Title: "a challenge does not choose who issues the token",
			Requirement: "The host of a challenge's authorization_uri is never contacted when it is not the login host that the client is configured with.",
			Sources: []string{
				"https://github.com/Azure/azure-sdk-for-python/issues/26141", "https://github.com/Azure/azure-sdk-for-net/issues/31026",
				"https://github.com/Azure/azure-sdk-for-js/issues/23182", "https://github.com/Azure/azure-sdk-for-java/issues/31045",
			},
			Provokes: "Storage answers the first request with 401 and a challenge whose authorization_uri is on another host.",
			Passes:   "no request reaches that host",
			Names:    true, Needs: usesBlobs,
			Cases: []Case{
				{Name: "another host", Run: misledAuthority(lab.TrapDomain)},
				{Name: "a host that begins alike", Run: misledAuthority("login.microsoftonline.com." + lab.TrapDomain)},
				{Name: "a user name that looks like the host", Run: misledAuthority("login.microsoftonline.com@" + lab.TrapDomain)},
			},
		},
		{
			ID: "RES-08", Level: May, Tags: []string{"res", "tenant"}, Title: "the tenant of an account is learned from its challenge",
			Requirement: "A client that is allowed every tenant takes the tenant of a storage account from the challenge, if the login host is its own (inferred: the option EnableTenantDiscovery of the SDK for .NET).",
			Sources:     []string{"https://github.com/Azure/azure-sdk-for-go/issues/19841"},
			Provokes:    "The client lists an account of another tenant than the one it is configured with.",
			Passes:      "an exchange goes to that tenant, and the list is complete",
			Names:       true, Needs: usesBlobs,
			Known: []string{"azblob 1.8.3: not met (observed)"},
			Cases: []Case{{
				Fixture: func(f *lab.Fixture) { f.Tenants = 1 },
				Run: func(s *Session) {
					got := s.Default().Use(driver.ListBlobs, lab.ContainerOf(s.Accounts[0]))
					s.Reached(lab.Blob)
					want := string(s.Tenants[0].ID)
					var asked []string
					for _, x := range s.Exchanges(lab.Token) {
						asked = append(asked, x.Tenant())
					}
					s.Want("tenant", slices.Contains(asked, want), "an exchange at the tenant "+want, "exchanges at %q", asked)
					s.wantBlobs(got)
				},
			}},
		},
	}
}

// blobRedirects returns a case for each status with which storage leads requests
// to somewhere. Their answer there is a list, so that who follows is content.
func blobRedirects(to func(*Session, *url.URL) string, there lab.Op) []Case {
	var cases []Case
	for _, code := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		cases = append(cases, Case{Name: status(code), Run: func(s *Session) {
			r := s.Fault(lab.Blob, 0, func(x *lab.Exchange, _ func() *lab.Answer) *lab.Answer {
				return &lab.Answer{Status: code, Header: http.Header{"Location": {to(s, x.URL)}}}
			})
			s.UpTo(longEnough, s.List)
			s.Armed(r)
			s.wantNoSecret("token", there)
		}})
	}
	return cases
}

// challenged has storage answer the first request with a challenge.
func (s *Session) challenged(authority, resource string) *lab.Rule {
	a := blobError(http.StatusUnauthorized, "InvalidAuthenticationInfo", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
	return s.Fault(lab.Blob, 1, lab.Always(a.With("WWW-Authenticate", "Bearer authorization_uri="+authority+"/oauth2/authorize resource_id="+resource)))
}

func misledAudience(resource string) func(*Session) {
	return func(s *Session) {
		r := s.challenged(s.Config.Endpoints.Authority+"/"+s.Config.Tenant, resource)
		s.Arm(&lab.Rule{
			Name: "a token for the trap", Ops: []lab.Op{lab.Token},
			When: func(x *lab.Exchange) bool { return strings.Contains(x.Form().Get("scope"), lab.TrapDomain) },
			Do: func(*lab.Exchange, func() *lab.Answer) *lab.Answer {
				return lab.JSON(http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": s.Forge(map[string]any{"aud": resource}, time.Hour)})
			},
		})
		s.UpTo(longEnough, s.List)
		s.Armed(r)
		for _, x := range s.Exchanges(lab.Token) {
			s.Want("scope", !strings.Contains(x.Form().Get("scope"), lab.TrapDomain), "a token for storage to be asked for", "one for %q", x.Form().Get("scope"))
		}
		for _, x := range s.Exchanges(lab.IMDSToken) {
			s.Want("resource", !strings.Contains(x.Query().Get("resource"), lab.TrapDomain), "a token for the exchange to be asked for", "one for %q", x.Query().Get("resource"))
		}
		s.WantUntouched("trap", lab.Trap)
	}
}

func misledAuthority(host string) func(*Session) {
	return func(s *Session) {
		r := s.challenged("https://"+host+"/"+s.Config.Tenant, "https://storage.azure.com")
		s.UpTo(longEnough, s.List)
		s.Armed(r)
		s.WantUntouched("trap", lab.Trap)
	}
}
