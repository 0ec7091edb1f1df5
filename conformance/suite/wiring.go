package suite

import (
	"fmt"
	"slices"

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
func CommandWirings() []string { return []string{Auto, Netns, Docker, Explicit, Attach} }

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
		return Target{&stage.Auto{Targets: []stage.Target{c.process(stage.Netns{}), c.process(stage.Missing(Explicit))}}}
	}
	wirings := map[string]stage.Wiring{
		Netns: stage.Netns{}, Docker: &stage.Docker{Engine: c.Engine, Image: c.Image}, Explicit: stage.Missing(Explicit), Attach: stage.Missing(Attach),
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

// uncoveredBy returns the IDs of the results that a wiring could not have.
func uncoveredBy(wiring string, results []Result) []string {
	var ids []string
	for _, r := range results {
		if c := Find(r.ID); c != nil && c.uncovered(wiring) != "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
