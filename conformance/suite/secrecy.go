package suite

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// secrecyChecks are about secrets (SEC).
func secrecyChecks() []*Check { return slices.Concat(wireSecrecyChecks(), leftoverChecks()) }

// wireSecrecyChecks are about secrets in what a client says.
func wireSecrecyChecks() []*Check {
	return []*Check{
		{
			ID: "SEC-01", Level: Must, Tags: []string{"sec"}, Title: "no secret is logged",
			Requirement: "What a client writes to standard output and standard error has no token, no assertion and no key of the place, when nothing asks for more than the usual.",
			Sources:     []string{pageMSALLogging},
			Provokes:    "An exchange, a list of blobs, and an exchange that is refused.",
			Passes:      "the output of the process has no secret, and no telling part of one",
			Cases:       inPlaces(useAndFail, wantQuiet),
		},
		{
			ID: "SEC-02", Level: Should, Tags: []string{"sec"}, Title: "no secret is logged at the most verbose level",
			Requirement: "A log that is as verbose as can be has no secret, unless another switch asks for that.",
			Sources: []string{
				pageMSALLogging, "https://learn.microsoft.com/azure/developer/go/sdk/azure-sdk-logging",
				"https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/362",
			},
			Provokes: "The same as SEC-01, with the most verbose log.",
			Passes:   "the output of the process has no secret, and no telling part of one",
			Needs:    []driver.Capability{driver.VerboseLog},
			Known:    []string{"MSAL Python before the fix of #362: not met (reported)"},
			Cases: inPlaces(func(s *Session) {
				s.Config.LogLevel = "verbose"
				useAndFail(s)
			}, wantQuiet),
		},
		{
			ID: "SEC-03", Level: Must, Tags: []string{"sec", "err"}, Title: "no secret is in an error",
			Requirement: "The text of an error has no token and no assertion, also when it is about an answer that cannot be read.",
			Sources: []string{
				"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/3576", "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/6094",
				"https://github.com/Azure/azure-sdk-for-java/issues/36232",
			},
			Provokes: "A token comes in an answer that ends too early, or says when it expires in a way that makes no sense; the assertion, or the token, is refused.",
			Passes:   "the error has no secret, and no telling part of one",
			Needs:    []driver.Capability{driver.IMDS},
			Known:    []string{"azidentity 1.15.0: not met (observed)", "MSAL Go 1.10.1: not met (observed)", "azure-identity for Python 1.27.0: not met (observed)"},
			Cases: []Case{
				{Name: "a token that is cut off", Run: unreadable(lab.Token, truncated)},
				{Name: "a token that expires in an object", Run: unreadable(lab.Token, nested("expires_in"))},
				{Name: "an assertion that is cut off", Run: unreadable(lab.IMDSToken, truncated)},
				{Name: "an assertion that expires on an object", Run: unreadable(lab.IMDSToken, nested("expires_on"))},
				{Name: "an assertion that is refused", Run: unreadable(lab.Token, func(*Session) lab.Act { return lab.Always(refusedAssertion()) })},
				{Name: "a token that storage refuses", Needs: []driver.Capability{driver.Blob}, Run: func(s *Session) {
					r := s.Fault(lab.Blob, 0, lab.Always(blobError(http.StatusForbidden, "AuthorizationFailure", "This request is not authorized to perform this operation.")))
					got := s.List()
					s.Armed(r)
					s.wantDiscreet(got)
				}},
			},
		},
		{
			ID: "SEC-04", Level: Must, Tags: []string{"sec", "core"}, Title: "no secret is in a URL, or in a header that is not meant for it",
			Requirement: "A token is sent in the header Authorization to a resource, and in the body to the token endpoint. A key of the place is sent in its own header to the managed identity endpoint. Nothing of them is in a URL, in Referer, in User-Agent or in any other header.",
			Sources:     []string{"RFC 6750 section 2.3", "RFC 6750 section 5.3"},
			Provokes:    "Nothing: an exchange, and a list of blobs.",
			Passes:      "no URL and no other header of any request has a secret",
			Cases:       inPlaces(wantInPlace, nil),
		},
	}
}

// inPlaces returns a case for a virtual machine, one for App Service, whose
// endpoint has a secret of its own, and one for Azure Arc, where there is a key.
func inPlaces(run, after func(*Session)) []Case {
	cases := []Case{
		{Name: "a virtual machine", Needs: []driver.Capability{driver.IMDS}, Run: run},
		at(fakeentra.AppService, Case{Name: "App Service", Needs: []driver.Capability{driver.AppService}, Run: run})[0],
		onArc("Azure Arc", run),
	}
	cases[2].Needs = needsArc
	for i := range cases {
		cases[i].After = after
	}
	return cases
}

// wantInPlace expects secrets in the headers alone that are meant for them.
func wantInPlace(s *Session) {
	s.use()
	s.Reached(lab.Token)
	actual, met := "none", true
	for _, x := range s.Exchanges() {
		h := x.Header.Clone()
		for _, name := range s.meantFor(x.Op) {
			h.Del(name)
		}
		if found := s.spilled(x.Target + "\n" + headerText(h)); len(found) > 0 {
			actual, met = strings.Join(found, " and ")+" in the URL or the header of "+x.Method+" "+shorten(x.URL.Redacted(), 120), false
			break
		}
	}
	s.Want("place", met, "no secret in a URL or another header", "%s", actual)
}

