package stage

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// Explicit is the wiring in which a driver has no sandbox, and is led to labs by the
// URLs in its configuration and environment. What it asks an HTTP proxy for instead is
// kept from it, and noted; nothing keeps it from what it asks the network for directly.
type Explicit struct{}

// Name implements [Wiring].
func (Explicit) Name() string { return "explicit" }

// Lay implements [Wiring].
func (Explicit) Lay(f *lab.Front) (Way, error) {
	return &explicit{newLocator(f, listenOnLoopback)}, nil
}

// covers implements [selective].
func (Explicit) covers(l *lab.Lab, p Place) error { return byAddress("explicit", l, p) }

// caveats implements [cautious].
func (Explicit) caveats(p *Process) []string {
	all := []string{"the driver has no sandbox: what it asks an HTTP proxy for does not leave this machine, but nothing keeps it from what it connects to by itself"}
	if p.MaxMemory > 0 && !sandbox.LimitsMemory {
		all = append(all, "its memory is not limited on this system")
	}
	return all
}

// listenOnLoopback returns a listener at a free port, and the port.
func listenOnLoopback() (net.Listener, int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	return l, l.Addr().(*net.TCPAddr).Port, nil
}

// explicit is the way of one process.
type explicit struct{ *locator }

// place implements [placed].
func (e *explicit) place(folder string, w sandbox.World, files []mount, of *lab.Lab, variables []string) ([]string, error) {
	e.files = files
	folder = filepath.Join(folder, "certificates")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	all, err := e.doors(folder)
	if err != nil {
		return nil, err
	}
	for _, endpoint := range w.Endpoints {
		if err := e.serve(strconv.Itoa(endpoint.Port), endpoint.Serve); err != nil {
			return nil, err
		}
	}
	if of != nil {
		all = append(all, e.environ(of, variables)...)
	}
	return all, nil
}

// Run implements [Way].
func (e *explicit) Run(ctx context.Context, _ sandbox.World, c sandbox.Command) (sandbox.Result, error) {
	defer e.close()
	c.Environ = nil // place has what it would say
	result, err := sandbox.Group(ctx, c)
	for _, host := range slices.Compact(slices.Sorted(slices.Values(e.strayed()))) {
		result.Leaks = append(result.Leaks, sandbox.Leak{Kind: "connect", Name: host, Count: 1})
	}
	return result, err
}
