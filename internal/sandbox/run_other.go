//go:build !linux

package sandbox

import (
	"os"
	"os/exec"
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
