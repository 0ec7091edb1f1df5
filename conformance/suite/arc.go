package suite

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

const (
	pageArc   = "https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication"
	advisory  = "https://github.com/advisories/GHSA-m5vv-6r4h-3vj9"
	arcTokens = "/var/opt/azcmagent/tokens"
	// arcElsewhere is a folder that no agent has anything to do with.
	arcElsewhere = "/var/opt/fakeentra"
)

var needsArc = []driver.Capability{driver.Arc, driver.IdentitySystem}

// arcAdvisory are the releases of the advisory, which does not say what it is about.
// Those of docs/history.md were seen not to meet the checks, and their successors to.
var arcAdvisory = []string{
	"azidentity before 1.6.0, @azure/identity before 4.2.1, azure-identity before 1.16.1 for Python and before 1.12.2 for Java: not met (observed)",
	"Azure.Identity before 1.11.4, MSAL.NET 4.49.1 to 4.60.3: not met, if this is what the advisory is about (inferred)",
}

// onArc is a case on a machine with the agent of Azure Arc, with its
// system-assigned identity, which every agent has.
func onArc(name string, run func(*Session)) Case {
	return at(fakeentra.Arc, Case{Name: name, Run: func(s *Session) {
		s.Config.Identity = driver.Identity{Kind: "system"}
		s.Patience = time.Minute
		run(s)
	}})[0]
}

func arcChallenge() *Check {
	return &Check{
		ID: "SRC-07", Level: Must, Tags: []string{"src"}, Title: "the challenge of Azure Arc is answered",
		Requirement: "The first request goes without Authorization, and is answered with 401 and the path of a file; the second one carries Authorization: Basic and the content of the file, as it is. Both have Metadata: true.",
		Sources:     []string{pageArc, sourceMSALGo + ", acquireTokenForAzureArc"},
		Provokes:    "Nothing.",
		Passes:      "a request without Authorization is followed by one whose key the agent accepts; every request has the header Metadata: true, and IMDS is not asked",
		Names:       true,
		Needs:       needsArc,
		Cases: []Case{onArc("", func(s *Session) {
			got := s.Token()
			seen := s.endpointRequests()
			first := seen[:min(len(seen), 1)]
			for _, x := range seen {
				s.wantValue("metadata", "the header Metadata: true", x.Header.Get("Metadata"), "true")
			}
			for _, x := range first {
				s.Want("first", x.Header.Get("Authorization") == "", "a first request without Authorization", "one with it")
			}
			accepted := false
			for _, x := range seen[len(first):] {
				accepted = accepted || x.Status == http.StatusOK && strings.HasPrefix(x.Header.Get("Authorization"), "Basic ")
			}
			s.Want("second", accepted, "a later request with Authorization: Basic that the agent accepts", "%d requests, none of which is", len(seen))
			s.WantUntouched("imds", lab.IMDSToken, lab.IMDSOther)
			s.WantToken(got)
		})},
	}
}

// lure has the agent's endpoint name a file, which must not be read, let alone
// sent. more are files of the machine.
func (s *Session) lure(path string, more map[string]string) {
	s.Files = more
	for _, content := range more {
		s.Secret("the content of a file", content)
	}
	r := s.Arm(&lab.Rule{
		Name: "challenge", Ops: []lab.Op{lab.EndpointToken}, When: keyless,
		Do: lab.Always(imdsError(http.StatusUnauthorized).With("WWW-Authenticate", "Basic realm="+path)),
	})
	got := s.Token()
	s.Armed(r)
	s.wantNoKey()
	var leaked []string
	for _, x := range s.Exchanges() {
		for _, content := range more {
			if strings.Contains(wireText(x), content) {
				leaked = append(leaked, string(x.Op))
			}
		}
	}
	s.Want("content", len(leaked) == 0, "the content of the file nowhere", "it is in a request for %q", leaked)
	s.WantError(got)
}

// keyless reports whether a request answers no challenge. Libraries for HTTP may do
// so by themselves, with an empty user and an empty password, as that of .NET does
// for MSAL.NET, which gives nothing away.
func keyless(x *lab.Exchange) bool {
	key := x.Header.Get("Authorization")
	return key == "" || key == "Basic "+base64.StdEncoding.EncodeToString([]byte(":"))
}

