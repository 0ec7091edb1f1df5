package suite

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// passesDialect is the rule of the checks on how endpoints write times.
const passesDialect = "two exchanges get a token, and take no more requests for a token of the managed identity than two with usual answers do; where the driver says until when that token is good, that is not later, nor more than ten minutes before"

// written writes a time in a layout of package time.
func written(layout string) func(time.Time) any {
	return func(ends time.Time) any { return ends.UTC().Format(layout) }
}

// dialect is a case in which expires_on is written in some way. Where the usual
// answer has expires_in, it says the same.
func dialect(name string, write func(ends time.Time) any) Case { return dialectOf("", name, write) }

// dialectOf is a case in which answers to requests for a version of the protocol, or
// for any, are written in some way.
func dialectOf(version, name string, write func(ends time.Time) any) Case {
	return Case{Name: name, Run: func(s *Session) {
		control := s.Config
		control.Identity = identityOf(s.Second, control.Identity.Kind)
		usual := s.exchangeTwice(s.Open(control))
		var ends time.Time
		r := s.identityFault(0, func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
			ends = evening(x.At)
			set := map[string]any{"expires_on": write(ends)}
			a := next()
			if bytes.Contains(a.Body, []byte(`"expires_in"`)) {
				set["expires_in"] = strconv.Itoa(int(time.Until(ends).Seconds()))
			}
			return lab.Members(set)(x, func() *lab.Answer { return a })
		})
		if version != "" {
			r.When = func(x *lab.Exchange) bool { return x.Query().Get("api-version") == version }
		}
		began := time.Now()
		n := s.exchangeTwice(s.Default())
		if version != "" && r.Fired() == 0 && n > 0 {
			s.Skip("the client asks for another version of the protocol than " + version)
		}
		s.Armed(r)
		s.Want("cached", n <= usual, fmt.Sprintf("at most %d requests, as for a usual answer", usual), "%d", n)
		if s.Has(driver.MIToken) && r.Fired() > 0 {
			s.wantExpiry(ends, time.Since(began))
		}
	}}
}

// exchangeTwice has a client do two exchanges, and returns how many requests for a
// token of the managed identity they take.
func (s *Session) exchangeTwice(c *Client) int {
	before := len(s.requestsForIdentity())
	s.WantToken(c.Token())
	s.WantToken(c.Ask(driver.TokenRequest{Scopes: []string{otherScope}}))
	return len(s.requestsForIdentity()) - before
}

// wantExpiry expects a client that says until when the token of the managed
// identity is good to be right. It had so long to read it.
func (s *Session) wantExpiry(ends time.Time, took time.Duration) {
	got := s.Default().ManagedIdentityToken(s.Config.Audience)
	if !got.OK() || got.ExpiresOn == 0 {
		return
	}
	// One that counts from expires_in is late by as long as it took to read it, and one
	// may take off the margin by which it renews, which is five minutes in most SDKs. A
	// wrong time zone is off by fifteen at least, and AM for PM by twelve hours.
	const margin = 10 * time.Minute
	told := time.Unix(got.ExpiresOn, 0)
	met := !told.After(ends.Add(took+2*time.Second)) && !told.Before(ends.Add(-margin))
	s.Want("expiry", met, "an expiry of "+ends.UTC().Format(time.RFC3339)+", or up to ten minutes before", "%s", told.UTC().Format(time.RFC3339))
}

// evening is the next time that is neither before noon nor within the hour, so that
// a client that mixes up the halves of a day is seen at any time of it.
func evening(now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	t := time.Date(y, m, d, 20, 38, 57, 0, time.UTC)
	if t.Before(now.Add(time.Hour)) {
		t = t.AddDate(0, 0, 1)
	}
	return t
}

// olderDialects are the dates of the older protocol, at the sources that have or
// had it.
func olderDialects() []Case {
	var cases []Case
	for _, source := range []struct {
		is   fakeentra.Source
		need driver.Capability
	}{{fakeentra.AppService, driver.AppService}, {fakeentra.AzureML, driver.AzureML}} {
		for name, layout := range map[string]string{"with AM and PM": "1/2/2006 3:04:05 PM -07:00", "with 24 hours": "01/02/2006 15:04:05 -07:00"} {
			cases = append(cases, elsewhere(source.is, source.need, dialectOf("2017-09-01", string(source.need)+" "+name, written(layout))))
		}
	}
	return sortedCases(cases)
}

// elsewhere puts a case at a source that a driver need not know.
func elsewhere(source fakeentra.Source, need driver.Capability, k Case) Case {
	k.Needs = append(k.Needs, need)
	return at(source, k)[0]
}

// shortLived is a case in which the token is said to end in six seconds. Answers that
// are partial leave out one of the two ways to say so, which IMDS does not do: a
// client may refuse them.
func shortLived(name string, partial bool, say func(in string, on int64) map[string]any) Case {
	const life, later = 6 * time.Second, 7 * time.Second
	return Case{Name: name, Run: func(s *Session) {
		var mu sync.Mutex
		ends := map[string]time.Time{} // of tokens
		r := s.identityFault(0, func(x *lab.Exchange, next func() *lab.Answer) *lab.Answer {
			end, a := time.Now().Add(life), next()
			mu.Lock()
			defer mu.Unlock()
			ends[issued(a)] = end
			return lab.Members(say("6", end.Unix()))(x, func() *lab.Answer { return a })
		})
		first := s.Token()
		s.Armed(r)
		if !first.OK() && partial {
			s.Skip("the client takes no answer that leaves out one of expires_in and expires_on, so that it uses no token of one")
		}
		s.WantToken(first)
		s.Pause(later)
		asked := time.Now()
		s.WantToken(s.Ask(driver.TokenRequest{Scopes: []string{otherScope}}))
		mu.Lock()
		defer mu.Unlock()
		for _, x := range since(asked, s.Exchanges(lab.Token)) {
			end, ok := ends[x.Form().Get("client_assertion")]
			s.Want("again", !ok || end.After(asked), "a request for a new token before the next exchange", "an exchange with a token that ended %v before", asked.Sub(end).Round(time.Second))
		}
	}}
}

// sortedCases orders cases that were made from a map.
func sortedCases(cases []Case) []Case {
	slices.SortFunc(cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return cases
}
