package toolchain

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// A Need is something that the tests of a package cannot do without.
type Need struct {
	What    string // as in "Node.js 20 or later"
	Met     func() bool
	Install string // the command that provides it

	notInCI bool
}

// NotInCI marks what .ci/run does not install, so that not even [RequireAll]
// requires it.
func (n Need) NotInCI() Need {
	n.notInCI = true
	return n
}

// Command returns the need of a program in PATH.
func Command(name, what, install string) Need {
	return Need{What: what, Met: func() bool { _, err := exec.LookPath(name); return err == nil }, Install: install}
}

// File returns the need of a file that an installation leaves behind, relative
// to the package.
func File(name, what, install string) Need {
	return Need{What: what, Met: func() bool { _, err := os.Stat(name); return err == nil }, Install: install}
}

// Main runs the tests of a package, unless a need is not met. Then the package
// runs no test, which "go test" says beside its name, and -v says why. Under
// [RequireAll] it fails instead, but for [Need.NotInCI]. Call it from TestMain.
func Main(m *testing.M, needs ...Need) {
	flag.Parse()
	for _, n := range needs {
		if n.Met() {
			continue
		}
		fmt.Printf("did without %s; to have it: %s\n", n.What, n.Install)
		if Required() && !n.notInCI {
			fmt.Printf("%s is set, so this is a failure\n", RequireAll)
			os.Exit(1)
		}
		if err := flag.Set("test.run", "^$"); err != nil {
			panic(err) // the testing package has the flag
		}
		break
	}
	os.Exit(m.Run())
}

// DockerEngine returns the need of an engine that the program docker reaches.
func DockerEngine() Need {
	return Need{What: "a Docker engine", Met: func() bool { return exec.Command("docker", "version").Run() == nil }, Install: "see container/engine"}
}

// In leaves a test out unless the need is met. Under [RequireAll] the test fails,
// but for [Need.NotInCI].
func (n Need) In(t TB) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	if !n.Met() {
		leaveOut(t, n.What, n.Install, Required() && !n.notInCI)
	}
}
