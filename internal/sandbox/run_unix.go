//go:build unix

package sandbox

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// statusOf returns the exit code that stands for the end of a process.
func statusOf(p *os.ProcessState) int { return exitCode(unix.WaitStatus(p.Sys().(syscall.WaitStatus))) }
