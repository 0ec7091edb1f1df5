//go:build linux

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// inTerminal starts a shell whose terminal is a new one, and which prints to a
// pipe.
func inTerminal(t *testing.T, script, mode string, more ...string) (keyboard, terminal *os.File, shell *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	keyboard, terminal = openTerminal(t)
	shell = exec.CommandContext(t.Context(), "sh", "-c", script, mode)
	shell.Env = append(os.Environ(), more...)
	shell.Stdin, shell.Stderr = terminal, terminal
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal, shell, bufio.NewReader(stdout)
}

// Ctrl-Z stops the command and what runs it, so that a shell gets its terminal
// back, as it was, and can let them go on.
func TestRunStopsAndGoesOn(t *testing.T) { inEachMode(t, testStop) }

func testStop(t *testing.T, mode string) {
	keyboard, terminal, shell, out := inTerminal(t, `set -m; fakeentra run --fresh-keys --mode "$0" -- cat; echo stopped $?; fg >/dev/null; echo ended $?`, mode)
	before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ typed, answer string }{{"one\n", "one\n"}, {"\x1a", "stopped 148\n"}, {"two\n", "two\n"}, {"\x04", "ended 0\n"}} {
		if _, err := io.WriteString(keyboard, step.typed); err != nil {
			t.Fatal(err)
		}
		if got, err := out.ReadString('\n'); got != step.answer {
			t.Fatalf("after %q: %q (%v), want %q", step.typed, got, err, step.answer)
		}
	}
	if err := shell.Wait(); err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is %+v, was %+v: %v", after, before, err)
	}
}

// A terminal that is closed takes all of them with it, and leaves nothing.
func TestRunEndsWithItsTerminal(t *testing.T) { inEachMode(t, testHangUp) }

func testHangUp(t *testing.T, mode string) {
	toolchain.Heard(t, syscall.SIGHUP)
	folder := t.TempDir()
	keyboard, terminal, shell, out := inTerminal(t, `exec fakeentra run --fresh-keys --mode "$0" -- sh -c 'echo $$; exec sleep 600'`, mode, "TMPDIR="+folder)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	command, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(command) }()
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := keyboard.Close(); err != nil {
		t.Fatal(err)
	}
	_ = shell.Wait()
	if got := shell.ProcessState.ExitCode(); got != 129 {
		t.Errorf("exit code %d, want 129, of SIGHUP", got)
	}
	if err := unix.PidfdSendSignal(command, 0, nil, 0); err != unix.ESRCH {
		t.Errorf("the command is still there: %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}
