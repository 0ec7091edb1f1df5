//go:build !linux

package sandbox

import (
	"os"
	"os/exec"
)

func newGroup(c *exec.Cmd) group { return group{Cmd: c} }

// KnowsHolders says whether [Holders] can list any here.
const KnowsHolders = false

// Holders lists the programs that hold an end of a pipe open, which nobody can tell
// here: it lists none.
func Holders(*os.File) []string { return nil }
