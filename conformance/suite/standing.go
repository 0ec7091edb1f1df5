package suite

import (
	"fmt"
	"slices"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// A Standing says whether a client is at a level: whether it meets all checks that
// the level consists of.
type Standing struct {
	Level  string `json:"level"` // core, hardened, resilient or complete
	Checks int    `json:"checks"`
	// Gaps are checks about which nothing, or nothing new, can be said: those that
	// were skipped or inconclusive, but for sources of managed identity tokens
	// that the client does not know, and those that are expected not to be met.
	Gaps []string `json:"gaps,omitempty"`
	// Unmet are checks that are not met.
	Unmet []string `json:"unmet,omitempty"`
}

// Reached reports whether the client is at the level, perhaps with gaps.
func (s Standing) Reached() bool { return len(s.Unmet) == 0 && s.Checks > len(s.Gaps) }

// String is how the level may be called.
func (s Standing) String() string {
	switch {
	case !s.Reached():
		return s.Level + ": no"
	case len(s.Gaps) == 1:
		return s.Level + " (1 known gap)"
	case len(s.Gaps) > 0:
		return fmt.Sprintf("%s (%d known gaps)", s.Level, len(s.Gaps))
	}
	return s.Level
}

// levels are what clients can be at, with the checks that belong to them.
func levels() []struct {
	name    string
	belongs func(*Check) bool
} {
	tagged := func(c *Check, tags ...string) bool { return slices.ContainsFunc(tags, c.Has) }
	core := func(c *Check) bool { return c.Level == Must && tagged(c, "core", "res", "err") }
	return []struct {
		name    string
		belongs func(*Check) bool
	}{
		{"core", core},
		{"hardened", func(c *Check) bool { return core(c) || c.Level != May && tagged(c, "sec") }},
		{"resilient", func(c *Check) bool { return core(c) || c.Level != May && tagged(c, "retry", "cache") }},
		{"complete", func(c *Check) bool { return c.Level != May }},
	}
}

// Standings returns the standing at each level; none if checks were left out.
func Standings(r *Report) []Standing {
	if len(r.Results) < r.Suite.Checks || r.Shard != "" {
		return nil
	}
	var all []Standing
	for _, level := range levels() {
		s := Standing{Level: level.name}
		for _, result := range r.Results {
			c := Find(result.ID)
			if c == nil || !level.belongs(c) || result.Found() == Skip && c.foreign(r.Driver) {
				continue
			}
			s.Checks++
			switch result.Verdict {
			case Pass, XPass:
			case Skip, Inconclusive, XFail:
				s.Gaps = append(s.Gaps, c.ID)
			default:
				s.Unmet = append(s.Unmet, c.ID)
			}
		}
		all = append(all, s)
	}
	return all
}

// sources are the capabilities that are sources of managed identity tokens.
var sources = []driver.Capability{driver.IMDS, driver.AppService, driver.Arc, driver.ServiceFabric, driver.CloudShell, driver.AzureML, driver.TokenFile}

// foreign reports whether a check is about sources that a client does not know.
func (c *Check) foreign(h driver.Hello) bool {
	lacks := func(need driver.Capability) bool {
		return slices.Contains(sources, need) && !slices.Contains(h.Capabilities, need)
	}
	return !slices.ContainsFunc(c.Cases, func(k Case) bool { return !slices.ContainsFunc(c.needs(k), lacks) })
}
