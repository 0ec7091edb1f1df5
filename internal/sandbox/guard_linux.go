package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// familyVariable is in the environment of all processes of a command that has no
// network of its own. Nothing else tells them from others once this process is
// gone: those whose parent ended belong to init.
const familyVariable = "FAKEENTRA_FAMILY"

// guardDelay is how long a command runs before it gets a guard. Most commands
// that end earlier have nobody to leave behind, and should start fast.
const guardDelay = 20 * time.Millisecond

// A guarded is what must not outlive this process: all that its command has
// started, and temporary folders.
type guarded struct {
	family  string   // that is in familyVariable of its processes
	network string   // that its processes are in, as /proc has it, or nothing
	folders []string // to be removed
}

// newFamily names the processes of a command.
func newFamily() string {
	return fmt.Sprintf("%d.%d.%d", os.Getpid(), time.Now().UnixNano(), families.Add(1))
}

var families atomic.Int64 // that there were

// ofFamily returns what a command is told for its family to be found.
func (c Command) ofFamily(family string) []string {
	return append(c.Env[:len(c.Env):len(c.Env)], familyVariable+"="+family)
}

// keep has a process beside this one until done is. That process ends what is
// guarded when this one is killed, or when ctx is done.
func (g guarded) keep(ctx, done context.Context) {
	if len(g.folders) == 0 {
		select {
		case <-done.Done():
			return
		case <-time.After(guardDelay):
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return
	}
	defer func() { _ = read.Close() }()
	c := Command{Path: "/proc/self/exe", Args: append([]string{"fakeentra", childWord, "guard", g.family, g.network}, g.folders...)}
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

// guard waits for the end of the parent, and ends what its arguments say.
func guard(args []string) {
	if len(args) < 2 {
		return
	}
	g := guarded{family: args[0], network: args[1], folders: args[2:]}
	var b [1]byte
	for {
		if _, err := unix.Read(parentSocket, b[:]); err != unix.EINTR {
			break
		}
	}
	g.end()
}

func (g guarded) end() {
	for g.killAll() {
	}
	for _, folder := range g.folders {
		_ = os.RemoveAll(folder) // nobody is left to hear of an error
	}
}

// killAll kills all processes that there are, waits for their ends, and reports
// whether there were any: they may have had children.
func (g guarded) killAll() bool {
	found := false
	entries, _ := os.ReadDir("/proc") // without it, nobody is found
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != os.Getpid() && g.kill(pid) {
			found = true
		}
	}
	return found
}

// kill holds on to the process before it looks, so that nobody else is killed
// under its number.
func (g guarded) kill(pid int) bool {
	const patience = 1000 // ms
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	if !g.has(pid) {
		return false
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return false
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience) // whoever is late is found again
	return true
}

// has reports whether a process is one of them. What cannot be looked into is not.
func (g guarded) has(pid int) bool {
	if g.network != "" {
		network, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		return err == nil && network == g.network
	}
	return carries(pid, familyVariable+"="+g.family)
}

// carries reports whether a process was started with a variable, in the form of
// [os.Environ]. What cannot be looked into was not.
func carries(pid int, variable string) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+variable+"\x00"))
}
