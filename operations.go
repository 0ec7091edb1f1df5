package fakeentra

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// Inject arms fault rules. Rules are tried in the order they were added. It
// panics when a rule names an operation that does not exist, or nothing to do.
func (c *Cloud) Inject(rules ...fault.Rule) {
	must(c.inject(rules...))
}

func (c *Cloud) inject(rules ...fault.Rule) error {
	for _, r := range rules {
		if err := r.Check(c.hasOperation); err != nil {
			return err
		}
		if code, ok := r.Do.(fault.Refuse); ok && !c.refuses(r.Op, string(code)) {
			return fmt.Errorf("fault %q: %s has no refusal %q; expected one of its service, such as those that the documentation of package fault lists", cmp.Or(r.Name, "refuse "+string(code)), r.Op, code)
		}
	}
	c.faults.Add(rules...)
	return nil
}

func (c *Cloud) hasOperation(op journal.Op) bool {
	return slices.ContainsFunc(c.Operations(), func(o Operation) bool { return o.Op == op })
}

// services returns the emulators, in the order of documentation.
func (c *Cloud) services() []edge.Service {
	return []edge.Service{c.imds, c.sts, c.blob, c.issuers, c.kubernetes, c.tokenProxy, c.runners}
}

// refuses reports whether the service of an operation has a refusal.
func (c *Cloud) refuses(op journal.Op, code string) bool {
	for _, s := range c.services() {
		if slices.ContainsFunc(s.Routes(), func(r edge.Route) bool { return r.Op == op }) {
			return edge.Refuses(s, code)
		}
	}
	return false
}

// An Operation is something that can be asked of a Cloud. Fault rules and the
// journal name operations by Op.
type Operation struct {
	Op       journal.Op
	Method   string // several are separated by a space
	Path     string
	Fidelity string // faithful, approximate or stub
	Source   string // where the behaviour is documented or was observed
}

// Operations returns all operations, service by service.
func (c *Cloud) Operations() []Operation {
	routes := c.router.Routes()
	for _, s := range slices.Backward(c.services()) {
		routes = slices.Concat(s.Routes(), routes)
	}
	out := make([]Operation, 0, len(routes))
	for _, r := range routes {
		out = append(out, Operation{r.Op, r.Method, r.Path, string(r.Fidelity), r.Source})
	}
	return out
}

// everyOp lists the operations that any Cloud has, so that a scenario's faults
// can be checked before there is one.
var everyOp = sync.OnceValue(func() []journal.Op {
	c := &Cloud{options: options{environment: AzurePublic}}
	c.settle()
	c.found()
	c.wire()
	var ops []journal.Op
	for _, o := range c.Operations() {
		ops = append(ops, o.Op)
	}
	return ops
})
