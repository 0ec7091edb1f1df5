package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fakeentra/fakeentra/internal/sandbox"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

var update = flag.Bool("update", false, "rewrite usage.txt and the scripts to what the program does")

// TestMain makes this test binary the program, a client of what it serves, and a
// driver of the conformance suite when it is called by their names. All are in
// PATH.
func TestMain(m *testing.M) {
	sandbox.Child()
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil { // every process would sleep for a second
		panic(err)
	}
	testscript.Main(m, map[string]func(){"fakeentra": main, "client": client, "driver": referenceDriver})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("LocalAppData", filepath.Join(e.WorkDir, "state"))
			e.Setenv("GORACE", os.Getenv("GORACE"))
			busy := busyAddress(t)
			e.Setenv("BUSY", busy)
			e.Setenv("BUSY_PORT", strings.TrimPrefix(busy, "127.0.0.1:"))
			e.Values[script{}] = e.T()
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "netns" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			err := toolchain.Namespaces()
			if err != nil && toolchain.Required() {
				return false, fmt.Errorf("%s is set, and this machine forbids namespaces: %w", toolchain.RequireAll, err)
			}
			return err == nil, nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await, "lines": lines, "mode": mode, "needs": needs, "only": only, "valid": valid},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
	})
}

// script is the key of the test that runs a script.
type script struct{}

// needs leaves a script out for want of namespaces, or of programs: needs
// namespaces PROGRAM...
func needs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: needs [namespaces] PROGRAM...")
	}
	t := ts.Value(script{}).(testscript.T)
	for _, name := range args {
		if name == "namespaces" {
			needNamespaces(t)
			continue
		}
		toolchain.Program(t, name)
	}
}

// needNamespaces leaves a test out on a machine that forbids what it is about.
func needNamespaces(t toolchain.TB) {
	if err := toolchain.Namespaces(); err != nil {
		toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
	}
}

// withoutMode leaves a test out on a machine that forbids a mode, as the program
// said.
func withoutMode(t *testing.T, mode string, said []byte) {
	t.Helper()
	toolchain.Without(t, "the mode "+mode, strings.TrimSpace(string(said)))
}

// exits runs a command that ends with an exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if want, err := strconv.Atoi(args[0]); err != nil || code != want {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// await waits for a file, and sets a variable to a member of the JSON in it:
// await FILE [VARIABLE MEMBER].
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || (len(args) != 1 && len(args) != 3) {
		ts.Fatalf("usage: await FILE [VARIABLE MEMBER]")
	}
	ready, err := awaitReady(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(args) == 3 {
		ts.Setenv(args[1], ready[args[2]])
	}
}

// lines compares the number of lines of a file: lines FILE N.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	if got := strings.Count(ts.ReadFile(args[0]), "\n"); strconv.Itoa(got) != args[1] {
		ts.Fatalf("%s has %d lines, want %s", args[0], got, args[1])
	}
}

// mode compares the permissions of a file: mode OCTAL FILE.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has the mode %s, want %s", args[1], got, args[0])
	}
}

// only lists a folder: only FOLDER FILE...
func only(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: only FOLDER FILE...")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, args[1:]) {
		ts.Fatalf("%s has %q, want %q", args[0], names, args[1:])
	}
}

// deadline is how long anything may take before a test gives up.
const deadline = 30 * time.Second

func TestUsageIsWhatTheProgramPrints(t *testing.T) {
	names := []string{""}
	for _, name := range commandNames(rootCommand()) {
		names = append(names, name)
		if cmd, _, err := rootCommand().Find([]string{name}); err == nil {
			for _, nested := range commandNames(cmd) {
				names = append(names, name+" "+nested)
			}
		}
	}
	names = append(names, "help")
	var all strings.Builder
	for _, name := range names {
		args := append(strings.Fields(name), "--help")
		out, err := exec.Command("fakeentra", args...).Output()
		if err != nil {
			t.Fatalf("fakeentra %s: %v", strings.Join(args, " "), err)
		}
		all.WriteString("$ fakeentra " + strings.Join(args, " ") + "\n" + string(out) + "\n")
	}
	if *update {
		if err := os.WriteFile("usage.txt", []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("usage.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("usage.txt (-want +got), which go test -update rewrites:\n%s", diff)
	}
	for i, line := range strings.Split(all.String(), "\n") {
		if len(line) > width || strings.Contains(line, "\t") {
			t.Errorf("line %d is over %d columns or has a tab: %q", i+1, width, line)
		}
	}
}
