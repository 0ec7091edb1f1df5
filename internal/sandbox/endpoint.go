package sandbox

import (
	"context"
	"errors"
	"net"
	"sync"
)

// An Endpoint is a port of a sandbox's own loopback at which a World answers,
// such as that of an agent which programs expect on their machine. Nothing of
// this machine that listens on the same port is touched, and a server of the
// program's cannot take it.
type Endpoint struct {
	Port int
	// Serve answers on a listener until ctx is done, and closes it.
	Serve func(ctx context.Context, l net.Listener) error
}

// serve answers on all listeners of a world until ctx is done, and closes them.
// Those of its endpoints are in their order.
func (w World) serve(ctx context.Context, https, http net.Listener, endpoints []net.Listener) error {
	errs := make([]error, len(endpoints)+1)
	var group sync.WaitGroup
	for i, l := range endpoints {
		group.Go(func() { errs[i] = w.Endpoints[i].Serve(ctx, l) })
	}
	errs[len(endpoints)] = w.Serve(ctx, https, http)
	group.Wait()
	return errors.Join(errs...)
}
