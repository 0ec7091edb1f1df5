package suite

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// proxied are the variables by which clients are told of the proxy of a place,
// in the spellings that they look for.
func (s *Session) proxied(except ...string) {
	s.Proxy = true
	proxy := fmt.Sprintf("http://127.0.0.1:%d", stage.ProxyPort)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		s.Environ = append(s.Environ, name+"="+proxy)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		s.Environ = append(s.Environ, name+"="+strings.Join(except, ","))
	}
}

func imdsProxy() *Check {
	return &Check{
		ID: "IMDS-09", Level: Should, Tags: []string{"sec"}, Title: "IMDS is reached without a proxy",
		Requirement: "Requests to IMDS bypass the proxy of the environment: it is link-local, and a proxy would answer for another machine, or for itself.",
		Sources: []string{
			pageVMToken, pageIMDS + "#proxies", "https://github.com/Azure/azure-sdk-for-net/issues/18967",
			"https://github.com/test-kitchen/kitchen-azurerm/issues/338", "https://github.com/Azure/azure-sdk-for-python/issues/24458",
		},
		Provokes: "HTTP_PROXY and ALL_PROXY, in both letter cases, name a proxy that answers requests for tokens with one of its own; NO_PROXY names the token endpoint alone.",
		Passes:   "no request for 169.254.169.254 reaches the proxy, and the client gets a token",
		Names:    true,
		Needs:    needsIMDS,
		Known:    []string{"azidentity 1.15.0: not met (observed)", "MSAL Go 1.10.1: not met (observed)", "@azure/identity 4.14.1: not met (observed)"},
		Cases: []Case{{Run: func(s *Session) {
			s.proxied(s.Environment.LoginHost)
			got := s.Token()
			through := slices.DeleteFunc(s.Exchanges(lab.Proxy, lab.Connect), func(x *lab.Exchange) bool {
				return !strings.HasPrefix(x.Host, "169.254.169.254") && x.URL.Hostname() != "169.254.169.254"
			})
			s.Want("direct", len(through) == 0, "no request for 169.254.169.254 at the proxy", "%d", len(through))
			s.WantToken(got)
		}}},
	}
}