// wantNoKey expects no answer to a challenge.
func (s *Session) wantNoKey() {
	n := 0
	for _, x := range s.Exchanges(lab.EndpointToken) {
		if !keyless(x) {
			n++
		}
	}
	s.Want("key", n == 0, "no request with Authorization", "%d", n)
}

const arcCanary = "fakeentra-content-that-is-no-key-of-the-agent"

func arcFolder() *Check {
	outside := map[string]string{arcElsewhere + "/agent.key": arcCanary}
	lured := func(name, path string, files map[string]string) Case {
		return onArc(name, func(s *Session) { s.lure(path, files) })
	}
	return &Check{
		ID: "SRC-08", Level: Must, Tags: []string{"src", "sec"}, Title: "a key file of Azure Arc is in the agent's folder",
		Requirement: "Only a file directly in the folder where the agent puts its keys is read: whoever answers in the agent's place must not get to see others.",
		Sources:     []string{sourceMSALGo + ", getAzureArcSecretKey", advisory},
		Provokes:    "The endpoint names a file in another folder, or one by way of .., as it is or encoded, in a folder whose name begins alike, on another machine, or by a relative path.",
		Passes:      "no request answers the challenge, no request contains the file, and the client fails",
		Names:       true,
		Needs:       needsArc,
		Known:       arcAdvisory,
		Cases: []Case{
			lured("another folder", arcElsewhere+"/agent.key", outside),
			lured("dot dot", arcTokens+"/../../fakeentra/agent.key", outside),
			lured("encoded dot dot", arcTokens+"/%2e%2e/%2e%2e/fakeentra/agent.key", outside),
			lured("a name that begins alike", arcTokens+"-of-others/agent.key", map[string]string{arcTokens + "-of-others/agent.key": arcCanary}),
			lured("another machine", `\\`+lab.TrapDomain+`\tokens\agent.key`, nil),
			lured("a relative path", "agent.key", nil),
		},
	}
}

func arcFile() *Check {
	long := strings.Repeat(arcCanary+"-", 5000)[:5000]
	return &Check{
		ID: "SRC-09", Level: Must, Tags: []string{"src", "sec"}, Title: "a key file of Azure Arc has its extension and its length",
		Requirement: "A file that does not end in .key, or is longer than 4096 bytes, is not read.",
		Sources:     []string{sourceMSALGo + ", getAzureArcSecretKey", advisory},
		Provokes:    "The endpoint names a text file, or a key of 5000 bytes, in the agent's folder.",
		Passes:      "no request answers the challenge, no request contains the file, and the client fails",
		Names:       true,
		Needs:       needsArc,
		Known:       arcAdvisory,
		Cases: []Case{
			onArc("another extension", func(s *Session) {
				s.lure(arcTokens+"/agent.txt", map[string]string{arcTokens + "/agent.txt": arcCanary})
			}),
			onArc("5000 bytes", func(s *Session) { s.lure(arcTokens+"/long.key", map[string]string{arcTokens + "/long.key": long}) }),
		},
	}
}

func arcLink() *Check {
	return &Check{
		ID: "SRC-10", Level: May, Tags: []string{"src", "sec"}, Title: "a key file of Azure Arc is no link",
		Requirement: "A symbolic link in the agent's folder is not followed to a file elsewhere.",
		Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/pull/6115"},
		Provokes:    "The endpoint names a link in the agent's folder, which leads to a file in another one.",
		Passes:      "no request answers the challenge, no request contains the file, and the client fails",
		Names:       true,
		Needs:       needsArc,
		Known:       []string{"azidentity 1.15.0, MSAL Go 1.10.1, @azure/identity 4.14.1: not met (observed)"},
		Cases: []Case{onArc("", func(s *Session) {
			target := arcElsewhere + "/target.key"
			s.lure(arcTokens+"/link.key", map[string]string{arcTokens + "/link.key": "-> " + target, target: arcCanary})
		})},
	}
}

