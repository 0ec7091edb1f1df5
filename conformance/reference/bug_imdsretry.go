package reference

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// imdsRetryKnobs change what the client does about retries of IMDS (IMDR).
type imdsRetryKnobs struct {
	Delay     func(n, status int, h http.Header, now time.Time) (time.Duration, bool) // in place of the right one
	Retryable func(status int) bool                                                   // in place of the source's
	Vague     bool                                                                    // an error of the server is not told
	Stampede  chan struct{}                                                           // nobody waits for others any more once it is closed
}

// delay returns how long to wait after the n-th failure.
func (m *managedIdentity) delay(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
	if m.Delay != nil {
		return m.Delay(n, status, h, now)
	}
	return delay(n, status, h, now)
}

// retryable reports whether an endpoint is asked again after a status.
func (m *managedIdentity) retryable(src source, status int) bool {
	if m.Retryable != nil {
		return m.Retryable(status)
	}
	return src.retryable(status)
}

func imdsRetryBugs() []*Bug {
	return []*Bug{
		{
			Check: "IMDR-01", What: "takes 404 of IMDS for the last word",
			Break: func(k *knobs) {
				k.Retryable = func(status int) bool { return retryable(status) && status != http.StatusNotFound }
			},
		},
		{
			Check: "IMDR-02", What: "waits less the second time that IMDS is busy",
			Break: func(k *knobs) {
				k.whenBusy(func(n int) time.Duration { return max(time.Second, (5-4*time.Duration(n))*time.Second) })
			},
		},
		{
			Check: "IMDR-02", What: "waits for half a second each time that IMDS is busy",
			Break: func(k *knobs) { k.whenBusy(func(int) time.Duration { return time.Second / 2 }) },
		},
		{
			Check: "IMDR-03", What: "waits as it likes when Retry-After is a number",
			Break: func(k *knobs) { k.deafTo(func(value string) bool { _, err := strconv.Atoi(value); return err == nil }) },
		},
		{
			Check: "IMDR-04", What: "reads Retry-After as a number only",
			Break: func(k *knobs) { k.deafTo(func(value string) bool { _, err := strconv.Atoi(value); return err != nil }) },
		},
		{
			Check: "IMDR-05", What: "does not wait at all for a Retry-After that is negative",
			Break: func(k *knobs) {
				k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
					if strings.HasPrefix(h.Get("Retry-After"), "-") {
						return 0, n < 20
					}
					return delay(n, status, h, now)
				}
			},
		},
		{
			Check: "IMDR-06", What: "waits no longer for 410 than for other failures",
			Break: func(k *knobs) {
				k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
					if status == http.StatusGone {
						status = http.StatusNotFound
					}
					return delay(n, status, h, now)
				}
			},
		},
		{
			Check: "IMDR-07", What: "asks again half a second after a 503",
			Break: func(k *knobs) {
				k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
					d, more := delay(n, status, h, now)
					if status == http.StatusServiceUnavailable {
						d /= 2
					}
					return d, more
				}
			},
		},
		{
			Check: "IMDR-08", What: "asks again after a 401",
			Break: func(k *knobs) {
				k.Retryable = func(status int) bool { return retryable(status) || status == http.StatusUnauthorized }
			},
		},
		{
			Check: "IMDR-09", What: "does not say what IMDS answered",
			Break: func(k *knobs) { k.Vague = true },
		},
		{
			Check: "IMDR-10", What: "tries three times in each of two layers",
			Break: func(k *knobs) {
				k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
					if status != http.StatusInternalServerError {
						return delay(n, status, h, now)
					}
					d, _ := delay(n%3, status, h, now)
					return d, n < 3*3-1
				}
			},
		},
		{
			Check: "IMDR-11", What: "takes a broken connection for the last word",
			Break: func(k *knobs) {
				k.onWire(toIdentity, func(next http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						resp, err := next.RoundTrip(r)
						if err != nil && r.Context().Err() == nil {
							err = errors.New(err.Error()) // of no kind that is known to pass
						}
						return resp, err
					})
				})
			},
		},
		{
			Check: "IMDR-12", What: "has every caller ask on its own once IMDS is busy",
			Break: func(k *knobs) {
				k.Stampede = make(chan struct{})
				k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
					if status == http.StatusTooManyRequests && n == 0 {
						k.stampede()
					}
					return delay(n, status, h, now)
				}
			},
		},
		{
			Check: "IMDR-12", What: "has callers ask on their own, until one of them hears that IMDS is busy",
			Also:  []string{"CAC-07"},
			Break: func(k *knobs) { k.allUntilBusy() },
		},
	}
}

// whenBusy changes how long the client waits after the n-th 429, from 0, that does not
// say it.
func (k *knobs) whenBusy(wait func(n int) time.Duration) {
	k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
		d, more := delay(n, status, h, now)
		if status == http.StatusTooManyRequests && h.Get("Retry-After") == "" {
			d = wait(n)
		}
		return d, more
	}
}

// allUntilBusy has callers ask on their own, one after the other, and fails those who
// would ask while another one has been told that IMDS is busy.
func (k *knobs) allUntilBusy() {
	k.NoSingleFlight = true
	var busy atomic.Bool
	k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
		if status == http.StatusTooManyRequests {
			busy.Store(true)
		}
		return delay(n, status, h, now)
	}
	var callers atomic.Int64
	k.onIdentity(func(_ *managedIdentity, next identityAsker) identityAsker {
		return func(ctx context.Context, resource, claims string) (identityToken, error) {
			before := callers.Add(1) - 1
			defer callers.Add(-1)
			if err := pause(ctx, time.Duration(before)*20*time.Millisecond); err != nil {
				return identityToken{}, err
			}
			if busy.Load() {
				return identityToken{}, failed(driver.Network, "IMDS is busy")
			}
			defer busy.Store(false)
			return next(ctx, resource, claims)
		}
	})
}

// deafTo takes no notice of some values of Retry-After.
func (k *knobs) deafTo(value func(string) bool) {
	k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
		if value(h.Get("Retry-After")) {
			h = http.Header{}
		}
		return delay(n, status, h, now)
	}
}

// stampede has callers wait for others no more.
func (k *knobs) stampede() {
	select {
	case <-k.Stampede:
	default:
		close(k.Stampede)
	}
}
