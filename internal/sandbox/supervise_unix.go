//go:build unix

package sandbox

import (
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// passedOn are the signals that are passed on to a command. What is ignored
// stays so for the command: to catch it here would undo nohup(1).
func passedOn() []os.Signal {
	all := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}
	return slices.DeleteFunc(all, signal.Ignored)
}

// typed reports whether a signal comes from the keyboard, as far as can be told:
// a terminal sends it to its whole foreground process group, and thereby to the
// command, too.
func typed(s os.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false // there is no terminal
	}
	defer func() { _ = tty.Close() }()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == syscall.Getpgrp()
}

// killedBy is added to the number of the signal that killed a process, as
// shells do.
const killedBy = 128

// exitCode stands for the end of a process.
func exitCode(w unix.WaitStatus) int {
	if w.Signaled() {
		return killedBy + int(w.Signal())
	}
	return w.ExitStatus()
}
