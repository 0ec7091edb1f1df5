package sandbox

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// grouped runs a script as [Group] does, and returns what it wrote.
func grouped(t *testing.T, ctx context.Context, script string, change func(*Command, *os.File)) (Result, string) {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	c := Command{Path: shell, Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Stdout: write, Stderr: os.Stderr}
	if change != nil {
		change(&c, read)
	}
	result, err := Group(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	rest := make([]byte, 100)
	n, _ := read.Read(rest) // all that is left, or nothing
	return result, string(rest[:n])
}

func TestAGroupReturnsHowTheCommandEnded(t *testing.T) {
	for script, want := range map[string]int{"exit 42": 42, "kill -TERM $$": 143, "kill -KILL $$": 137, "true": 0} {
		if got, _ := grouped(t, t.Context(), script, nil); got.Status != want || got.TooBig || len(got.Left) > 0 {
			t.Errorf("%s: %+v, want the exit code %d", script, got, want)
		}
	}
	if _, err := Group(t.Context(), Command{Path: "/nowhere"}); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("what there is not: %v", err)
	}
}

func TestAGroupIsSignalledAsAWhole(t *testing.T) {
	signals := make(chan os.Signal, 1)
	// The command ends when its child has, which the same signal ends once it is no
	// shell any more.
	got, out := grouped(t, t.Context(), `trap : TERM; sleep 20 & until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; echo ready; wait; wait $!; echo heard, $?; exit 7`, func(c *Command, read *os.File) {
		c.Signals = signals
		go func() {
			_, _ = read.Read(make([]byte, len("ready\n")))
			signals <- syscall.SIGTERM
		}()
	})
	if got.Status != 7 || len(got.Left) > 0 || out != "heard, 143\n" {
		t.Errorf("%+v, %q", got, out)
	}
}

func TestWhatAGroupLeavesIsKilledAndNamed(t *testing.T) {
	got, _ := grouped(t, t.Context(), "sleep 1000 & sleep 1001 &", nil)
	if got.Status != 0 || len(got.Left) != 2 { // sleep, or sh that is about to execute it
		t.Errorf("%+v, want two programs to be left", got)
	}
}

func TestAGroupIsKilledWhenNobodyWantsItAnyMore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	got, _ := grouped(t, ctx, "trap '' TERM; echo ready; sleep 1000", func(_ *Command, read *os.File) {
		go func() {
			_, _ = read.Read(make([]byte, len("ready\n")))
			cancel()
		}()
	})
	if got.Status != 137 {
		t.Errorf("%+v", got)
	}
}

func TestAGroupHasItsMemory(t *testing.T) {
	got, _ := grouped(t, t.Context(), `x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; while :; do x=$x$x; done`, func(c *Command, _ *os.File) { c.MaxMemory = 64 << 20 })
	if !got.TooBig || got.Status != 137 {
		t.Errorf("%+v", got)
	}
}
