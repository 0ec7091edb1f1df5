package imds

import (
	"slices"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// The limits for one virtual machine (imds, section Rate limiting).
const (
	generalRate  = 5  // requests a second in all categories but identity
	identityRate = 20 // requests a second in the category identity
	identityRuns = 5  // requests at the same time in the category identity
)

// A limiter counts the requests of hosts whose rate is limited. That the second
// is any second, and that what was refused does not count, is inferred.
type limiter struct {
	mu    sync.Mutex
	hosts map[string]*meter
}

// A meter is what one host has asked lately, by the cloud's clock.
type meter struct {
	general, identity []time.Time
	running           int // requests in the category identity that are not answered yet
}

// limited returns the route of a request, or one that refuses it. It is asked
// before faults delay the request, which would hide that it is in flight.
func (s *Service) limited(r *edge.Request, route *edge.Route) *edge.Route {
	host, _ := s.Host(r.Caller.Host)
	if !host.Machine.RateLimits || s.tableOf(r) != s.tables[IMDS] {
		return route
	}
	no := s.limiter.admit(r, !plainErrors(r.URL.Path))
	if no == nil {
		return route
	}
	refusing := *route
	refusing.Do = func(r *edge.Request) edge.Response { return refuse(r, no) }
	return &refusing
}

func (l *limiter) admit(r *edge.Request, identity bool) *refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.hosts[r.Caller.Host]
	if m == nil {
		m = &meter{}
		l.hosts[r.Caller.Host] = m
	}
	if !identity {
		return count(&m.general, r.Now, generalRate)
	}
	if m.running == identityRuns {
		return because("throttled", "%d token requests of %s are being answered; no more are at the same time", identityRuns, r.Caller.Host)
	}
	if no := count(&m.identity, r.Now, identityRate); no != nil {
		return no
	}
	m.running++
	r.Finally(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		m.running--
	})
	return nil
}

// count lets a request pass if there were fewer than most in the second up to
// now. What is later than now was counted before the clock was set back.
func count(passed *[]time.Time, now time.Time, most int) *refusal {
	recent := slices.DeleteFunc(*passed, func(t time.Time) bool { return t.After(now) || now.Sub(t) >= time.Second })
	if len(recent) == most {
		*passed = recent
		return because("throttled", "there were %d requests in the last second, which is the limit; wait, and back off exponentially", most)
	}
	*passed = append(recent, now)
	return nil
}

func (l *limiter) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts = map[string]*meter{}
}
