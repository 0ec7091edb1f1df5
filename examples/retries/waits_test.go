package retries

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/fault"
)

// What the SDKs for Go do when IMDS fails, in no real time. Waits are what a
// client does at least, and at most with the jitter that it adds: azidentity
// 1.15.0 makes them 0.8 to 1.3 times as long.
func TestClientsRetryIMDSAsTheirVersionsDo(t *testing.T) {
	jittered := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d * 8 / 10, d * 13 / 10} }
	exactly := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d, d} }
	backoff := [][2]time.Duration{jittered(2 * time.Second), jittered(6 * time.Second), jittered(14 * time.Second), capped(25 * time.Second), capped(25 * time.Second), capped(25 * time.Second)}
	seconds := func(n int) [][2]time.Duration { return slices.Repeat([][2]time.Duration{exactly(time.Second)}, n) }
	for _, tc := range []struct {
		sdk   string
		fault fault.Rule
		want  [][2]time.Duration // shortest and longest wait before each further request
		ok    bool
	}{
		{"azidentity for Go", fault.Rule{Do: fault.Refuse("updating-404")}, backoff, false},
		{"azidentity for Go", fault.Rule{Do: fault.Refuse("restarting")}, backoff, false},
		{"azidentity for Go", fault.Rule{Do: fault.Refuse("updating-410"), For: 70 * time.Second}, backoff, true},
		{"azidentity for Go", fault.Rule{Do: fault.Respond{Status: 429, Header: http.Header{"Retry-After": {"4"}}}, Times: 2}, [][2]time.Duration{exactly(4 * time.Second), exactly(4 * time.Second)}, true},
		{"azidentity for Go", fault.Rule{Do: fault.Refuse("identity-not-found")}, nil, false},
		{"azidentity for Go", fault.Rule{Do: fault.Hang{}, Times: 1}, [][2]time.Duration{{time.Minute, time.Minute + 3*time.Second}}, true},
		{"MSAL Go", fault.Rule{Do: fault.Refuse("updating-404")}, seconds(2), false},
		{"MSAL Go", fault.Rule{Do: fault.Refuse("restarting")}, seconds(2), false},
		{"MSAL Go", fault.Rule{Do: fault.Refuse("updating-410"), For: 70 * time.Second}, seconds(2), false},
		{"MSAL Go", fault.Rule{Do: fault.Respond{Status: 429, Header: http.Header{"Retry-After": {"4"}}}, Times: 2}, seconds(2), true},
		{"MSAL Go", fault.Rule{Do: fault.Refuse("identity-not-found")}, nil, false},
		{"MSAL Go", fault.Rule{Do: fault.Hang{}, Times: 1}, [][2]time.Duration{exactly(time.Minute + time.Second)}, true},
	} {
		t.Run(tc.sdk+" "+fmt.Sprintf("%T%v", tc.fault.Do, tc.fault.Do), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, fakeentra.IMDS)
				tc.fault.Op = "imds.token"
				p.Inject(tc.fault)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				err := p.signIn(ctx, inGo[tc.sdk])
				if (err == nil) != tc.ok {
					t.Errorf("error %v, want one: %v", err, !tc.ok)
				}
				var waits []time.Duration
				for i, e := range p.Journal().Of("imds.token").Entries {
					if i > 0 {
						waits = append(waits, e.Time.Sub(p.Journal().Of("imds.token").Entries[i-1].Time))
					}
				}
				if !within(waits, tc.want, tc.ok && tc.fault.For > 0) {
					t.Errorf("waited %v before further requests, want %v", waits, tc.want)
				}
			})
		})
	}
}

// capped is the longest wait that azidentity permits itself, which jitter may
// shorten.
func capped(d time.Duration) [2]time.Duration { return [2]time.Duration{d * 8 / 10, d} }

// within reports whether waits are those that were wanted, or the first of them
// if a success may have come before the last.
func within(waits []time.Duration, want [][2]time.Duration, early bool) bool {
	if len(waits) > len(want) || len(waits) < len(want) && !early {
		return false
	}
	for i, d := range waits {
		if d < want[i][0] || d > want[i][1]+time.Millisecond {
			return false
		}
	}
	return true
}
