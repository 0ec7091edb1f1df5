package stage

import (
	"context"
	"errors"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// Auto is the first of several targets that this machine can have, which is known
// after [Auto.Hello].
type Auto struct {
	Targets []Target

	chosen int
	why    string
}

// Wiring implements [Target].
func (a *Auto) Wiring() string { return a.Targets[a.chosen].Wiring() }

// Why says why those before were not taken; it is empty if the first one was.
func (a *Auto) Why() string { return a.why }

// Hello implements [Target].
func (a *Auto) Hello(ctx context.Context, r driver.Request) (driver.Hello, error) {
	for {
		h, err := a.Targets[a.chosen].Hello(ctx, r)
		if !Unavailable(err) || a.chosen == len(a.Targets)-1 {
			return h, err
		}
		a.why = strings.TrimPrefix(err.Error(), errNotStarted.Error()+": ")
		a.chosen++
	}
}

// Unavailable reports whether an error says that a wiring is not to be had here.
func Unavailable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, sandbox.ErrUnavailable)
}

// Enter implements [Target].
func (a *Auto) Enter(ctx context.Context, l *lab.Lab, p Place) (Stage, error) {
	return a.Targets[a.chosen].Enter(ctx, l, p)
}

// Close implements [Target].
func (a *Auto) Close() error {
	var errs []error
	for _, t := range a.Targets {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}
