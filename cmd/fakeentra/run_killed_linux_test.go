package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// Whoever is killed cannot tidy up. What run has started ends all the same, and
// so does what that has started; its files are gone, those of a host, too.
func TestRunLeavesNothingWhenItIsKilled(t *testing.T) {
	toolchain.Program(t, "setsid")
	inEachMode(t, testRunKilled)
}

func testRunKilled(t *testing.T, mode string) {
	for name, scenario := range map[string][]string{
		"virtual machine": {"--scenario", "msi-fic-blob"},
		"pod":             {"--scenario", "aks"},
		"Azure Arc":       {"--scenario", "every-source", "--host", "server"},
	} {
		if name == "Azure Arc" && mode != "netns" && mode != auto {
			continue // its folder is that of an agent, for root alone
		}
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			words := append([]string{"run", "--fresh-keys", "--mode", mode}, scenario...)
			run := exec.CommandContext(t.Context(), "fakeentra", append(words, "--", "sh", "-c", `(setsid sh -c 'echo $$; exec sleep 600' &) & echo $$; sleep 600 & wait`)...)
			run.Env = append(os.Environ(), "TMPDIR="+folder)
			out, err := run.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(out)
			processes := []int{pidfdIn(t, lines), pidfdIn(t, lines)}
			awaitGuardOf(t, run.Process.Pid)
			if err := run.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = run.Process.Release()
			for _, process := range processes {
				n, err := 0, error(unix.EINTR)
				for err == unix.EINTR {
					n, err = unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, int(deadline.Milliseconds()))
				}
				if n != 1 {
					t.Errorf("a process is still there: %v", err)
				}
			}
			for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
				left, err := os.ReadDir(folder)
				if err == nil && len(left) == 0 {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("temporary files are left: %v, %v", left, err)
				}
			}
		})
	}
}

// pidfdIn holds on to the process whose number is the next line.
func pidfdIn(t *testing.T, lines *bufio.Reader) int {
	t.Helper()
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0) // it should be gone
		_ = unix.Close(fd)
	})
	return fd
}

// awaitGuardOf waits until a process has one more child than its command.
func awaitGuardOf(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		lists, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, list := range lists {
			content, _ := os.ReadFile(list) // a thread may be gone
			count += len(strings.Fields(string(content)))
		}
		if count == 2 {
			return
		}
	}
	t.Fatal("there is no guard")
}
