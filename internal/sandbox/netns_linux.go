package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Netns runs a command in a network and a file system of its own: 169.254.169.254
// and one address for all emulated names are on its loopback interface, every
// other address refuses connections and is a leak, and its /etc has another
// resolver and the certificate of the world in every trust store. Nothing is
// written to the disk. The kernel removes it all with the last process inside.
//
// The command runs as the same user as this process. It has no capabilities, or,
// if the user is root, all but those that could undo the sandbox. If it
// listens on all addresses, as on 0.0.0.0, it reaches itself at those outside.
//
// When ctx is done the command is killed with all processes that it started, and
// so it is when this process is killed. What it leaves running when it ends by
// itself stays in its network. It must be called by a program that calls
// [Child]. Errors are as [ErrUnavailable] says.
func Netns(ctx context.Context, w World, c Command) (Result, error) {
	var s *supervisor
	if c.Signals == nil {
		s = newSupervisor()
		defer s.stop()
	}
	// The parent's death kills the child (prctl(2), PR_SET_PDEATHSIG), but the
	// parent is this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	published, err := listenPublished(c.Publish)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(published)
	if s != nil {
		s.ready()
	}
	n, err := startNetns(w, c)
	if err != nil {
		return Result{}, err
	}
	done, cancel := context.WithCancel(ctx)
	defer n.end(cancel)
	undo := context.AfterFunc(ctx, n.child.kill)
	defer undo()
	if err := n.serve(done, w, c, published); err != nil {
		return Result{}, err
	}
	if err := n.execute(c.Path); err != nil {
		return Result{}, err
	}
	n.group.Go(func() { guarded{network: n.network, folders: c.Temporary}.keep(ctx, done) })
	if c.Began != nil {
		c.Began(n.programs)
	}
	var result Result
	if s != nil {
		result.Status = s.wait(n.child)
	} else {
		result = n.guide(c)
	}
	n.end(cancel)
	result.Leaks = n.leaks.list()
	return result, n.served
}

// A netns is a child in its namespaces, seen from outside.
type netns struct {
	child   *child
	network string       // that it is in
	plan    *plan        // of the child
	parent  int          // end of the socket to the child
	inside  sockets      // made by the child in its network, for this process to serve on
	maker   *socketMaker // nil if nothing is published
	leaks   leaks
	group   sync.WaitGroup // what answers for the child
	served  error          // why the world answered no more
	ended   bool
	lasting bool       // others come after it in its network
	doors   []*os.File // if it is
}

// shut makes place for the doors of others: those that were accepted at are closed
// by several goroutines, and nobody knows when.
func (n *netns) shut() {
	for _, d := range n.doors {
		if d != nil {
			_ = unix.Shutdown(int(d.Fd()), unix.SHUT_RDWR) // it fails for datagrams
			_ = d.Close()
		}
	}
	n.doors = nil
}

// sockets are made by the child in its network, for the parent to serve on.
type sockets struct {
	dns                 net.PacketConn
	dnsTCP, https, http net.Listener
	relayed             []net.Listener // one for each address that is relayed
	endpoints           []net.Listener
	watched             []*os.File
}

// startNetns returns a child that is ready to become the command.
func startNetns(w World, c Command) (*netns, error) {
	c.Trusted = c.trusted()
	etc, err := etcFiles(w.CA, c.Trusted)
	if err != nil {
		return nil, err
	}
	n, err := tryNetns(w, c, etc, true)
	if failed, ok := errors.AsType[*setupError](err); ok && failed.step == stepOverlay {
		n, err = tryNetns(w, c, etc, false)
	}
	if failed, ok := errors.AsType[*setupError](err); ok {
		return nil, unavailable(failed.step, failed.err)
	}
	return n, err
}

// tryNetns fails with a [setupError] if the machine is why.
func tryNetns(w World, c Command, etc map[string][]byte, overlaid bool) (*netns, error) {
	n := &netns{plan: newPlan(), parent: -1}
	asked, err := n.prepare(w, c, etc, overlaid)
	if err == nil {
		n.child, err = n.plan.fork(unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS)
	}
	n.plan.release()
	if err == nil {
		err = n.setUp(w, c, asked)
	}
	if err != nil {
		return nil, n.giveUp(err)
	}
	return n, nil
}

