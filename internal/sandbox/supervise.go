package sandbox

import (
	"os"
	"os/exec"
	"os/signal"
)

// Run runs a command without a sandbox, to its end, and returns its exit code,
// or 128 and the number of the signal that killed it. Signals to this process
// are passed on to the command.
//
// The command stays in the process group of its parent, so that it can use the
// terminal and gets from it what is typed, such as Ctrl-C. The parent outlives
// it.
func Run(c Command) (status int, err error) {
	s := newSupervisor()
	defer s.stop()
	child := &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env, Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr}
	s.ready()
	if err := child.Start(); err != nil {
		return 0, err
	}
	return s.wait(command{child}), nil
}

// A command that was started.
type command struct{ *exec.Cmd }

func (c command) end() int {
	_ = c.Wait() // its state says what is of interest
	return statusOf(c.ProcessState)
}

func (c command) signal(s os.Signal) { _ = c.Process.Signal(s) } // it fails when the child has just ended

// A supervised is a process that was started, and whose signals are kept.
type supervised interface {
	end() int // waits for it, and returns the exit code
	signal(os.Signal)
}

// A supervisor keeps the signals to this process for a child.
type supervisor struct {
	signals chan os.Signal
	caught  chan struct{} // closed as soon as all signals are
}

// newSupervisor begins to catch signals, which takes a quarter of a millisecond,
// in the background.
func newSupervisor() *supervisor {
	s := &supervisor{make(chan os.Signal, 16), make(chan struct{})}
	go func() {
		signal.Notify(s.signals, passedOn()...)
		close(s.caught)
	}()
	return s
}

// ready returns when signals are caught. It must be called before the child is
// started, so that none is lost.
func (s *supervisor) ready() { <-s.caught }

// stop does not wait until signals have their usual effect again.
func (s *supervisor) stop() {
	go func() {
		s.ready()
		signal.Stop(s.signals)
	}()
}

// wait passes signals on until the child has ended, and returns its status.
func (s *supervisor) wait(child supervised) (status int) {
	ended := make(chan struct{})
	go func() {
		status = child.end()
		close(ended)
	}()
	for {
		select {
		case sig := <-s.signals:
			if !typed(sig) {
				child.signal(sig)
			}
		case <-ended:
			return status
		}
	}
}
