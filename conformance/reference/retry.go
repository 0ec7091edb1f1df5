package reference

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest wait that a server may ask for.
const maxRetryAfter = time.Minute

// retryAfter reads the header Retry-After, in seconds or as a date (RFC 9110
// section 10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now)), true
	}
	return 0, false
}

// pause waits, unless the caller gives up.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// IMDS is tried again after one, two, four ... seconds, as MSAL does (Microsoft's page
// permits less), five times, or for 70 s when it says that it is gone, since it is being
// updated then.
const (
	retries     = 5
	goneRetries = 8
	longest     = 16 * time.Second
	tryTimeout  = 10 * time.Second
)

// retryable reports whether IMDS may answer better later.
func retryable(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone || status == http.StatusTooManyRequests || status >= 500
}

// delay returns how long to wait after the n-th failure, from 0; ok is false when
// there is no further attempt.
func delay(n, status int, h http.Header, now time.Time) (d time.Duration, ok bool) {
	limit := retries
	if status == http.StatusGone {
		limit = goneRetries
	}
	if n >= limit {
		return 0, false
	}
	d = min(time.Second<<n, longest)
	if after, known := retryAfter(h, now); known {
		if after > maxRetryAfter {
			return 0, false
		}
		d = max(d, after)
	}
	return d, true
}
