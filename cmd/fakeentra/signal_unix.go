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
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}
