//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Notify runs a command whose connections this process answers for, by seccomp
// user notification (seccomp_unotify(2)). It needs no namespace, no capability
// and no file: it works in a container with all capabilities dropped and
// no-new-privileges. The command gets the latter in any case, so setuid
// programs run as the caller.
//
// Connections to the world and its endpoints lead to it, DNS servers are this
// process, the rest of loopback and the addresses of this machine are what they
// are outside, and every other address is unreachable and a leak. Forward and
// Publish are thereby granted.
//
// What it cannot do: the folders of the machine stay as they are, without
// Mounts, and so do its trust stores, so certificates are trusted by variables
// alone, and by processes that may look into /proc of this one. A program sees a
// loopback address as its peer. Where
// port 53 is reserved, programs linked with musl find emulated names that are
// not well known at the second try only. On arm64 they find none. 32-bit programs, and those that install a
// listener of their own, reach nothing. Datagrams that sendmsg(2) sends without
// a connection go where they are sent.
//
// It needs Linux 5.6, and 5.9 where pidfd_getfd(2) is forbidden. When ctx is
// done the command is killed with all processes that it started, and so it is
// when this process is killed. What it leaves running when it ends by itself
// cannot connect any more. It must be called by a program that calls [Child].
// Errors are as [ErrUnavailable] says.
func Notify(ctx context.Context, w World, c Command) (Result, error) {
	return notifyBy(ctx, 0, w, c)
}

// notifyBy is Notify in one variant, or, if it is zero, in the one that works.
func notifyBy(ctx context.Context, v variant, w World, c Command) (Result, error) {
	signals := newSupervisor()
	defer signals.stop()
	done, cancel := context.WithCancel(ctx)
	n := &notified{ended: make(chan struct{})}
	defer n.end(cancel)
	g := guarded{family: newFamily(), folders: c.Temporary}
	c.Env = c.ofFamily(g.family)
	if err := n.start(done, signals, v, w, c); err != nil {
		return Result{}, err
	}
	n.group.Go(func() { g.keep(ctx, done) })
	undo := context.AfterFunc(done, n.child.kill)
	defer undo()
	status := signals.wait(n.child)
	n.end(cancel)
	return Result{Status: status, Leaks: n.leaks.list()}, n.served
}

// A notified is a command whose connections are answered for.
type notified struct {
	child  *child
	memory []int // files that the command reads by /proc of this process
	doors  doors
	board  switchboard
	leaks  leaks
	stop   [2]int // a pipe that is closed with the command
	group  sync.WaitGroup
	served error // why the world answered no more
	over   bool
	ended  chan struct{} // closed with the command
}

// start executes the command, with everything in place that answers for it.
func (n *notified) start(ctx context.Context, signals *supervisor, v variant, w World, c Command) error {
	if err := mayLook(); err != nil {
		return err
	}
	outlets := outlets(c.Egress)
	if err := n.doors.open(len(outlets), len(w.Endpoints)); err != nil {
		return err
	}
	env, err := n.environ(w, c)
	if err != nil {
		return err
	}
	n.board = switchboard{variant: v, routes: n.doors.routes(w, outlets), resolver: newResolver(w.Knows, &n.leaks), leaks: &n.leaks}
	n.board.resolver.real = hostAddresses(outlets)
	if v == 0 {
		n.board.variant = bestVariant()
	}
	signals.ready()
	started := make(chan error)
	go n.thread(ctx, w, c, env, started)
	return <-started
}

// thread starts the command from a thread with the filter, which the command
// inherits: to start this program anew for that takes several milliseconds. The
// thread ends with the goroutine, since it is never unlocked, and that must not
// be before the command: the kernel takes it for the parent, whose death kills
// the child (prctl(2), PR_SET_PDEATHSIG). The runtime makes no thread from a
// locked one, so the filter gets nowhere else.
func (n *notified) thread(ctx context.Context, w World, c Command, env []string, started chan<- error) {
	runtime.LockOSThread()
	var err error
	n.board.listener, n.board.killable, err = confine(n.board.variant)
	if err != nil {
		started <- fmt.Errorf("cannot install a seccomp filter: %w (%w)%s", err, ErrUnavailable, filterHint(err))
		return
	}
	if err = n.serve(ctx, w, c); err == nil {
		n.child, err = startProcess(c, env, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
	}
	started <- err
	<-n.ended
}

// mayLook reports whether the kernel lets a process read the memory of its
// children (Documentation/admin-guide/LSM/Yama.rst).
func mayLook() error {
	const scope = "/proc/sys/kernel/yama/ptrace_scope"
	if kernelSays(scope, "3") || kernelSays(scope, "2") && os.Geteuid() != 0 {
		return fmt.Errorf("cannot read what a program connects to: %w (%w); kernel.yama.ptrace_scope forbids it; sudo sysctl -w kernel.yama.ptrace_scope=1", unix.EPERM, ErrUnavailable)
	}
	return nil
}

// bestVariant finds out whether this process may copy the files of another.
func bestVariant() variant {
	fd, err := copyFD(uint32(os.Getpid()), 0)
	if err != nil && !errors.Is(err, unix.EBADF) { // the standard input may be closed
		return install
	}
	_ = unix.Close(fd)
	return duplicate
}

// filterHint says why a filter is refused.
func filterHint(err error) string {
	switch {
	case errors.Is(err, unix.EBUSY):
		return "; this process is in such a sandbox itself, and there can be only one; use --mode proxy"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return "; the kernel is older than Linux 5.6, has no CONFIG_SECCOMP_FILTER, or is that of gVisor; use --mode proxy"
	}
	return "; a seccomp filter is in force, as in a container; start it with --security-opt seccomp=unconfined"
}

// serve begins to answer for the command.
func (n *notified) serve(ctx context.Context, w World, c Command) error {
	if err := unix.Pipe2(n.stop[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	n.group.Go(func() { n.board.resolver.serve(ctx, n.doors.dns, n.doors.dnsTCP) })
	n.group.Go(func() { n.served = w.serve(ctx, n.doors.https, n.doors.http, n.doors.endpoints) })
	for i, o := range outlets(c.Egress) {
		n.group.Go(func() { Relay(ctx, n.doors.outlets[i], c.toEgress(o.Egress)) })
	}
	n.group.Go(func() { n.board.run(n.stop[0]) })
	return nil
}

// end waits for all that belongs to the command, which has ended or was never
// started.
func (n *notified) end(cancel func()) {
	if n.over {
		return
	}
	n.over = true
	cancel()
	if n.stop[1] > 0 {
		_ = unix.Close(n.stop[1])
	}
	n.group.Wait()
	n.doors.close()
	close(n.ended)
	for _, fd := range append(n.memory, int(n.board.listener), n.stop[0]) {
		if fd > 0 {
			_ = unix.Close(fd)
		}
	}
}
