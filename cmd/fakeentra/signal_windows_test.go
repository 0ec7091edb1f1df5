package main

import (
	"os"
	"syscall"
)

func allSignals() []os.Signal        { return []os.Signal{os.Interrupt, syscall.SIGTERM} }
func isTermination(s os.Signal) bool { return s == syscall.SIGTERM }
