//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// endingSignals end serve. SIGHUP does when a terminal is closed, but not under
// nohup(1).
func endingSignals() []os.Signal {
	all := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if hasTerminal() && !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// reloadSignals make serve load its scenario again. Without a terminal that could
// be closed, SIGHUP asks for that, as it does of other daemons.
func reloadSignals() []os.Signal {
	if hasTerminal() || signal.Ignored(syscall.SIGHUP) {
		return nil
	}
	return []os.Signal{syscall.SIGHUP}
}

// hasTerminal reports whether this process has a controlling terminal.
func hasTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err == nil {
		_ = tty.Close()
	}
	return err == nil
}
