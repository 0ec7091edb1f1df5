package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/schema"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// Ctrl-C ends a run, which writes down what it has found, and leaves no driver.
func TestConformRunIsInterrupted(t *testing.T) {
	needNamespaces(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			interrupt(t, signal, suite.Netns)
		})
	}
}

func TestConformRunInContainersIsInterrupted(t *testing.T) {
	toolchain.DockerEngine().In(t)
	t.Parallel()
	interrupt(t, syscall.SIGINT, suite.Docker)
}

func TestConformXfailUpdateIsInterrupted(t *testing.T) {
	needNamespaces(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "xfail.toml")
	cmd := exec.CommandContext(t.Context(), "fakeentra", "conform", "xfail", "update", "--xfail", file, "--jobs", "1", "--only", "IMDS-01,IMDS-02", "--", "driver", "until", "IMDS-02", folder)
	interruptedAt(t, "pass ", cmd, syscall.SIGINT, "fakeentra: the run was interrupted when 1 of 2 checks had their verdict, and "+file+" is as it was\n", func() {})
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

// fifo makes a pipe for a report.
func fifo(t *testing.T, ext string) string {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "report"+ext)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	return pipe
}

// A report in lines may go to whoever reads a pipe, for as long as they do.
func TestConformRunOutlivesTheReaderOfItsReport(t *testing.T) {
	needNamespaces(t)
	pipe := fifo(t, ".jsonl")
	cmd := exec.CommandContext(t.Context(), "fakeentra", "conform", "run", "--jobs", "1", "--only", "IMDS-01,IMDS-02", "--report", pipe, "--", "driver")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(pipe) // when it is written to
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	exit, ok := errors.AsType[*exec.ExitError](cmd.Wait())
	if want := "fakeentra: cannot write " + pipe + ": broken pipe\nhint: name another file\n"; !ok || exit.ExitCode() != exitFailure || stderr.String() != want {
		t.Errorf("it ended with %v: %s", exit, stderr.String())
	}
}

// A pipe that nobody reads keeps no run from its end.
func TestConformRunIsInterruptedWhoeverReadsItsReport(t *testing.T) {
	needNamespaces(t)
	for name, c := range map[string]struct {
		begin func(t *testing.T, pipe string)
		want  string
	}{
		"nobody": {func(*testing.T, string) {}, "nobody reads it"},
		"a reader that has enough": {func(t *testing.T, pipe string) {
			fd, err := syscall.Open(pipe, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Close(fd) })
			for err == nil { // until it is full
				_, err = syscall.Write(fd, make([]byte, 512))
			}
		}, "i/o timeout"},
	} {
		for _, ext := range []string{".jsonl", ".json"} { // written while it goes on, and in the end
			t.Run(name+ext, func(t *testing.T) {
				pipe := fifo(t, ext)
				c.begin(t, pipe)
				cmd := exec.CommandContext(t.Context(), "fakeentra", "conform", "run", "--jobs", "1", "--only", "IMDS-01,IMDS-02", "--report", pipe, "--", "driver", "until", "IMDS-01", t.TempDir())
				interruptedAt(t, "", cmd, syscall.SIGINT, "fakeentra: cannot write "+pipe+": "+c.want+"\nhint: name another file\nfakeentra: the run was interrupted when 0 of 2 checks had their verdict\n", func() {})
			})
		}
	}
}

// interruptedAt starts a command and sends it a signal at the first line that begins in
// some way, after a look at what there is by then. It expects the command to fail with
// some words.
func interruptedAt(t *testing.T, line string, cmd *exec.Cmd, signal syscall.Signal, want string, look func()) {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if !sent && strings.HasPrefix(lines.Text(), line) {
			sent = true
			look()
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
	}
	exit, ok := errors.AsType[*exec.ExitError](cmd.Wait())
	if !sent || !ok || exit.ExitCode() != exitFailure || stderr.String() != want {
		t.Errorf("it ended with %v: %s", exit, stderr.String())
	}
}

// interrupt runs a driver that waits for the end of the program, and interrupts it.
func interrupt(t *testing.T, signal syscall.Signal, wiring string) {
	folder := t.TempDir()
	report, stream := filepath.Join(folder, "report.json"), filepath.Join(folder, "report.jsonl")
	cmd := exec.CommandContext(t.Context(), "fakeentra", "conform", "run", "--wiring", wiring, "--jobs", "1", "--only", "IMDS-01,IMDS-02", "--report", report+","+stream, "--", "driver", "until", "IMDS-02", folder)
	temporary := t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	interruptedAt(t, "pass ", cmd, signal, "fakeentra: the run was interrupted when 1 of 2 checks had their verdict\n", func() {
		if got := members(t, stream); got != "begin result" {
			t.Errorf("while it runs, the lines are %s", got)
		}
	})
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	got, err := conformreport.Read(bytes.NewReader(text))
	if err := errors.Join(err, schema.Report(text)); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 1 || got.Results[0].ID != "IMDS-01" || got.Results[0].Verdict != suite.Pass || got.Standings != nil {
		t.Errorf("the report has %+v", got.Results)
	}
	if got.Incomplete != "the run ended when 1 of 2 checks had their verdict: it was interrupted" {
		t.Errorf("it is incomplete for %q", got.Incomplete)
	}
	if got := members(t, stream); got != "begin result end" {
		t.Errorf("in the end, the lines are %s", got)
	}
	if left := commandLines(t, folder); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}