func arcOddChallenge() *Check {
	odd := func(name string, usable bool, change func(usual string) []string) Case {
		return onArc(name, func(s *Session) {
			r := s.Arm(&lab.Rule{
				Name: "challenge", Ops: []lab.Op{lab.EndpointToken}, When: keyless,
				Do: lab.Edit(func(a *lab.Answer) {
					// The emulator's own letter case is not Go's.
					for name, values := range a.Header {
						if strings.EqualFold(name, "WWW-Authenticate") {
							a.Header[name] = change(values[0])
						}
					}
				}),
			})
			got := s.Token()
			s.Armed(r)
			if usable {
				s.Want("outcome", got.OK() || got.Message() != "", "a token, or an error that says something", "%s", got)
				return
			}
			s.wantNoKey()
			s.WantError(got)
		})
	}
	return &Check{
		ID: "SRC-11", Level: Should, Tags: []string{"src"}, Title: "an odd challenge of Azure Arc is an error",
		Requirement: "A 401 without a challenge that a client understands is an error and no crash. One that it may understand, with a realm in quotes or beside another challenge, is either.",
		Sources:     []string{"RFC 9110 section 11.6.1"},
		Provokes:    "The agent's 401 has no WWW-Authenticate, an empty one, one of the scheme Bearer, two challenges, or a realm in quotes.",
		Passes:      "in the first three cases no request has an Authorization, and the client fails; in the others it gets a token or fails with an error",
		Names:       true,
		Needs:       needsArc,
		Known:       []string{"azure-identity 1.18.2 for Java: not met for Bearer, which it takes for Basic (observed)"},
		Cases: []Case{
			odd("none", false, func(string) []string { return nil }),
			odd("empty", false, func(string) []string { return []string{""} }),
			odd("Bearer", false, func(usual string) []string { return []string{strings.Replace(usual, "Basic", "Bearer", 1)} }),
			odd("two challenges", true, func(usual string) []string { return []string{"Negotiate", usual} }),
			odd("a realm in quotes", true, func(usual string) []string { return []string{strings.Replace(usual, "realm=", `realm="`, 1) + `"`} }),
		},
	}
}

func arcOlderAgent() *Check {
	older := func(kind string, need driver.Capability) Case {
		return Case{
			Name: kind, Needs: []driver.Capability{need},
			Fixture: func(f *lab.Fixture) {
				f.Source, f.Options = fakeentra.Arc, []fakeentra.HostOption{fakeentra.WithOlderAgent()}
			},
			Run: func(s *Session) {
				s.Config.Identity = identityOf(s.Agent, kind)
				got := s.Token()
				s.WantUntouched("exchange", lab.Token)
				s.WantError(got)
			},
		}
	}
	return &Check{
		ID: "SRC-12", Level: Must, Tags: []string{"src"}, Title: "an agent of Azure Arc has to confirm the identity",
		Requirement: "Agents of before 2026 overlook selectors, and answer with the system-assigned identity's token. A client that is configured with another one takes a token only if the answer names it.",
		Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/pull/644", "azidentity 1.15.0, its changelog"},
		Provokes:    "The client is configured with a user-assigned identity on a machine with such an agent.",
		Passes:      "there is no exchange, and the client fails",
		Names:       true,
		Needs:       []driver.Capability{driver.Arc},
		Cases: []Case{
			older("client_id", driver.IdentityClientID), older("object_id", driver.IdentityObjectID), older("resource_id", driver.IdentityResourceID),
		},
	}
}

func arcEmptyBody() *Check {
	return &Check{
		ID: "SRC-13", Level: May, Tags: []string{"src"}, Title: "a challenge of Azure Arc may have no body",
		Requirement: "What matters of the 401 is its header. Whether the real agent sends a body is not known.",
		Sources:     []string{"RFC 9110 section 15.5.2"},
		Provokes:    "The agent's 401 has an empty body.",
		Passes:      "the client gets a token",
		Names:       true,
		Needs:       needsArc,
		Known:       []string{"@azure/msal-node 7.2.1: not met (observed)"},
		Cases: []Case{onArc("", func(s *Session) {
			r := s.Arm(&lab.Rule{
				Name: "challenge", Ops: []lab.Op{lab.EndpointToken}, When: keyless,
				Do: lab.Edit(func(a *lab.Answer) { a.Body = nil }),
			})
			got := s.Token()
			s.Armed(r)
			s.WantToken(got)
		})},
	}
}
