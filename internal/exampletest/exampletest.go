// Package exampletest runs the programs under examples as their users would:
// unmodified, in a process of their own, under "fakeentra run".
package exampletest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RequireAll is the variable under which a missing toolchain is a failure.
const RequireAll = "FAKEENTRA_REQUIRE_ALL"

// A Need is something that the tests of a package cannot do without.
type Need struct {
	What    string // as in "Node.js 20 or later"
	Met     func() bool
	Install string // the command that provides it
}

// Command returns the need of a program in PATH.
func Command(name, what, install string) Need {
	return Need{what, func() bool { _, err := exec.LookPath(name); return err == nil }, install}
}

// File returns the need of a file that an installation leaves behind, relative
// to the package.
func File(name, what, install string) Need {
	return Need{what, func() bool { _, err := os.Stat(name); return err == nil }, install}
}

// Main runs the tests of a package, unless a need is not met. Then the package
// runs no test, which "go test" says beside its name, and -v says why. With
// FAKEENTRA_REQUIRE_ALL=1 it fails instead. Call it from TestMain.
func Main(m *testing.M, needs ...Need) {
	flag.Parse()
	for _, n := range needs {
		if n.Met() {
			continue
		}
		fmt.Printf("did without %s; to have it: %s\n", n.What, n.Install)
		if os.Getenv(RequireAll) != "" {
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

// Build compiles a package of this module and returns the program.
func Build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/fakeentra/fakeentra/"+pkg).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	return program
}

// blobs are what every example lists under the scenario that is used by default.
const blobs = "2026/q1.csv\nq1.csv\nq2.csv\n"

// ListsBlobs runs a command under "fakeentra run" and expects it to print the
// names of the blobs and nothing else.
func ListsBlobs(t *testing.T, command ...string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), Build(t, "cmd/fakeentra"), append([]string{"run", "--"}, command...)...)
	run.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	if err := run.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, stderr.Bytes())
	}
	if diff := cmp.Diff(blobs, stdout.String()); diff != "" {
		t.Errorf("blobs (-want +got):\n%s\n%s", diff, stderr.Bytes())
	}
}
