package main

import (
	"os"
	"syscall"
)

// endingSignals end serve: Ctrl-C, and the closing of the console.
func endingSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// passedOn are the signals that run must survive.
func passedOn() []os.Signal { return endingSignals() }

// typed reports whether a signal reaches the command by itself: the console
// tells all of its processes.
func typed(os.Signal) bool { return true }

// statusOf returns the exit code of a process.
func statusOf(p *os.ProcessState) int { return p.ExitCode() }
