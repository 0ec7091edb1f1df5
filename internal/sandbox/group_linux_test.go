package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	for script, want := range map[string]int{ // of sleep, or sh that is about to execute it
		"sleep 1000 & sleep 1001 &": 2,
		detached("sleep 1000"):      1,
	} {
		if got, out := grouped(t, t.Context(), script+" echo $!", nil); got.Status != 0 || len(got.Left) != want || alive(out) {
			t.Errorf("%s: %+v, want %d programs to be left, and killed", script, got, want)
		}
	}
}

// detached is a script that leaves a command running in a session of its own.
func detached(command string) string {
	return "setsid " + command + ` & until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done;`
}

// alive reports whether the process runs whose number was written.
func alive(number string) bool {
	pid, err := strconv.Atoi(strings.TrimSpace(number))
	return err != nil || words(pid, "cmdline") != nil // one that has ended may wait for its parent to notice
}

// What has left its group, and has another environment, is not found. What it holds is.
func TestWhoHoldsAPipe(t *testing.T) {
	var held *os.File
	got, out := grouped(t, t.Context(), detached("env -i sleep 1000")+" echo $!", func(_ *Command, read *os.File) {
		held = another(t, read)
	})
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if want := fmt.Sprintf("sleep (process %d)", pid); len(got.Left) > 0 || !slices.Equal(Holders(held), []string{want}) {
		t.Errorf("%+v, and %q hold the pipe, want %s", got, Holders(held), want)
	}
}

// another returns another descriptor of a file.
func another(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	copied := os.NewFile(uintptr(fd), f.Name())
	t.Cleanup(func() { _ = copied.Close() })
	return copied
}

// A program that this one is about to start holds all that this one does.
func TestChildrenOfThisProcessHoldNoPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closeFiles([]*os.File{read, write})
	child := exec.CommandContext(t.Context(), "sleep", "1000")
	child.Stdout = write
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if got := Holders(read); len(got) > 0 {
		t.Errorf("%q", got)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
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

// The command has left its group, which nothing else is in.
func TestACommandThatLeavesItsGroupIsKilledAllTheSame(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	got, _ := grouped(t, ctx, "", func(c *Command, read *os.File) {
		c.Path, c.Args = "/proc/self/exe", []string{os.Args[0], "deserter"}
		go func() {
			_, _ = read.Read(make([]byte, len("ready\n")))
			cancel()
		}()
	})
	if got.Status != 137 {
		t.Errorf("%+v", got)
	}
}

// desert goes to the group of its parent, and stays.
func desert() {
	group, err := unix.Getpgid(os.Getppid())
	if err == nil {
		err = unix.Setpgid(0, group)
	}
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

func TestAGroupHasItsMemory(t *testing.T) {
	got, _ := grouped(t, t.Context(), `x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; while :; do x=$x$x; done`, func(c *Command, _ *os.File) { c.MaxMemory = 64 << 20 })
	if !got.TooBig || got.Status != 137 {
		t.Errorf("%+v", got)
	}
}
