// Package clock tells the time of a cloud.
package clock

import (
	"sync/atomic"
	"time"
)

// A Clock tells the time. Implementations must allow calls from several
// goroutines.
type Clock interface {
	Now() time.Time
}

// Adjustable is a clock that runs at the pace of [time.Now] and can be moved.
// Its zero value shows the present. Inside testing/synctest it follows the
// bubble's time, because it keeps an offset and no state of its own.
//
// All methods may be called from several goroutines.
type Adjustable struct {
	offset atomic.Int64 // nanoseconds ahead of time.Now
}

// Now returns the adjusted time in UTC.
func (a *Adjustable) Now() time.Time {
	return time.Now().Add(time.Duration(a.offset.Load())).UTC()
}

// Advance moves the clock by d, which may be negative.
func (a *Adjustable) Advance(d time.Duration) { a.offset.Add(int64(d)) }

// Set makes the clock show t now and run on from there.
func (a *Adjustable) Set(t time.Time) { a.offset.Store(int64(time.Until(t))) }

// Offset returns how far the clock is ahead of the host's time.
func (a *Adjustable) Offset() time.Duration { return time.Duration(a.offset.Load()) }
