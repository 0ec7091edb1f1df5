package suite

import (
	"fmt"
	"slices"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// The ways in which clients are led to the suite, as [Report.Wiring] names them,
// and one that stands for the first that this machine can have.
const (
	Netns    = "netns"    // in a sandbox with production's names and addresses
	Docker   = "docker"   // in a container, likewise
	Explicit = "explicit" // by URLs in the driver's configuration
	Attach   = "attach"   // by URLs, and started by hand
	Memory   = "memory"   // in the suite's own process
	Auto     = "auto"     // Netns, or else Explicit
)

// Wirings lists the ways in which clients are led to the suite.
func Wirings() []string { return []string{Netns, Docker, Explicit, Attach, Memory} }

// CommandWirings lists what [Command.Wiring] can be.
func CommandWirings() []string { return []string{Auto, Netns, Docker, Explicit} }

// WithURLs returns the target of [InProcess] for a driver that is led to the suite by
// the URLs in its configuration, as in the wiring [Explicit].
func WithURLs(t Target) Target {
	if m, ok := t.Target.(*stage.Memory); ok {
		own := *m
		own.Explicit = true
		return Target{&own}
	}
	return t
}

// IsUnavailable reports whether an error of [Run] says that this machine cannot
// have the wiring.
func IsUnavailable(err error) bool { return stage.Unavailable(err) }

// Process returns the target of a driver in a process of its own. Where it is to be
// in a sandbox, the program must be one that calls sandbox.Child. Errors of [Run]
// are as [IsUnavailable] says where this machine does not have the wiring. It panics
// for one that is none of [CommandWirings].
func Process(c Command) Target {
	if !slices.Contains(CommandWirings(), c.wiring()) {
		panic(fmt.Sprintf("there is no wiring %q for a program", c.Wiring))
	}
	if c.Wiring == Auto {
		return Target{&stage.Auto{Targets: []stage.Target{c.process(stage.Netns{}), c.process(stage.Explicit{})}}}
	}
	wirings := map[string]stage.Wiring{
		Netns: stage.Netns{}, Docker: &stage.Docker{Engine: c.Engine, Image: c.Image}, Explicit: stage.Explicit{},
	}
	return Target{c.process(wirings[c.wiring()])}
}

func (c Command) wiring() string {
	if c.Wiring == "" {
		return Netns
	}
	return c.Wiring
}

func (c Command) process(w stage.Wiring) *stage.Process {
	return &stage.Process{Path: c.Path, Args: c.Args, Wired: w, MaxMemory: c.MaxMemory, Scale: c.Scale, Inspect: c.Inspect}
}

// A Remote is a driver that others started, and that answers over HTTP: each request is
// the body of a POST to the path /fcd of its URL, and its answer that of the response.
type Remote struct {
	URL string // such as http://127.0.0.1:4711
	// Ports is the first of the ports of loopback that the endpoints get; free ones
	// if 0.
	Ports int
	// Scale and Inspect are as in [Command].
	Scale   float64
	Inspect func(op driver.Op, request, answer []byte) error
}

// Remotely returns the target of a driver that others started, in the wiring [Attach].
// One case runs at a time. Errors of [Run] are as [IsUnavailable] says where the ports
// are taken.
func Remotely(r Remote) Target {
	return Target{&stage.Attached{URL: r.URL, Ports: r.Ports, Scale: r.Scale, Inspect: r.Inspect}}
}

// uncovered says why a wiring cannot have a check; it is empty if it can.
func (c *Check) uncovered(wiring string) string {
	switch {
	case wiring == Memory && c.Process:
		return "the client has no process of its own"
	case (wiring == Explicit || wiring == Attach) && c.Names:
		return fmt.Sprintf("the wiring %s cannot have it: it needs a network with production's names, as netns has", wiring)
	case (wiring == Explicit || wiring == Attach) && c.Process:
		return fmt.Sprintf("the wiring %s cannot have it: it looks at files and programs of a machine of its own, as netns has", wiring)
	}
	return ""
}

// Covered returns the checks that a wiring can have.
func Covered(wiring string) []*Check {
	return slices.DeleteFunc(Checks(), func(c *Check) bool { return c.uncovered(wiring) != "" })
}

// Uncovered returns the IDs of the checks that a wiring could not have: in no case, and
// in some.
func Uncovered(results []Result) (all, some []string) {
	for _, r := range results {
		n := 0
		for _, k := range r.Cases {
			if k.Uncovered {
				n++
			}
		}
		switch {
		case n == 0:
		case n == len(r.Cases):
			all = append(all, r.ID)
		default:
			some = append(some, r.ID)
		}
	}
	return all, some
}
