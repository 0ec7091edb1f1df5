//go:build amd64 || arm64

package sandbox

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// The filter stays on one thread of the caller. No other has it, neither while
// the command runs nor later, and none has no-new-privileges.
func TestNotifyLeavesItsCallerAlone(t *testing.T) {
	w, err := exampleWorld(true)
	if err != nil {
		t.Fatal(err)
	}
	want := threadFields(t)
	before, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []variant{duplicate, install, duplicate} {
		result, err := notifyBy(t.Context(), v, w, Command{Path: "/bin/true", Args: []string{"true"}})
		if err != nil || result.Status != 0 || result.Leaks != nil {
			t.Fatalf("%c: %+v, %v", v, result, err)
		}
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				runtime.LockOSThread() // a thread for each; they end with it
				if got := threadFields(t); got != want {
					t.Errorf("%c: a thread has %s, had %s", v, got, want)
				}
			})
		}
		group.Wait()
	}
	after, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	if len(after) > len(before)+1 { // the poller may have come to be
		t.Errorf("%d files are open, %d were", len(after), len(before))
	}
}

// threadFields says what confines the thread that asks.
func threadFields(t *testing.T) string {
	t.Helper()
	all := ""
	for _, field := range []string{"Seccomp_filters", "NoNewPrivs"} {
		value, err := statusField(unix.Gettid(), field)
		if err != nil {
			t.Error(err)
		}
		all += field + " " + value + " "
	}
	return all
}

func TestNotifyKillsTheFamilyWhenItIsCancelled(t *testing.T) {
	w, err := exampleWorld(true)
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	statuses := make(chan int, 1)
	go func() {
		result, err := Notify(ctx, w, Command{Path: "/bin/sh", Args: []string{"sh", "-c", `sh -c 'echo $$; exec sleep 1000' & wait`}, Env: os.Environ(), Stdout: write})
		if err != nil {
			t.Error(err)
		}
		statuses <- result.Status
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	awaitGuard(t, os.Getpid())
	cancel()
	if status := <-statuses; status != 137 {
		t.Errorf("status %d, want 137", status)
	}
	awaitEnd(t, child)
	if err := write.Close(); err != nil {
		t.Error(err)
	}
}