func imdsRedirect() *Check {
	return &Check{
		ID: "IMDS-10", Level: Should, Tags: []string{"sec"}, Title: "redirects from IMDS are not followed",
		Requirement: "A redirect from IMDS is an error: what another host answers is never taken for a token.",
		Sources:     []string{pageVMToken, "RFC 9110 section 15.4", "https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/656"},
		Provokes:    "IMDS answers with a redirect to a host outside Azure, which answers with a token.",
		Passes:      "no request reaches that host, and the client fails",
		Names:       true,
		Needs:       needsIMDS,
		Known:       []string{"azidentity 1.15.0: not met (observed)", "MSAL Go 1.10.1: not met (observed)", "@azure/msal-node 7.2.1: not met (observed)"},
		Cases: redirects(func(s *Session, status int, location string) {
			r := s.identityFault(0, lab.Redirect(status, location))
			got := s.Token()
			s.Armed(r)
			s.WantUntouched("trap", lab.Trap)
			s.WantError(got)
		}),
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

func imdsAddress() *Check {
	return &Check{
		ID: "IMDS-11", Level: Should, Tags: []string{"sec"}, Title: "IMDS is called by its address, over plain HTTP",
		Requirement: "Requests go to port 80 of the address 169.254.169.254 with that as their Host. A name could lead elsewhere, and there is no TLS.",
		Sources:     []string{pageVMToken},
		Provokes:    "Port 443 of the address is open, and names such as metadata.azure.internal lead to a host that answers with a token.",
		Passes:      "no other host and no other port is tried, and every request has the literal Host",
		Names:       true,
		Needs:       needsIMDS,
		Cases: []Case{{Run: func(s *Session) {
			got := s.Token()
			s.WantUntouched("trap", lab.Trap)
			for _, x := range s.identityRequests() {
				s.Want("host", x.Host == "169.254.169.254" || x.Host == "169.254.169.254:80", "the host 169.254.169.254", "%q", x.Host)
			}
			var tried []string
			for _, h := range s.Hellos() { // nobody else is called without a name
				if h.ServerName == "" || strings.HasPrefix(h.ServerName, "169.254.") || strings.HasPrefix(h.ServerName, "metadata.azure.") {
					tried = append(tried, h.ServerName)
				}
			}
			s.Want("tls", len(tried) == 0, "no TLS with IMDS", "handshakes for %q", tried)
			s.WantToken(got)
		}}},
	}
}

// forwarding are headers that programs in between add. IMDS takes the first for
// a sign that a server was made to send the request.
var forwarding = []string{"X-Forwarded-For", "Forwarded", "Via"}

func imdsSecrets() *Check {
	return &Check{
		ID: "IMDS-12", Level: Must, Tags: []string{"core", "sec"}, Title: "requests to IMDS carry no secret and no forwarding header",
		Requirement: "IMDS knows the machine, so requests have nothing to prove: no Authorization, no cookie, no client secret, no assertion. Nor do they look forwarded; that IMDS minds Forwarded and Via besides X-Forwarded-For is inferred.",
		Sources:     []string{pageVMToken, pageIMDS + "#security"},
		Provokes:    "Two exchanges, so that there are tokens that a request could carry.",
		Passes:      "no request to IMDS has a header or parameter of these, or contains a token",
		Needs:       needsIMDS,
		Lingers:     true,
		Cases: []Case{{
			Fixture: func(f *lab.Fixture) { f.ManagedIdentityLife, f.ApplicationLife = time.Minute, time.Minute },
			Run: func(s *Session) {
				s.WantToken(s.Token())
				s.perhaps(func(s *Session) { s.Token() }) // both tokens are so short-lived that most clients ask again
				for _, x := range append(s.identityRequests(), s.Exchanges(lab.IMDSOther)...) {
					s.wantOnlyTheQuestion(x)
				}
			},
		}},
	}
}

// wantOnlyTheQuestion expects a request to carry nothing but the question.
func (s *Session) wantOnlyTheQuestion(x *lab.Exchange) {
	var found []string
	for _, name := range append([]string{"Authorization", "Proxy-Authorization", "Cookie"}, forwarding...) {
		if x.Header.Get(name) != "" {
			found = append(found, "the header "+name)
		}
	}
	for _, name := range []string{"client_secret", "client_assertion", "assertion", "access_token", "refresh_token"} {
		if x.Query().Has(name) || x.Form().Has(name) {
			found = append(found, "the parameter "+name)
		}
	}
	found = append(found, s.spilled(wireText(x))...)
	s.Want("secret", len(found) == 0, "nothing but the question", "%q", found)
}

func imdsHang() *Check {
	return &Check{
		ID: "IMDS-13", Level: Should, Tags: []string{"core", "retry"}, Title: "an IMDS that does not answer is given up in time",
		Requirement: "A caller who sets a deadline, or gives up, has the control back soon after, and the connection is closed.",
		Sources:     []string{"https://github.com/Azure/azure-sdk-for-net/issues/47156", "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/6053"},
		Provokes:    "IMDS takes every request and never answers; the caller's deadline is three seconds, or it gives up after one.",
		Passes:      "the client fails within two seconds of it, in one of three calls on a busy machine, and the connection is closed by then or soon after",
		Cost:        Timed,
		Needs:       needsIMDS,
		Known:       []string{"@azure/identity 4.13.1: not met (observed)"},
		Cases: []Case{
			{Name: "deadline", Needs: []driver.Capability{driver.Timeout}, Run: func(s *Session) {
				s.wantGivenUp(3*time.Second, func(ms int) driver.TokenRequest { return driver.TokenRequest{Timeout: ms} })
			}},
			{Name: "cancel", Needs: []driver.Capability{driver.Cancel}, Run: func(s *Session) {
				s.wantGivenUp(time.Second, func(ms int) driver.TokenRequest { return driver.TokenRequest{CancelAfter: ms} })
			}},
		},
	}
}

// wantGivenUp expects a client to stop when its caller does, after so long.
func (s *Session) wantGivenUp(after time.Duration, request func(ms int) driver.TokenRequest) {
	another := s.Config
	another.Identity = identityOf(s.Second, another.Identity.Kind)
	s.Open(another).Token() // the first request of a process takes some runtimes longer than that
	rule := s.identityFault(0, lab.Always(&lab.Answer{Hang: true}))
	got := s.inTime(after, request)
	s.Armed(rule)
	s.WantError(got)
	open := func() int {
		return len(slices.DeleteFunc(s.requestsForIdentity(), func(x *lab.Exchange) bool { return !x.Done.IsZero() }))
	}
	s.await(5*time.Second, func() bool { return open() == 0 })
	s.Want("closed", open() == 0, "closed connections soon after", "%d requests that are still waited for", open())
}

// inTime expects a call to end when its caller's time is over, or a little later. A
// busy machine may be late, so that there are three calls: a client that does not
// hear is late each time.
func (s *Session) inTime(after time.Duration, request func(ms int) driver.TokenRequest) Got {
	const grace, calls = 2 * time.Second, 3
	s.Patience = after + 8*time.Second // for one without any care
	var got Got
	late := true
	for n := 0; n < calls && late; n++ {
		var answered bool
		got, answered = s.within(request(int(s.run.scaled(after) / time.Millisecond)))
		late = got.Took > s.run.scaled(after+grace)
		if !answered {
			break
		}
	}
	s.Want("time", !late, fmt.Sprintf("an end within %v", after+grace), "%v", got.Took.Round(10*time.Millisecond))
	return got
}

// within asks for a token, and has the control back in any case: a driver that does
// not answer is one whose client is late.
func (s *Session) within(r driver.TokenRequest) (got Got, answered bool) {
	client, began := s.Default(), time.Now()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case ended:
			if p.verdict != Timeout {
				panic(p)
			}
			got = Got{Outcome: driver.Outcome{Error: &driver.Failure{Message: p.why}}, Took: time.Since(began)}
		default:
			panic(p)
		}
	}()
	return client.Ask(r), true
}

