package stage

import (
	"context"
	"errors"
	"fmt"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// ErrUnavailable is wrapped by errors that say why a wiring is not to be had here.
// Errors of this package may wrap [sandbox.ErrUnavailable] instead, which says the
// same of netns.
var ErrUnavailable = errors.New("not available here")

// A Wiring is how drivers that are programs are led to labs.
type Wiring interface {
	// Name is what reports call it.
	Name() string
	// Lay makes the way from one process of a driver to what a front serves. Its
	// error wraps [ErrUnavailable] if this machine has no such wiring.
	Lay(*lab.Front) (Way, error)
}

// A Way leads one process of a driver to a front.
type Way interface {
	// Complete says in a configuration where things are for the process.
	Complete(*driver.Config)
	// Run runs the process to its end in a world, as [sandbox.Netns] does. It is
	// called once, with Signals and the three files set.
	Run(context.Context, sandbox.World, sandbox.Command) (sandbox.Result, error)
}

// A preparer is a [Wiring] with something to do before the first process of a driver
// and after the last one.
type preparer interface {
	// prepare may change what is executed, in which environment, and where files are.
	prepare(context.Context, *Process) error
	close() error
}

// An entered is a [Way] that takes time to be made for a world, which is none of the
// driver's.
type entered interface {
	enter(context.Context, sandbox.World) error
}

// placed is a Way on which things are elsewhere than in production.
type placed interface {
	Way
	// place is called once, before all else. It returns the variables of a process
	// that is to be in a lab, which may be nil, and may keep files in a folder.
	place(folder string, w sandbox.World, files []mount, of *lab.Lab, variables []string) ([]string, error)
	// locate returns a request with what it names where it is for the process.
	locate(driver.Request) driver.Request
	// Err says why something is nowhere.
	Err() error
	// strayed are hosts outside the lab that the process asked for so far.
	strayed() []string
	// close undoes place, if Run is not called.
	close()
}

// selective is a Wiring that does not have all places.
type selective interface {
	// covers fails with an [ErrUncovered] for those that it does not have.
	covers(*lab.Lab, Place) error
}

// cautious is a Wiring that does not keep drivers from everything.
type cautious interface{ caveats(*Process) []string }

// Caveats are what people have to know about the wiring of a target.
func Caveats(t Target) []string {
	switch t := t.(type) {
	case *Auto:
		return Caveats(t.Targets[t.chosen])
	case *Process:
		if w, ok := t.wired().(cautious); ok {
			return w.caveats(t)
		}
	}
	return nil
}

// Netns is the wiring in which a driver has a network and a file system of its own,
// with the names and addresses of production; see [sandbox.Netns].
type Netns struct{}

// Name implements [Wiring].
func (Netns) Name() string { return "netns" }

// Lay implements [Wiring].
func (Netns) Lay(*lab.Front) (Way, error) { return netns{}, nil }

// netns is the way of every process in a sandbox.
type netns struct{}

// Complete implements [Way].
func (netns) Complete(c *driver.Config) { c.Endpoints.Mode, c.Endpoints.CAFile = "netns", caFile }

// Run implements [Way].
func (netns) Run(ctx context.Context, w sandbox.World, c sandbox.Command) (sandbox.Result, error) {
	return sandbox.Netns(ctx, w, c)
}

// Missing is a wiring that has a name, and nothing else yet.
type Missing string

// Name implements [Wiring].
func (m Missing) Name() string { return string(m) }

// Lay implements [Wiring].
func (m Missing) Lay(*lab.Front) (Way, error) {
	return nil, fmt.Errorf("the wiring %s is %w yet; take another one with --wiring", string(m), ErrUnavailable)
}
