package suite

import (
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// secrecyChecks are about secrets (SEC).
func secrecyChecks() []*Check { return nil }

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
		text := strings.Join([]string{x.Target, headerText(x), string(x.Body)}, "\n")
		if found := s.spilled(text); len(found) > 0 {
			actual, met = strings.Join(found, " and ")+" in "+x.Method+" "+shorten(x.URL.Redacted(), 120), false
			break
		}
	}
	s.Want(name, met, "no secret in a request for "+join(ops), "%s", actual)
}

// headerText is the header of a request, a line each.
func headerText(x *lab.Exchange) string {
	var b strings.Builder
	_ = x.Header.Write(&b) // it cannot fail
	return b.String()
}