// Runs by hand last longest: what is known is written down at once.
func TestConformServeWritesWhileItGoesOn(t *testing.T) {
	t.Parallel()
	stream := filepath.Join(t.TempDir(), "report.jsonl")
	cmd := exec.CommandContext(t.Context(), "fakeentra", "conform", "serve", "--only", "AST-04,AST-05", "--report", stream)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waiting, seen := 0, ""
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "  Run your client") {
			continue
		}
		if waiting++; waiting == 1 { // it has ended without a request, and came to nothing
			if _, err := io.WriteString(stdin, "\n\n"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		seen = members(t, stream)
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); !ok || exit.ExitCode() != exitFailure || waiting != 2 {
		t.Errorf("it waited %d times, and ended with %v", waiting, exit)
	}
	if seen != "begin result" {
		t.Errorf("while it waits for the second check, the lines are %q", seen)
	}
	if got := members(t, stream); got != "begin result end" {
		t.Errorf("in the end, the lines are %q", got)
	}
}

// Containers end with a program that is killed, as nothing else would end them.
func TestConformRunInContainersIsKilled(t *testing.T) {
	toolchain.DockerEngine().In(t)
	t.Parallel()
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "fakeentra", "conform", "run", "--wiring", suite.Docker, "--jobs", "1", "--only", "IMDS-01,IMDS-02", "--", "driver", "until", "IMDS-02", folder)
	cmd.Env = append(os.Environ(), "TMPDIR="+folder)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var running []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "pass ") {
			running = containersOf(t, folder)
			image := exec.Command("docker", "inspect", "--format", "{{.Image}}", running[0])
			if id, err := image.Output(); err != nil {
				t.Errorf("%v: %v", image, err)
			} else {
				t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", strings.TrimSpace(string(id))).Run() }) // it is empty
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if len(running) == 0 { // the driver was met in one
		t.Fatal("no containers were running")
	}
	wait := exec.CommandContext(t.Context(), "docker", append([]string{"wait"}, running...)...)
	_ = wait.Run() // it fails for those that are gone
	for left := running; len(left) > 0 && t.Context().Err() == nil; {
		left = containersOf(t, folder) // the engine is about to remove them
	}
}

// containersOf lists the containers that see a folder below another one.
func containersOf(t *testing.T, folder string) []string {
	t.Helper()
	seen, err := filepath.Glob(filepath.Join(folder, "fakeentra-*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range seen {
		out, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "volume="+s).Output()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(out))...)
	}
	return all
}

// On a terminal, a line says how far the run is, and is gone when it is over.
// Elsewhere there is none.
func TestConformRunSaysHowFarItIs(t *testing.T) {
	needNamespaces(t)
	t.Parallel()
	args := []string{"conform", "run", "--jobs", "1", "--only", "IMDS-01,IMDS-02", "--", "driver", "IMDS-02"}
	keyboard, terminal := openTerminal(t)
	cmd := exec.CommandContext(t.Context(), "fakeentra", args...)
	cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1")
	cmd.Stdout = terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Close() // what it says ends with the last program that has it
	said, err := io.ReadAll(keyboard)
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("the terminal ended with %v", err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); !ok || exit.ExitCode() != exitFailure {
		t.Errorf("it ended with %v", exit)
	}
	text := strings.ReplaceAll(string(said), "\r\n", "\n")
	for _, progress := range []string{"\n0 of 2 checks" + eraseLine, "\n1 of 2 checks" + eraseLine} {
		if !strings.Contains(text, progress) {
			t.Errorf("it does not say %q: %q", progress, text)
		}
	}
	var seen []string
	for line := range strings.Lines(text) {
		_, after, erased := strings.Cut(line, eraseLine)
		if erased {
			line = after
		}
		seen = append(seen, line)
	}
	plain, err := exec.CommandContext(t.Context(), "fakeentra", args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitFailure {
		t.Errorf("without a terminal, it ended with %v", err)
	}
	times := regexp.MustCompile(`[0-9.]+ s\b|(?m)^2 checks in .*| +`)
	if got, want := times.ReplaceAllString(strings.Join(seen, ""), " "), times.ReplaceAllString(string(plain), " "); got != want {
		t.Errorf("in the end, a terminal shows\n%s\nwant\n%s", got, want)
	}
}

// members names what is in the lines of a report.
func members(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range bytes.Lines(text) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		names = slices.AppendSeq(names, maps.Keys(one))
	}
	return strings.Join(names, " ")
}

// commandLines lists the command lines that have an argument.
func commandLines(t *testing.T, argument string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no /proc: %v", err)
	}
	var all []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains("\x00"+string(line), "\x00"+argument+"\x00") { // else it has ended
			all = append(all, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return all
}
