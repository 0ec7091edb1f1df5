//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// A running is fakeentra run with the client, which prints its signals.
type running struct {
	*exec.Cmd
	out *bufio.Reader
}

func startRun(t *testing.T, mode string, prepare func(*exec.Cmd)) running {
	t.Helper()
	r := running{Cmd: exec.CommandContext(t.Context(), "fakeentra", "run", "--mode", mode, "--", "client", "signals")}
	r.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	r.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal
	stdout, err := r.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	prepare(r.Cmd)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewReader(stdout)
	r.expect(t, "waiting\n")
	return r
}

// expect reads the next line that the client prints.
func (r running) expect(t *testing.T, want string) {
	t.Helper()
	if got, err := r.out.ReadString('\n'); got != want {
		t.Fatalf("the command prints %q (%v), want %q", got, err, want)
	}
}

// end compares what the command still prints, and the exit code.
func (r running) end(t *testing.T, want string) {
	t.Helper()
	rest, err := io.ReadAll(r.out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(rest)); diff != "" {
		t.Errorf("output of the command (-want +got):\n%s", diff)
	}
	_ = r.Wait()
	if got := r.ProcessState.ExitCode(); got != 7 {
		t.Errorf("exit code %d, want 7, the command's", got)
	}
}

// inEachMode tests the modes that this machine permits.
func inEachMode(t *testing.T, test func(t *testing.T, mode string)) {
	for _, mode := range modeNames() {
		t.Run(mode, func(t *testing.T) {
			if mode == "netns" {
				needNamespaces(t)
			}
			if out, err := exec.Command("fakeentra", "run", "--fresh-keys", "--mode", mode, "--", "true").CombinedOutput(); mode == "notify" && err != nil {
				withoutMode(t, mode, out)
			}
			test(t, mode)
		})
	}
}

func TestRunPassesSignalsOn(t *testing.T) { inEachMode(t, testSignals) }

func testSignals(t *testing.T, mode string) {
	all := []os.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}
	toolchain.Heard(t, all...)
	r := startRun(t, mode, func(*exec.Cmd) {})
	for _, s := range all {
		if err := r.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		r.expect(t, s.String()+"\n")
	}
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.end(t, "terminated\n")
}

// A terminal sends what is typed to the command, too: to pass it on would make
// two interrupts of one, and the second one ends many programs the hard way.
func TestRunLeavesWhatIsTypedToTheTerminal(t *testing.T) { inEachMode(t, testTerminal) }

func testTerminal(t *testing.T, mode string) {
	keyboard, terminal := openTerminal(t)
	r := startRun(t, mode, func(c *exec.Cmd) {
		c.Stdin = terminal
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	for _, typed := range []struct{ key, signal string }{{"\x03", "interrupt\n"}, {"\x1c", "quit\n"}, {"\x03", "interrupt\n"}} {
		if _, err := io.WriteString(keyboard, typed.key); err != nil {
			t.Fatal(err)
		}
		r.expect(t, typed.signal)
	}
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.end(t, "terminated\n")
}

func TestRunReturns128AndTheSignalThatKilledTheCommand(t *testing.T) { inEachMode(t, testKilled) }

func testKilled(t *testing.T, mode string) {
	for _, s := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		run := exec.Command("fakeentra", "run", "--fresh-keys", "--mode", mode, "--", "sh", "-c", fmt.Sprintf("kill -%d $$", s))
		var stderr strings.Builder
		run.Stderr = &stderr
		_ = run.Run()
		if got, want := run.ProcessState.ExitCode(), 128+int(s); got != want {
			t.Errorf("%v: exit code %d, want %d", s, got, want)
		}
		if want := fmt.Sprintf("fakeentra: sh failed with exit code %d and asked nothing of the cloud\n", 128+int(s)); stderr.String() != want {
			t.Errorf("%v: standard error %q, want %q", s, stderr.String(), want)
		}
	}
}

func TestRunLeavesIgnoredSignalsIgnored(t *testing.T) { inEachMode(t, testIgnored) }

func testIgnored(t *testing.T, mode string) {
	// As under nohup(1): the command survives what it does not see.
	run := exec.Command("sh", "-c", `trap "" HUP; exec fakeentra run --fresh-keys --mode "$0" -- sh -c 'kill -HUP $$; kill -HUP $PPID; echo survived'`, mode)
	out, err := run.CombinedOutput()
	if err != nil || string(out) != "survived\n" {
		t.Errorf("%q, %v; want survived", out, err)
	}
}

func TestRunRemovesItsFiles(t *testing.T) {
	folder := t.TempDir()
	run := exec.Command("fakeentra", "run", "--fresh-keys", "--mode", "proxy", "--", "sh", "-c", `ls "$SSL_CERT_FILE"`)
	run.Env = append(os.Environ(), "TMPDIR="+folder)
	if out, err := run.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), folder) {
		t.Errorf("%s, %v; want a file in %s", out, err, folder)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}
