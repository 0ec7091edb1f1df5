//go:build amd64 || arm64

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
// Connections to the world lead to it, DNS servers are this process, loopback
// and the addresses of this machine are what they are outside, and every other
// address is unreachable and a leak. Forward and Publish are thereby granted.
//
// What it cannot do: the trust stores of the machine stay as they are, so
// certificates are trusted by variables alone, and by processes that may look
// into /proc of this one. A program sees a loopback address as its peer. Those
// linked with musl find emulated names that are not well known at the second
// try only, and on arm64 none. 32-bit programs, and those that install a
// listener of their own, reach nothing. Datagrams that sendmsg(2) sends without
// a connection go where they are sent.
//
// It needs Linux 5.6, and 5.9 where pidfd_getfd(2) is forbidden. When ctx is
// done the command is killed. What it leaves running when it ends cannot connect
// any more. It must be called by a program that calls [Child]. Errors are as
// [ErrUnavailable] says.
func Notify(ctx context.Context, w World, c Command) (Result, error) {
	return notifyBy(ctx, 0, w, c)
}

// notifyBy is Notify in one variant, or, if it is zero, in the one that works.
func notifyBy(ctx context.Context, v variant, w World, c Command) (Result, error) {
	// The parent's death kills the child (prctl(2), PR_SET_PDEATHSIG), but the
	// parent is this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := newSupervisor()
	defer signals.stop()
	ctx, cancel := context.WithCancel(ctx)
	n := &notified{parent: -1, board: switchboard{listener: -1, variant: v}}
	defer n.end(cancel)
	if err := n.start(ctx, w, c); err != nil {
		return Result{}, err
	}
	n.serve(ctx, w)
	if err := n.executed(c.Path); err != nil {
		return Result{}, err
	}
	status := signals.wait(n.child)
	n.end(cancel)
	return Result{Status: status, Leaks: n.leaks.list()}, n.served
}

// A notified is a command whose connections are answered for.
type notified struct {
	child  *exec.Cmd
	parent int   // end of the socket to the child
	memory []int // files that the command reads by /proc of this process
	doors  doors
	board  switchboard
	leaks  leaks
	stop   [2]int // a pipe that ends with the command
	group  sync.WaitGroup
	served error // why the world answered no more
	ended  bool
}

// start brings the child to the point where it executes the command.
func (n *notified) start(ctx context.Context, w World, c Command) error {
	if err := n.doors.open(); err != nil {
		return err
	}
	env, err := n.environ(w, c)
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot make a socket for the sandbox: %w", err)
	}
	n.parent = pair[0]
	theirs := os.NewFile(uintptr(pair[1]), "sandbox")
	defer func() { _ = theirs.Close() }() // only the child holds it then: its end is the end of the socket
	n.child = exec.CommandContext(ctx, "/proc/self/exe")
	n.child.Args = append([]string{"fakeentra", childWord, "notify", c.Path}, c.Args...)
	n.child.Env, n.child.ExtraFiles = env, []*os.File{theirs}
	n.child.Stdin, n.child.Stdout, n.child.Stderr = c.Stdin, c.Stdout, c.Stderr
	n.child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.child.Start(); err != nil {
		return fmt.Errorf("cannot start the sandbox: %w", err)
	}
	_ = theirs.Close()
	if err := n.chooseVariant(); err != nil {
		return err
	}
	n.board.resolver = newResolver(w.Knows, &n.leaks)
	n.board.leaks = &n.leaks
	n.board.routes = n.doors.routes(w.Metadata)
	return n.confined()
}

// chooseVariant finds out what the kernel lets this process do to the child.
func (n *notified) chooseVariant() error {
	pid := uint32(n.child.Process.Pid)
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return fmt.Errorf("cannot read what a program connects to: %w: this is how kernel.yama.ptrace_scope=2 forbids it; sudo sysctl -w kernel.yama.ptrace_scope=1 permits it: %w", err, ErrUnavailable)
	}
	_ = memory.Close()
	if n.board.variant != 0 {
		return nil
	}
	n.board.variant = install
	if fd, err := copyFD(pid, parentSocket); err == nil {
		_ = unix.Close(fd)
		n.board.variant = duplicate
	}
	return nil
}

// confined tells the child the variant and receives the listener of its filter.
func (n *notified) confined() error {
	if _, err := unix.Write(n.parent, []byte{byte(n.board.variant)}); err != nil {
		return fmt.Errorf("cannot reach the sandbox: %w", err)
	}
	word, files, err := n.receive()
	switch {
	case err != nil:
		return fmt.Errorf("cannot set up the sandbox: %w", err)
	case len(word) == wordSize && len(files) == 1:
		n.board.listener = listener(files[0])
		n.board.killable = word[0] == wordKillable
		return nil
	case len(word) == wordSize && word[0] == wordFailed:
		return fmt.Errorf("cannot install a seccomp filter: %w%s: %w", errnoIn(word), filterHint(errnoIn(word)), ErrUnavailable)
	}
	return errors.New("cannot set up the sandbox: the process for it ended")
}

// filterHint says why a filter is refused.
func filterHint(errno syscall.Errno) string {
	switch errno {
	case unix.EBUSY:
		return ": this process is in such a sandbox itself, and there can be one only"
	case unix.EINVAL, unix.ENOSYS:
		return ": the kernel is older than Linux 5.6, or was built without CONFIG_SECCOMP_FILTER, or is gVisor"
	}
	return ": the container engine forbids it; docker run --security-opt seccomp=unconfined permits it"
}

// executed waits until the child is the command. Its end of the socket is closed
// by a successful execve(2).
func (n *notified) executed(path string) error {
	word, _, err := n.receive()
	if err != nil {
		return fmt.Errorf("cannot reach the sandbox: %w", err)
	}
	if len(word) == wordSize {
		return &os.PathError{Op: "exec", Path: path, Err: errnoIn(word)}
	}
	return nil
}

// serve begins to answer for the command.
func (n *notified) serve(ctx context.Context, w World) {
	n.group.Go(func() { n.board.resolver.serve(ctx, n.doors.dns, n.doors.dnsTCP) })
	n.group.Go(func() { n.served = w.Serve(ctx, n.doors.https, n.doors.http) })
	if err := unix.Pipe2(n.stop[:], unix.O_CLOEXEC); err != nil {
		n.served = err
		return
	}
	n.group.Go(func() { n.board.run(n.stop[0]) })
}

// end waits for all that belongs to the command, which has ended or is killed.
func (n *notified) end(cancel func()) {
	if n.ended {
		return
	}
	n.ended = true
	if n.child != nil && n.child.Process != nil && n.child.ProcessState == nil {
		_ = n.child.Process.Kill()
		_ = n.child.Wait()
	}
	cancel()
	if n.stop[1] != 0 {
		_ = unix.Close(n.stop[1])
	}
	n.group.Wait()
	n.doors.close()
	for _, fd := range append(n.memory, n.parent, int(n.board.listener), n.stop[0]) {
		if fd > 0 {
			_ = unix.Close(fd)
		}
	}
}
