//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// familyVariable is in the environment of all processes of a command. Nothing
// else tells them from others once this process is gone: they are not in a
// namespace, and those whose parent ended belong to init.
const familyVariable = "FAKEENTRA_FAMILY"

// guardDelay is how long a command runs before it gets a guard. Most commands
// that end earlier have nobody to leave behind, and should start fast.
const guardDelay = 20 * time.Millisecond

// newFamily names the processes of a command.
func newFamily() string { return fmt.Sprintf("%d.%d", os.Getpid(), time.Now().UnixNano()) }

// keepGuard has a process beside this one until done is. That process kills the
// family when this one is killed, or when ctx is done. The command itself needs
// no guard.
func keepGuard(ctx, done context.Context, family string) {
	select {
	case <-done.Done():
		return
	case <-time.After(guardDelay):
	}
	read, write, err := os.Pipe()
	if err != nil {
		return
	}
	defer func() { _ = read.Close() }()
	c := Command{Path: "/proc/self/exe", Args: []string{"fakeentra", childWord, "guard", family}}
	guard, err := startProcess(c, []string{}, &syscall.SysProcAttr{Setsid: true}, read) // what is typed is not for it
	if err != nil {
		_ = write.Close()
		return
	}
	<-done.Done()
	if ctx.Err() == nil { // the command has ended by itself, and what it left may stay
		guard.kill()
	}
	_ = write.Close()
	guard.wait()
}

// guard waits for the end of the parent, and kills a family, the only argument.
func guard(args []string) {
	if len(args) != 1 {
		return
	}
	var b [1]byte
	for {
		if _, err := unix.Read(parentSocket, b[:]); err != unix.EINTR {
			break
		}
	}
	for killFamily(args[0]) {
	}
}

// killFamily kills all processes of a family that there are, waits for their
// ends, and reports whether there were any: they may have had children.
func killFamily(family string) bool {
	found := false
	entries, _ := os.ReadDir("/proc") // without it, nobody is found
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && killMember(pid, family) {
			found = true
		}
	}
	return found
}

// killMember holds on to the process before it looks, so that nobody else is
// killed under its number.
func killMember(pid int, family string) bool {
	const patience = 1000 // ms
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+familyVariable+"="+family+"\x00")) {
		return false
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return false
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience) // whoever is late is found again
	return true
}
