package suite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// A BrokenDriver is the error of a run that was stopped because nothing could be
// said about the client: its driver did not say who it is, or failed at the first
// request several times in a row.
type BrokenDriver struct{ Err error }

// Error says how it failed.
func (b *BrokenDriver) Error() string { return b.Err.Error() }

// Unwrap returns how it failed.
func (b *BrokenDriver) Unwrap() error { return b.Err }

// maxBroken is after how many failures in a row a run is stopped.
const maxBroken = 3

// A breaker is a target that stops a run when drivers fail before they have opened
// a session, time after time.
type breaker struct {
	stage.Target
	stop context.CancelCauseFunc

	mu     sync.Mutex
	failed int
}

// Enter implements [stage.Target].
func (b *breaker) Enter(ctx context.Context, l *lab.Lab, p stage.Place) (stage.Stage, error) {
	s, err := b.Target.Enter(ctx, l, p)
	if err != nil {
		return nil, err
	}
	return broken{s, b}, nil
}

// broken is a stage that tells a breaker of the first request.
type broken struct {
	stage.Stage
	*breaker
}

// Spent is how long the client took, where that is not how long the answer took.
func (s broken) Spent() time.Duration {
	if s, ok := s.Stage.(interface{ Spent() time.Duration }); ok {
		return s.Spent()
	}
	return -1
}

// Do implements [stage.Stage].
func (s broken) Do(ctx context.Context, r driver.Request) (driver.Answer, error) {
	a, err := s.Stage.Do(ctx, r)
	if r.Op == driver.OpOpen || err == nil {
		s.count(err)
	}
	return a, err
}

func (b *breaker) count(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failed = 0
		return
	}
	b.failed++
	if b.failed == maxBroken {
		b.stop(&BrokenDriver{fmt.Errorf("%d times in a row: %w", maxBroken, err)})
	}
}