// prepare plans how a child in new namespaces becomes the command.
func (n *netns) prepare(w World, c Command, etc map[string][]byte, overlaid bool) (asked []request, err error) {
	p := n.plan
	if n.parent, p.socket, err = p.connect(); err != nil {
		return nil, err
	}
	p.follow(n.parent)
	if c.Signals != nil {
		p.add("lead a process group", unix.SYS_SETPGID, 0, 0)
	}
	if err := p.addAddresses(w.Metadata); err != nil {
		return nil, err
	}
	if err := p.changeFiles(etc, overlaid, w.Mounts); err != nil {
		return nil, err
	}
	asked = p.askKernel(w)
	if len(w.IPv6) > 0 {
		p.awaitAddress6()
	}
	p.openWatches()
	for _, d := range doorsOf(w, c) {
		p.openDoor(d, false)
	}
	p.dropCapabilities()
	if len(c.Publish) > 0 {
		if n.maker, err = p.startMaker(); err != nil {
			return nil, err
		}
	}
	p.handOver()
	p.await(wordServed)
	return asked, p.become(c)
}

// setUp lets the child do it, as far as it hands its sockets over.
func (n *netns) setUp(w World, c Command, asked []request) error {
	var err error
	if n.network, err = n.child.settle(); err != nil {
		return err
	}
	return n.takeOver(w, c, asked)
}

// takeOver lets a child go on that is in its namespaces, and takes what it hands
// over.
func (n *netns) takeOver(w World, c Command, asked []request) error {
	if _, err := unix.Write(n.parent, []byte(wordSettled)); err != nil {
		return &setupError{"reach the sandbox", err}
	}
	files, err := n.receive()
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			_ = f.Close() // which is harmless if it is nil
		}
	}()
	if n.lasting {
		n.doors = slices.Clone(files[1+watches:])
		defer clear(files[1+watches:])
	}
	answers, watched, doors := files[0], files[1:1+watches], files[1+watches:]
	for _, r := range asked {
		if err := r.granted(int(answers.Fd())); err != nil {
			return err
		}
	}
	if err := n.inside.adopt(doors, w, c); err != nil {
		return err
	}
	for i, f := range watched {
		if f != nil {
			n.inside.watched = append(n.inside.watched, f)
			watched[i] = nil // it stays open
		}
	}
	return nil
}

// receive takes over the sockets of the child, which are nil where it did without.
func (n *netns) receive() ([]*os.File, error) {
	text, files, err := receiveFiles(n.parent)
	if err == nil && len(text) == 0 {
		err = errEnded
	}
	if err != nil {
		return nil, &setupError{"set up the sandbox", err}
	}
	report, files := n.plan.received(text, files)
	if n.maker != nil && report.maker != 0 {
		n.maker.process = &child{pid: int(report.maker)}
	}
	if report.move >= 0 {
		return nil, &setupError{n.plan.moves[report.move].purpose, unix.Errno(report.errno)}
	}
	return files, nil
}

// errEnded is what a child says that says nothing.
var errEnded = errors.New("it ended")

// giveUp ends a child that could not be set up. One that was killed says nothing
// of what is available.
func (n *netns) giveUp(err error) error {
	ended := errors.Is(err, errEnded)
	if n.child != nil {
		if !ended {
			n.child.kill()
		}
		if w := n.child.wait(); w.Signaled() && ended {
			err = fmt.Errorf("the sandbox was killed while it was set up: %v", w.Signal())
		}
	}
	n.maker.close()
	_ = unix.Close(n.parent)
	return err
}

// serve begins to answer for the child.
func (n *netns) serve(ctx context.Context, w World, c Command, published []net.Listener) error {
	resolver := newResolver(w.Knows, &n.leaks)
	resolver.six = w.IPv6
	resolver.real = hostAddresses(outlets(c.Egress))
	n.group.Go(func() { (&watch{n.inside.watched, &n.leaks}).run(ctx) })
	n.group.Go(func() { resolver.serve(ctx, n.inside.dns, n.inside.dnsTCP) })
	n.group.Go(func() {
		n.served = w.serve(ctx, n.inside.https, n.inside.http, n.inside.endpoints)
	})
	for i, r := range c.relays() {
		n.group.Go(func() { Relay(ctx, n.inside.relayed[i], r.dial) })
	}
	for _, l := range published {
		n.group.Go(func() { Relay(ctx, l, n.maker.to(l.Addr())) })
	}
	return ctx.Err()
}

// execute lets the child become the command.
func (n *netns) execute(path string) error {
	if _, err := unix.Write(n.parent, []byte(wordServed)); err != nil {
		return fmt.Errorf("cannot reach the sandbox: %w", err)
	}
	text, _, err := receiveFiles(n.parent)
	plan := n.plan
	n.plan = nil                      // with the files of /etc
	if err != nil || len(text) == 0 { // the socket was closed by a successful execve
		return err
	}
	report, _ := plan.received(text, nil)
	return &os.PathError{Op: "exec", Path: path, Err: unix.Errno(report.errno)}
}

// end waits for all that belongs to the child, which has ended or is killed.
func (n *netns) end(cancel func()) {
	if n.ended {
		return
	}
	n.ended = true
	n.child.kill()
	n.child.wait()
	cancel()
	n.group.Wait()
	n.maker.close()
	_ = unix.Close(n.parent)
}
