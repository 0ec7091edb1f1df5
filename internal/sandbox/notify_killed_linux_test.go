package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A command that is killed takes with it what watched over it: the sandbox ends
// as the command did, and neither a process nor a file of it stays behind.
func TestNotifyLeavesNothingWhenItsCommandIsKilled(t *testing.T) {
	for _, mode := range []string{"duplicate", "install"} {
		t.Run(mode, func(t *testing.T) {
			folder := t.TempDir()
			t.Setenv("TMPDIR", folder)
			p := startPiped(t, mode, `echo $$; exec sleep 1000`)
			command := p.process(t)
			awaitGuard(t, p.Process.Pid)
			var watched []int
			for _, pid := range children(t, p.Process.Pid) {
				watched = append(watched, hold(t, pid))
			}
			if err := unix.PidfdSendSignal(command, unix.SIGKILL, nil, 0); err != nil {
				t.Fatal(err)
			}
			if state, err := p.Process.Wait(); err != nil || state.ExitCode() != 128+int(syscall.SIGKILL) {
				t.Errorf("%v, %v; want exit code 137", state, err)
			}
			for _, process := range append(watched, command) {
				awaitEnd(t, process)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("files are left: %v, %v", left, err)
			}
		})
	}
}

// children are the processes that a process has started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, list := range lists {
		numbers, _ := os.ReadFile(list) // the thread may have ended
		for _, number := range strings.Fields(string(numbers)) {
			child, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, child)
		}
	}
	return all
}

// hold keeps the number of a process from being that of another one.
func hold(t *testing.T, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