const pageMSALLogging = "https://learn.microsoft.com/entra/identity-platform/msal-logging-dotnet"

// meantFor are the headers that a secret is sent in, with requests for an operation.
func (s *Session) meantFor(op lab.Op) []string {
	switch {
	case op == lab.Blob, op == lab.EndpointToken && s.Host.Source() == fakeentra.Arc:
		return []string{"Authorization"}
	case op == lab.EndpointToken:
		return []string{"X-Identity-Header", "Secret"} // today, and by the version of 2017
	}
	return nil
}

// use has a client get a token, and list blobs with it if it can. The keys that it
// reads are secrets from then on.
func (s *Session) use() {
	if s.Has(driver.Blob) {
		s.List()
	} else {
		s.Token()
	}
	for _, x := range s.Exchanges(lab.EndpointToken) {
		if key, found := strings.CutPrefix(x.Header.Get("Authorization"), "Basic "); found {
			s.Secret("a key of the agent", key)
		}
	}
}

// useAndFail does an exchange, and one that is refused.
func useAndFail(s *Session) {
	s.use()
	s.Reached(lab.Token)
	r := s.Fault(lab.Token, 0, lab.Always(refusedAssertion()))
	// Another client, so that drivers which are called anew each time can do it.
	s.Open(s.Config).Ask(driver.TokenRequest{Scopes: []string{vaultScope}})
	s.Armed(r)
}

func refusedAssertion() *lab.Answer {
	return lab.JSON(http.StatusUnauthorized, map[string]any{
		"error": "invalid_client", "error_description": "AADSTS700213: No matching federated identity record found for presented assertion subject.", "error_codes": []int{700213},
	})
}

// wantQuiet expects no secret in what the process has written until its end.
func wantQuiet(s *Session) {
	found := s.spilled(s.Output())
	s.Want("output", len(found) == 0, "no secret in the output", "%s", strings.Join(found, " and "))
}

// unreadable has a token endpoint answer in another way.
func unreadable(op lab.Op, answer func(*Session) lab.Act) func(*Session) {
	return func(s *Session) {
		s.Patience = 40 * time.Second
		r := s.Fault(op, 0, answer(s))
		got := s.Token()
		s.Armed(r)
		s.wantDiscreet(got)
	}
}

// truncated cuts an answer off after the token.
func truncated(s *Session) lab.Act {
	return func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
		a := lab.Members(nil)(x, next) // access_token is the first now
		s.Secret("the token of an answer that was cut off", issued(a))
		a.Body = a.Body[:len(a.Body)-10]
		return a
	}
}

func nested(name string) func(*Session) lab.Act {
	return func(*Session) lab.Act { return lab.Members(map[string]any{name: map[string]any{"soon": true}}) }
}

// issued returns the token of an answer.
func issued(a *lab.Answer) string {
	return (&lab.Exchange{Status: a.Status, Answer: a.Body}).Issued()
}

// wantDiscreet expects no secret in an error. Whether there is one is for other
// checks.
func (s *Session) wantDiscreet(got Got) {
	var found []string
	if f := got.Error; f != nil {
		found = s.spilled(strings.Join([]string{got.Message(), f.OAuthError, f.CorrelationID}, "\n"))
	}
	s.Want("error", len(found) == 0, "no secret in the error", "%s", strings.Join(found, " and "))
}

// telling returns what gives a secret away: the whole of it, in a URL or not, and
// of a token its claims and its signature.
func telling(secret string) []string {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	if parts := strings.Split(secret, "."); len(parts) == 3 {
		all = append(all, parts[1], parts[2])
	}
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < 8 })
}

// spilled returns which secrets of the lab are in a text, by what they are.
func (s *Session) spilled(text string) []string {
	var found []string
	for secret, what := range s.Secrets() {
		if slices.ContainsFunc(telling(secret), func(part string) bool { return strings.Contains(text, part) }) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// mentions reports whether a secret of the lab is in a text.
func (s *Session) mentions(text string) bool { return len(s.spilled(text)) > 0 }

// wantNoSecret expects no secret in any part of the requests for some operations.
func (s *Session) wantNoSecret(name string, ops ...lab.Op) {
	actual, met := "none", true
	for _, x := range s.Exchanges(ops...) {
		if found := s.spilled(wireText(x)); len(found) > 0 {
			actual, met = strings.Join(found, " and ")+" in "+x.Method+" "+shorten(x.URL.Redacted(), 120), false
			break
		}
	}
	s.Want(name, met, "no secret in a request for "+join(ops), "%s", actual)
}

// wireText is all that the client sent with a request.
func wireText(x *lab.Exchange) string {
	return strings.Join([]string{x.Target, headerText(x.Header), string(x.Body)}, "\n")
}

// headerText is a header, a line each.
func headerText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b) // it cannot fail
	return b.String()
}
