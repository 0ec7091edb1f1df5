package suite

import (
	"slices"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// transferChecks are about answers that come slowly, in part, or without end.
func transferChecks() []*Check {
	return []*Check{
		{
			ID: "ERR-14", Level: Should, Tags: []string{"err"}, Title: "half an answer is none",
			Requirement: "An answer that ends early is an error, or is asked for again: no part of it is taken for a token.",
			Sources:     []string{"RFC 9112 section 8", "RFC 8259 section 2"},
			Provokes:    "Half of an answer, once: of its whole length, shorter than its Content-Length, or with a reset of the connection.",
			Passes:      "the client fails, or returns the token of an answer that was whole",
			Needs:       []driver.Capability{driver.IMDS},
			Alone:       true,
			Cases: []Case{
				{Name: "half of the JSON", Run: func(s *Session) { halved(s, func(a *lab.Answer) { a.Body = a.Body[:len(a.Body)/2] }) }},
				{Name: "half of the length", Run: func(s *Session) { halved(s, func(a *lab.Answer) { a.Broken, a.Cut = true, len(a.Body)/2 }) }},
				{Name: "a reset", Run: func(s *Session) {
					halved(s, func(a *lab.Answer) { a.Broken, a.Cut, a.Reset = true, len(a.Body)/2, true })
				}},
			},
		},
		{
			ID: "ERR-15", Level: Should, Tags: []string{"err", "retry"}, Title: "a slow answer is waited for",
			Requirement: "An answer that is on its way, slowly, is neither given up before the caller's deadline nor cut off by the end of an attempt.",
			Sources: []string{
				"https://github.com/AzureAD/microsoft-authentication-library-for-go/issues/634", "https://github.com/AzureAD/microsoft-authentication-library-for-go/pull/642",
			},
			Provokes: "The header of an answer comes after three seconds, or its body bit by bit, over three seconds.",
			Passes:   "the client gets a token",
			Cost:     Timed,
			Needs:    []driver.Capability{driver.IMDS},
			Known:    []string{"MSAL Go before 1.9.0: bodies of the managed identity endpoint were cut off (AzureAD/microsoft-authentication-library-for-go#634)"},
			Cases: []Case{
				{Name: "header of the token endpoint", Run: func(s *Session) { slowly(s, s.exchangeFault, lab.Slow(3*time.Second)) }},
				{Name: "body of the token endpoint", Run: func(s *Session) { slowly(s, s.exchangeFault, lab.Edit(dripping)) }},
				{Name: "body of IMDS", Run: func(s *Session) { slowly(s, s.identityFault, lab.Edit(dripping)) }},
			},
		},
		{
			ID: "ERR-16", Level: May, Tags: []string{"err", "sec"}, Title: "an answer without end is not read to its end",
			Requirement: "A client stops reading an answer that is far longer than any token (inferred).",
			Sources:     []string{"RFC 9110 section 17.5"},
			Provokes:    "64 MiB of blanks before the JSON of an answer.",
			Passes:      "less than 16 MiB are taken from the token endpoint's connection",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Known: []string{
				"azidentity 1.15.0, MSAL Go 1.10.1, @azure/identity 4.13.1 and 4.14.1, @azure/msal-node 7.2.1: not met (observed)",
				"azure-identity 1.27.0 and MSAL 1.39.0 for Python, azure-identity 1.18.2 and MSAL4J 1.26.0 for Java: not met (observed)",
			},
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = 60 * time.Second
				r := s.Fault(lab.Token, 1, lab.Edit(func(a *lab.Answer) { a.Endless = 64 << 20 }))
				s.Token()
				s.Armed(r)
				var most int64
				for _, x := range s.Exchanges(lab.Token) {
					most = max(most, x.Sent)
				}
				s.Want("read", most < 16<<20, "less than 16 MiB", "%d MiB", most>>20)
			}}},
		},
	}
}

// halved is an answer of which only a part arrives.
func halved(s *Session, change func(*lab.Answer)) {
	s.Patience = 40 * time.Second // for those that try again
	r := s.Fault(lab.Token, 1, lab.Edit(change))
	got := s.Token()
	s.Armed(r)
	whole := slices.ContainsFunc(s.Exchanges(lab.Token), func(x *lab.Exchange) bool { return x.Fault == "" && x.Issued() == got.Token })
	s.Want("token", !got.OK() || whole, "an error, or a token that came whole", "what there was of a token")
}

// dripping has the body of an answer take three seconds. A busy machine waits longer
// than it is told to, so that there are not many waits.
func dripping(a *lab.Answer) { a.Drip, a.Pieces = 100*time.Millisecond, 30 }

// slowly is an answer that takes three seconds.
func slowly(s *Session, fault func(int, lab.Act) *lab.Rule, do lab.Act) {
	r := fault(1, do)
	got := s.Token()
	s.Armed(r)
	s.WantToken(got)
}
