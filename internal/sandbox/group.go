package sandbox

import (
	"context"
	"os"
	"os/exec"
	"time"
)

// Group runs a command without a sandbox, to its end, in a process group of its own.
// Of Command it honours the files, Signals, and MaxMemory where [LimitsMemory] says so: the memory of one process, which is looked at ten times a
// second. What the command leaves running in its group is killed when it has ended;
// what has left the group is not found, and on Windows nothing is.
//
// When ctx is done the group is killed. Errors are [os.PathError], or say that the
// command cannot be started.
func Group(ctx context.Context, c Command) (Result, error) {
	child := &exec.Cmd{
		Path: c.Path, Args: c.Args, Env: (&exec.Cmd{Env: c.Env}).Environ(), Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr,
		SysProcAttr: ownGroup(),
	}
	if err := child.Start(); err != nil {
		return Result{}, err
	}
	g := group{child}
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
type group struct{ *exec.Cmd }

// memoryInterval is how often the memory of a command is looked at.
const memoryInterval = 100 * time.Millisecond
