package sandbox

import (
	"os"
	"syscall"
)

// passedOn are the signals that the parent of a command must survive.
func passedOn() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// typed reports whether a signal reaches the command by itself: the console
// tells all of its processes.
func typed(os.Signal) bool { return true }

// statusOf returns the exit code of a process.
func statusOf(p *os.ProcessState) int { return p.ExitCode() }
