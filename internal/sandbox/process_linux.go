package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A child is a process of this one. The first [os.Process] of a program finds out
// what the kernel knows of them by starting another one, which takes time that
// commands would wait for.
type child struct {
	pid int

	mu     sync.Mutex
	ended  bool // and the number may be another's
	status unix.WaitStatus
}

// startProcess starts a command with an environment, in which the last value of a
// variable counts, and with more files behind its standard error. Errors are
// [os.PathError].
func startProcess(c Command, env []string, sys *syscall.SysProcAttr, files ...*os.File) (*child, error) {
	attr := &syscall.ProcAttr{Env: unambiguous(env), Sys: sys}
	for _, f := range append([]*os.File{c.Stdin, c.Stdout, c.Stderr}, files...) {
		if f == nil {
			null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
			if err != nil {
				return nil, err
			}
			defer func() { _ = null.Close() }()
			f = null
		}
		attr.Files = append(attr.Files, f.Fd())
	}
	pid, err := syscall.ForkExec(c.Path, c.Args, attr)
	if err != nil {
		return nil, &os.PathError{Op: "exec", Path: c.Path, Err: err}
	}
	return &child{pid: pid}, nil
}

// unambiguous leaves one value of each variable: programs differ in which one
// they see.
func unambiguous(env []string) []string { return (&exec.Cmd{Env: env}).Environ() }

// wait waits for the end and returns how it was. It may be called several times.
func (c *child) wait() unix.WaitStatus {
	for {
		err := unix.Waitid(unix.P_PID, c.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended {
		_, err := unix.Wait4(c.pid, &c.status, 0, nil)
		c.ended = !errors.Is(err, unix.EINTR)
	}
	return c.status
}

// end is [child.wait] for a supervisor.
func (c *child) end() int { return exitCode(c.wait()) }

// signal does nothing when the process has ended.
func (c *child) signal(s os.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number, ok := s.(syscall.Signal); ok && !c.ended {
		_ = unix.Kill(c.pid, number)
	}
}

func (c *child) kill() { c.signal(unix.SIGKILL) }
