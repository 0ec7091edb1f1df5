package main

import (
	"os"
	"syscall"
)

// endingSignals end serve: Ctrl-C, and the closing of the console.
func endingSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// reloadSignals are none: there is nothing like SIGHUP.
func reloadSignals() []os.Signal { return nil }
