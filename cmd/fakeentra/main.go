// Command fakeentra serves an emulated Microsoft Entra to programs in any
// language: on network listeners, or to one command that it runs.
package main

import (
	"os"

	"github.com/fakeentra/fakeentra/internal/sandbox"
)

func main() {
	sandbox.Child()
	os.Exit(execute(os.Args[1:]))
}
