//go:build unix

package main

import (
	"os"
	"syscall"
)

func allSignals() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}
}

func isTermination(s os.Signal) bool { return s == syscall.SIGTERM }
