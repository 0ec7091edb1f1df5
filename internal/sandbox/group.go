package sandbox

import (
	"context"
	"os"
	"os/exec"
	"time"
)

// Group runs a command without a sandbox, to its end, in a process group of its own.
// Of Command it honours the files, Signals, and MaxMemory where [LimitsMemory] says so:
// the memory of one process, which is looked at ten times a second. What the command
// leaves running in its group is killed when it has ended, and on Linux what has left
// the group, too: it is found by a variable in its environment, unless it was started
// with another one, or as another user. On Windows nothing is found. What is not found
// may hold the files of the command open; see [Holders].
//
// When ctx is done the group is killed. Errors are [os.PathError], or say that the
// command cannot be started.
func Group(ctx context.Context, c Command) (Result, error) {
	child := &exec.Cmd{
		Path: c.Path, Args: c.Args, Env: (&exec.Cmd{Env: c.Env}).Environ(), Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr,
		SysProcAttr: ownGroup(),
	}
	g := newGroup(child)
	if err := child.Start(); err != nil {
		return Result{}, err
	}
	ended := make(chan struct{})
	go func() {
		g.wait()
		close(ended)
	}()
	var result Result
	look := time.NewTicker(memoryInterval)
	defer look.Stop()
	done := ctx.Done()
	for running := true; running; {
		select {
		case sig := <-c.Signals:
			g.signal(sig)
		case <-look.C:
			if c.MaxMemory > 0 && memoryOf(child.Process.Pid) > c.MaxMemory {
				result.TooBig = true
				g.signal(os.Kill)
			}
		case <-done:
			done = nil
			g.signal(os.Kill)
		case <-ended:
			running = false
		}
	}
	result.Left = g.sweep()
	_ = child.Wait() // its state says what is of interest
	result.Status = statusOf(child.ProcessState)
	return result, nil
}

// A group is the process group of a command.
type group struct {
	*exec.Cmd
	mark string // variable of all that the command starts; empty where nobody could see it
}

// memoryInterval is how often the memory of a command is looked at.
const memoryInterval = 100 * time.Millisecond
