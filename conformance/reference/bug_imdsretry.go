package reference

import (
	"net/http"
	"time"
)

// imdsRetryKnobs change what the client does about retries of IMDS (IMDR).
type imdsRetryKnobs struct {
	Delay     func(n, status int, h http.Header, now time.Time) (time.Duration, bool) // in place of the right one
	Retryable func(status int) bool                                                   // in place of the source's
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

func imdsRetryBugs() []*Bug { return nil }
