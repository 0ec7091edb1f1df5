package sandbox

import (
	"os"
	"runtime"
)

// childWord is the first argument of the processes that a sandbox starts from
// its own program, before what they are for. They talk to their parent over
// the socket parentSocket.
const (
	childWord    = "__sandbox"
	parentSocket = 3
)

// statusFailed is the exit code of a child that cannot set up its sandbox.
const statusFailed = 125

// Child must be called first thing by every program that makes sandboxes: they
// start the program anew to set themselves up. In such a process it does so and
// never returns. In every other it returns at once.
func Child() {
	if len(os.Args) < 3 || os.Args[1] != childWord {
		return
	}
	runtime.LockOSThread() // capabilities and filters belong to threads
	if os.Args[2] == "notify" {
		notifyChild(os.Args[3:])
	}
	os.Exit(statusFailed)
}
