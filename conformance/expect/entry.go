package expect

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// An entry is one expectation.
type entry struct {
	Check   string        `toml:"check"`
	Assert  string        `toml:"assert"`
	Case    string        `toml:"case"`
	Outcome suite.Verdict `toml:"outcome"`
	Reason  string        `toml:"reason"`
	Issue   string        `toml:"issue"`
	// Sometimes says that it is met by chance, such as where a client waits for a
	// time that it draws.
	Sometimes bool              `toml:"sometimes"`
	Until     *toml.LocalDate   `toml:"until"`
	When      map[string]string `toml:"when"`

	where    string
	checks   []*suite.Check // that it is about
	inactive bool           // the client is not one that it is about
	strange  string         // why that cannot be said
	used     bool           // it was needed, or was found not to be
	idle     string         // a check of which it said nothing, and why
}

// outcomes are what can be expected.
var outcomes = []suite.Verdict{suite.Fail, suite.Warn, suite.Info, suite.Skip, suite.Inconclusive, suite.Timeout, suite.Error}

// check finds the checks that an expectation is about, and says what is wrong with
// it. A draft may lack a reason, and have expired.
func (e *entry) check(now time.Time, draft bool) []string {
	var problems []string
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	e.checks = nil
	if e.Check == "" {
		wrong("it does not say which check it is about; give it a check, such as IMDS-10")
	} else if found, err := suite.Select(suite.Selection{IDs: []string{e.Check}}); err != nil {
		wrong("%v", err)
	} else {
		e.checks = found
	}
	if id, _, ok := strings.Cut(e.Assert, "."); e.Assert != "" && e.checks != nil && (!ok || !slices.ContainsFunc(e.checks, func(c *suite.Check) bool { return c.ID == id })) {
		wrong("assert is %q, which is no condition of the check %s; expected one such as %s.outcome", e.Assert, e.Check, e.checks[0].ID)
	}
	if e.Case != "" && e.checks != nil && !slices.ContainsFunc(e.checks, e.hasCase) {
		wrong("the check %s has no case %q; fakeentra conform explain %s lists those that it has", e.Check, e.Case, e.checks[0].ID)
	}
	if e.Outcome != "" && !slices.Contains(outcomes, e.Outcome) {
		wrong("outcome is %q; expected one of %s", e.Outcome, join(outcomes))
	}
	if strings.TrimSpace(e.Reason) == "" && !draft {
		wrong("the reason is empty; say why %s is not met", e.Check)
	}
	if u, err := url.Parse(e.Issue); e.Issue != "" && (err != nil || !strings.HasPrefix(u.Scheme, "http") || u.Host == "") {
		wrong("issue is %q; expected a URL", e.Issue)
	}
	if e.Until != nil && !draft && e.Until.AsTime(now.Location()).AddDate(0, 0, 1).Before(now) {
		wrong("it was expected until %s; see whether %s is met now, and give it another date if not", e.Until, e.Check)
	}
	return append(problems, e.checkWhen()...)
}

func (e *entry) hasCase(c *suite.Check) bool {
	return slices.ContainsFunc(c.Cases, func(k suite.Case) bool { return k.Name == e.Case })
}

// The keys of when.
const (
	whenWiring     = "wiring"
	whenVersion    = "version"
	whenDependency = "dependency:" // and a name
)

func (e *entry) checkWhen() []string {
	var problems []string
	for key, value := range e.When {
		name, dependency := strings.CutPrefix(key, whenDependency)
		switch {
		case key == whenWiring:
			if !slices.Contains(suite.Wirings(), value) {
				problems = append(problems, fmt.Sprintf("when.wiring is %q; expected one of %s", value, strings.Join(suite.Wirings(), ", ")))
			}
		case key == whenVersion, dependency && name != "":
			if _, ok := parseConstraint(value); !ok {
				problems = append(problems, fmt.Sprintf("when.%q is %q; expected versions, such as \"<8\" or \">=7.2, <8\"", key, value))
			}
		default:
			problems = append(problems, fmt.Sprintf("when has no key %q; expected wiring, version or dependency:NAME", key))
		}
	}
	slices.Sort(problems)
	return problems
}

// meet decides whether the expectation is about a client.
func (e *entry) meet(h driver.Hello, wiring string) {
	e.inactive, e.strange = false, ""
	for key, value := range e.When {
		switch name, _ := strings.CutPrefix(key, whenDependency); key {
		case whenWiring:
			e.inactive = e.inactive || wiring != value
		case whenVersion:
			e.compare("the client", h.Implementation.Version, value)
		default:
			i := slices.IndexFunc(h.Dependencies, func(d driver.Dependency) bool { return d.Name == name })
			if i < 0 {
				e.strange = fmt.Sprintf("the driver names no dependency %q; expected one of %s", name, dependencies(h))
				continue
			}
			e.compare(name, h.Dependencies[i].Version, value)
		}
	}
	e.inactive = e.inactive || e.strange != ""
}

func (e *entry) compare(what, version, wanted string) {
	v := parseVersion(version)
	if v == "" {
		e.strange = fmt.Sprintf("the version of %s is %q, which cannot be compared with %q", what, version, wanted)
		return
	}
	c, ok := parseConstraint(wanted)
	e.inactive = e.inactive || !ok || !c.holds(v)
}

func dependencies(h driver.Hello) string {
	var names []string
	for _, d := range h.Dependencies {
		names = append(names, d.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// about reports whether the expectation is about a check.
func (e *entry) about(id string) bool {
	ok, _ := path.Match(e.Check, id) // it was tried before
	return ok && !e.inactive
}

// covers reports whether the expectation is about something that was found.
func (e *entry) covers(f finding) bool {
	return (e.Case == "" || e.Case == f.in) && (e.Assert == "" || e.Assert == f.condition) && e.foresees(f.verdict)
}

// foresees reports whether a verdict is the one that is expected.
func (e *entry) foresees(v suite.Verdict) bool {
	if e.Outcome == "" {
		return v == suite.Fail || v == suite.Warn || v == suite.Info
	}
	return v == e.Outcome
}

func join(verdicts []suite.Verdict) string {
	var words []string
	for _, v := range verdicts {
		words = append(words, string(v))
	}
	return strings.Join(words, ", ")
}
