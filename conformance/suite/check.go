package suite

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// A Level says how much a requirement matters.
type Level string

// The levels. A failed MUST fails a run, a failed SHOULD is a warning unless the
// run is strict, and a failed MAY is for information.
const (
	Must   Level = "MUST"   // the exchange cannot be correct, or safe, without it
	Should Level = "SHOULD" // recommended by the vendor or by an RFC, or a hardening that a vendor shipped
	May    Level = "MAY"    // a matter of quality
)

// A Cost says how long a check takes.
type Cost string

// The costs.
const (
	Fast  Cost = "fast"  // under three seconds
	Timed Cost = "timed" // up to 15, most of which it waits
	Slow  Cost = "slow"  // up to two minutes, most of which it waits
)

// A Check is one requirement on clients, and how it is judged on the wire.
type Check struct {
	// ID is stable: it is never changed and never used again.
	ID          string
	Level       Level
	Tags        []string // core, retry, src, cache, tenant, err, cae, res, sec, tel
	Title       string
	Requirement string   // what a client has to do, in a sentence
	Sources     []string // where that is said
	Provokes    string   // what the suite does
	Passes      string   // the rule, on the wire
	Cost        Cost     // Fast if empty
	// Names says that the check needs the network as a whole, such as hosts that
	// no configuration names. Without it the check also runs where clients are
	// configured with URLs.
	Names bool
	// Process says that the check looks at what only a client in a process of its
	// own has, such as files that it leaves behind.
	Process bool
	// Alone says that the client's process serves no other case: the check is about
	// connections that break, and clients of one process may share those that an
	// earlier case has left.
	Alone bool
	// Lingers says that a client may go on by itself when a case is over, as those do
	// that renew tokens: its process serves no other case, if it has one of its own.
	Lingers bool
	Needs   []driver.Capability // besides those of the cases
	Known   []string            // releases that do not meet it, with evidence
	Cases   []Case
}

// A Case is one way in which a check is provoked. Each has a cloud of its own.
type Case struct {
	Name    string // empty where there is only one
	Needs   []driver.Capability
	Fixture func(*lab.Fixture) // changes what is in the cloud; may be nil
	Run     func(*Session)
	// After is called when the driver has ended, and may be nil. The driver's
	// process serves no other case then.
	After func(*Session)
}

// Area returns the first part of the ID.
func (c *Check) Area() string {
	area, _, _ := strings.Cut(c.ID, "-")
	return area
}

// AreaTitle says what an area is about, and nothing of one that there is not.
func AreaTitle(area string) string {
	return map[string]string{
		"IMDS": "Requests to IMDS", "IMDR": "Retries of IMDS", "SRC": "Other managed identity sources", "MIT": "The token of the managed identity",
		"AST": "The assertion at the token endpoint", "AUT": "Authorities, tenants and clouds", "CAC": "Caches", "ERR": "Errors and retries at the token endpoint",
		"CAE": "Claims challenges", "RES": "Use of the token", "NET": "Networks and TLS", "SEC": "Secrets", "TEL": "Telemetry",
	}[area]
}

// Has reports whether the check has a tag.
func (c *Check) Has(tag string) bool { return slices.Contains(c.Tags, tag) }

// Uses reports whether the check, or one of its cases, needs a capability.
func (c *Check) Uses(capability driver.Capability) bool {
	return slices.Contains(c.Needs, capability) ||
		slices.ContainsFunc(c.Cases, func(k Case) bool { return slices.Contains(k.Needs, capability) })
}

// needs returns what a driver has to be capable of for a case.
func (c *Check) needs(k Case) []driver.Capability { return slices.Concat(c.Needs, k.Needs) }

// areas are the parts of the catalogue, in the order in which they are listed.
// They are functions, so that programs that run no check do not pay for them.
var areas = []func() []*Check{
	imdsChecks,
	imdsRetryChecks,
	sourceChecks,
	identityTokenChecks,
	assertionChecks,
	authorityChecks,
	cacheChecks,
	failureChecks,
	claimsChecks,
	resourceChecks,
	networkChecks,
	secrecyChecks,
	telemetryChecks,
}

var catalogue = sync.OnceValue(func() []*Check {
	var all []*Check
	for _, area := range areas {
		checks := area()
		slices.SortFunc(checks, func(a, b *Check) int { return strings.Compare(a.ID, b.ID) })
		all = append(all, checks...)
	}
	return all
})

// Checks returns the catalogue, by area and number. The caller must not change
// the checks.
func Checks() []*Check { return slices.Clone(catalogue()) }

// Find returns the check with an ID, or nil.
func Find(id string) *Check {
	i := slices.IndexFunc(catalogue(), func(c *Check) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return catalogue()[i]
}

// Selection says which checks are wanted. Its zero value wants all.
type Selection struct {
	IDs    []string // patterns such as IMDS-* (see path.Match); nil means all
	Skip   []string // patterns of those that are not
	Tags   []string // at least one of them; nil means any
	Levels []Level  // nil means all
	Costs  []Cost   // nil means all
}

// Select returns the checks that are wanted. It fails for a pattern that is
// malformed or matches no check, and for an unknown tag, level or cost.
func Select(s Selection) ([]*Check, error) {
	for _, pattern := range slices.Concat(s.IDs, s.Skip) {
		if err := known(pattern); err != nil {
			return nil, err
		}
	}
	for _, tag := range s.Tags {
		if !slices.ContainsFunc(catalogue(), func(c *Check) bool { return c.Has(tag) }) {
			return nil, fmt.Errorf("no check has the tag %q; expected one of %s", tag, strings.Join(Tags(), ", "))
		}
	}
	for _, level := range s.Levels {
		if level != Must && level != Should && level != May {
			return nil, fmt.Errorf("there is no level %q; expected MUST, SHOULD or MAY", level)
		}
	}
	for _, cost := range s.Costs {
		if cost != Fast && cost != Timed && cost != Slow {
			return nil, fmt.Errorf("there is no cost %q; expected fast, timed or slow", cost)
		}
	}
	return slices.DeleteFunc(Checks(), func(c *Check) bool { return !s.wants(c) }), nil
}

func (s Selection) wants(c *Check) bool {
	return (s.IDs == nil || matches(s.IDs, c.ID)) && !matches(s.Skip, c.ID) &&
		(s.Tags == nil || slices.ContainsFunc(s.Tags, c.Has)) &&
		(s.Levels == nil || slices.Contains(s.Levels, c.Level)) &&
		(s.Costs == nil || slices.Contains(s.Costs, c.Takes()))
}

// Takes returns how long the check takes.
func (c *Check) Takes() Cost {
	if c.Cost == "" {
		return Fast
	}
	return c.Cost
}

func matches(patterns []string, id string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, id)
		return ok
	})
}

// known fails for a pattern that no check matches.
func known(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("%q is no pattern of check IDs; expected one such as IMDS-* or AST-1[345]", pattern)
	}
	if !slices.ContainsFunc(catalogue(), func(c *Check) bool { return matches([]string{pattern}, c.ID) }) {
		return fmt.Errorf("no check is called %q; list them with: fakeentra conform list", pattern)
	}
	return nil
}

// Tags returns all tags that there are.
func Tags() []string {
	var all []string
	for _, c := range catalogue() {
		all = append(all, c.Tags...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