func imdsProbe() *Check {
	return &Check{
		ID: "IMDS-14", Level: May, Tags: []string{"core"}, Title: "at most one probe of IMDS, without secrets",
		Requirement: "A client that looks whether there is an IMDS does so once in a process, shows no secret, and never again when it has worked.",
		Sources:     []string{"Azure.Identity 1.14.0-beta.3, its changelog"},
		Provokes:    "Three requests for tokens, which are so short-lived that most clients ask IMDS each time.",
		Passes:      "at most one request to IMDS has no header Metadata, and it carries no secret",
		Names:       true,
		Needs:       needsIMDS,
		Lingers:     true,
		Known:       []string{"Azure.Identity before 1.14.0-beta.3: not met (its changelog)"},
		Cases: []Case{{
			Fixture: func(f *lab.Fixture) { f.ManagedIdentityLife, f.ApplicationLife = time.Minute, time.Minute },
			Run: func(s *Session) {
				for range 3 {
					s.WantToken(s.Token())
				}
				s.Reached(lab.IMDSToken)
				probes := slices.DeleteFunc(s.Exchanges(lab.IMDSToken, lab.IMDSOther), func(x *lab.Exchange) bool { return !probe(x) })
				s.Want("probes", len(probes) <= 1, "at most one probe", "%d", len(probes))
				for _, x := range probes {
					s.wantOnlyTheQuestion(x)
				}
			},
		}},
	}
}
