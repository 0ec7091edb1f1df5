//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The runtime interrupts the threads that answer whenever it likes, which is
// often on a busy machine. Here they are interrupted all the time.
func TestNotifyIsNotDisturbedBySignals(t *testing.T) {
	for _, mode := range []string{"duplicate", "install"} {
		cmd := sandboxed(t, order{Mode: mode}, "inside", "many=http://login.example.com/", "reuse=")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- cmd.Wait() }()
		var err error
		for running := true; running; {
			select {
			case err = <-ended:
				running = false
			default:
				interruptThreads(cmd.Process.Pid)
			}
		}
		if want := "100 of 100\nconnected\n"; out.String() != want || err != nil {
			t.Errorf("%s: %v, output %q, want %q", mode, err, out.String(), want)
		}
	}
}

// interruptThreads sends each thread the signal that Go has for that.
func interruptThreads(process int) {
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", process)) // none when it has ended
	for _, thread := range threads {
		if tid, err := strconv.Atoi(thread.Name()); err == nil {
			_ = unix.Tgkill(process, tid, unix.SIGURG) // it may have ended
		}
	}
}
