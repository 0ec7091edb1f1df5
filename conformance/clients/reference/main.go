// Command reference drives the reference client of the conformance suite, or one
// that is wrong in one way.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
)

func main() {
	check := flag.String("bug", "", "be wrong in the way that fails `CHECK`")
	flag.Parse()
	bug := reference.FindBug(*check)
	if *check != "" && bug == nil {
		fmt.Fprintf(os.Stderr, "reference: no bug fails the check %q\n", *check)
		os.Exit(2)
	}
	driver.Main(reference.New(bug))
}
