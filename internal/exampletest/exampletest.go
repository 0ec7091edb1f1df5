// Package exampletest runs the programs under examples as their users would:
// unmodified, in a process of their own, under "fakeentra run".
package exampletest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

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

// Modes are the ways in which "fakeentra run" leads a command to the emulators.
var Modes = []string{"netns", "notify", "proxy"}

// ProxyInNetns is the mode proxy in a sandbox of another cloud, in which nothing
// is. It is for programs that would ask other machines if they got past the
// proxy.
const ProxyInNetns = "proxy in netns"

// ListsBlobs runs a command under "fakeentra run", in each of modes that this
// machine permits, and expects it to print the names of the blobs and nothing
// else.
func ListsBlobs(t *testing.T, modes []string, command ...string) {
	t.Helper()
	fakeentra := Build(t, "cmd/fakeentra")
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			Permitted(t, fakeentra, mode)
			stdout, stderr, err := run(t, fakeentra, mode, command...)
			if err != nil {
				t.Fatalf("%v: %v\n%s", command, err, stderr)
			}
			if diff := cmp.Diff(blobs, stdout); diff != "" {
				t.Errorf("blobs (-want +got):\n%s\n%s", diff, stderr)
			}
		})
	}
}

// Permitted skips a test where the kernel or its configuration forbids a mode.
func Permitted(t *testing.T, fakeentra, mode string) {
	t.Helper()
	if _, stderr, err := run(t, fakeentra, mode, fakeentra, "version"); err != nil {
		toolchain.Without(t, "the mode "+mode, strings.TrimSpace(stderr))
	}
}

func run(t *testing.T, fakeentra, mode string, command ...string) (stdout, stderr string, err error) {
	t.Helper()
	args := append([]string{"run", "--mode", mode, "--"}, command...)
	if mode == ProxyInNetns {
		args = append([]string{"run", "--mode", "netns", "--scenario", nothing(t), "--", fakeentra, "run", "--mode", "proxy", "--"}, command...)
	}
	cmd := exec.CommandContext(t.Context(), fakeentra, args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// nothing returns the scenario of a cloud that has only a host.
func nothing(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nothing.yaml")
	if err := os.WriteFile(file, []byte("fakeentra: 1\nhosts: {outside: {source: none}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
