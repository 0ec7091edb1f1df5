package fakeentra

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/door"
)

// A succession is what Clouds share that take one another's place.
type succession struct {
	first  *Cloud       // has the doors and the certificates of all
	given  options      // of New
	front  *door.Router // what doors serve
	latest atomic.Pointer[Cloud]
	// clusters is what token proxies serve.
	clusters *door.Router

	resetting sync.Mutex // one Reset or Reload at a time, or two would add everything twice
	mu        sync.Mutex
	rings     map[string]*token.Ring // of issuers, by name
	hosts     map[string]bool        // those that doors stand for
}

func newSuccession(c *Cloud, given options) *succession {
	l := &succession{first: c, given: given, front: door.NewRouter(c.edge()), clusters: door.NewRouter(c.edge()),
		rings: map[string]*token.Ring{}, hosts: map[string]bool{}}
	l.pass(c)
	return l
}

// pass makes a Cloud answer at every door.
func (l *succession) pass(to *Cloud) {
	l.front.Become(to.router)
	l.clusters.Become(to.clusters)
	l.latest.Store(to)
}

// standFor notes that a door stands for a host, which must stay from then on.
func (l *succession) standFor(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if host != "" {
		l.hosts[host] = true
	}
}

// Reload returns a Cloud that another scenario file describes and that takes the
// place of c: whatever listens for c answers for it from now on, and at once. The
// name of the file is for messages. Requests that are being answered end as they
// began. c is not to be used any more, but for what is in flight.
//
// Signing keys, the journal, the certificate authority and open doors stay, so
// that tokens stay good. The clock stays unless the file says otherwise than the
// one before. Everything else is what the file says, also blobs and faults.
//
// It fails, and leaves everything as it is, if the file has problems, is of
// another national cloud, or lacks a host that a door stands for.
func (c *Cloud) Reload(name string, yaml []byte) (*Cloud, error) {
	l := c.line
	l.resetting.Lock()
	defer l.resetting.Unlock()
	old := l.latest.Load()
	next := &Cloud{options: l.given, number: old.number, line: l, generation: old.generation + 1}
	if err := WithScenarioFile(name, yaml).apply(&next.options); err != nil {
		return nil, err
	}
	now, moved := next.inherit(old)
	next.wire()
	faults := &fault.Plan{}
	next.clock, next.faults = stopped(now), faults
	err := next.populate()
	next.clock, next.faults = old.clock, old.faults
	if err == nil {
		err = next.replaces(old)
	}
	if err != nil {
		return nil, err
	}
	if moved {
		next.adjustable.Set(now)
	}
	next.faults.Become(faults)
	l.pass(next)
	next.adopt(old)
	return next, nil
}

// inherit takes over what stays. It returns the time, and whether the clock is
// to be moved to it.
func (c *Cloud) inherit(old *Cloud) (now time.Time, moved bool) {
	c.clock, c.adjustable = old.clock, old.adjustable
	c.settle()
	c.ring, c.journal, c.faults, c.keyFolder = old.ring, old.journal, old.faults, old.keyFolder
	if c.adjustable == nil || old.startsAt().Equal(c.startsAt()) {
		return c.clock.Now(), false
	}
	if c.startsAt().IsZero() {
		return time.Now(), true
	}
	return c.startsAt(), true
}

// startsAt is the time that the scenario file sets the clock to, if it does.
func (c *Cloud) startsAt() time.Time {
	if c.scenario == nil {
		return time.Time{}
	}
	return c.scenario.Clock
}

// stopped is a clock that shows one time.
type stopped time.Time

func (s stopped) Now() time.Time { return time.Time(s) }

// replaces fails if doors that are open could not stand for c.
func (c *Cloud) replaces(old *Cloud) error {
	if c.environment.Name != old.environment.Name {
		return fmt.Errorf("the cloud was %s and is %s now, whose names the certificates do not have; start again", old.environment.Name, c.environment.Name)
	}
	l := c.line
	l.mu.Lock()
	stand := slices.Sorted(maps.Keys(l.hosts))
	l.mu.Unlock()
	for _, name := range stand {
		was, present := old.imds.Host(name)
		is, stays := c.imds.Host(name)
		switch {
		case present && !stays:
			return fmt.Errorf("there is no host %q any more, which programs seem to run on; keep it, or start again", name)
		case present && was.Source != is.Source:
			return fmt.Errorf("the source of the host %q was %s and is %s now; start again", name, was.Source, is.Source)
		}
	}
	return nil
}

// Unvouched returns the host names that the certificate authority cannot vouch
// for, sorted: those of issuers that are younger than it is.
func (c *Cloud) Unvouched() []string {
	authority := c.CA()
	return slices.DeleteFunc(c.vouchedNames(), func(name string) bool { return slices.Contains(authority.PermittedDNSDomains, name) })
}

// etagSeed sets the ETags of blobs apart from those of Clouds before.
func (c *Cloud) etagSeed() string {
	if c.generation == 0 {
		return c.seed
	}
	return fmt.Sprintf("%s %d", c.seed, c.generation)
}
