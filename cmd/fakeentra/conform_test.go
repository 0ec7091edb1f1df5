package main

import (
	"os"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
)

// referenceDriver drives the reference client of the conformance suite, or the one
// that is wrong in the way that fails the check which its first argument names.
func referenceDriver() {
	var bug *reference.Bug
	if len(os.Args) > 1 {
		bug = reference.FindBug(os.Args[1])
	}
	driver.Main(reference.New(bug))
}
