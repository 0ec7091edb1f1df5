package sandbox

import (
	"context"
	"runtime"
	"sync"
	"syscall"
)

// Run runs a command without a sandbox, to its end, and returns its exit code,
// or 128 and the number of the signal that killed it. Signals to this process
// are passed on to the command.
//
// The command stays in the process group of its parent, so that it can use the
// terminal and gets from it what is typed, such as Ctrl-C. The parent outlives
// it, unless it is killed: then the command is killed with all processes that it
// started, and what is Temporary is removed. It must be called by a program that
// calls [Child].
func Run(c Command) (status int, err error) {
	s := newSupervisor()
	defer s.stop()
	// The parent's death kills the child (prctl(2), PR_SET_PDEATHSIG), but the
	// parent is this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g := guarded{family: newFamily(), folders: c.Temporary}
	s.ready()
	child, err := startProcess(c, c.ofFamily(g.family), &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
	if err != nil {
		return 0, err
	}
	done, cancel := context.WithCancel(context.Background())
	var guard sync.WaitGroup
	defer guard.Wait()
	defer cancel()
	guard.Go(func() { g.keep(context.Background(), done) })
	return s.wait(child), nil
}
