package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// LimitsMemory says whether [Group] honours Command.MaxMemory here.
const LimitsMemory = true

// wait waits until the command has ended, and leaves it to be waited for, so that its
// number is not given to another process or group.
func (g group) wait() { waitable(g.Process.Pid) }

// groupVariable is in the environment of all that a command of a group starts. It is
// not [familyVariable]: a group may be part of a family, whose guard has to find it.
const groupVariable = "FAKEENTRA_GROUP"

// newGroup returns the group of a command that is not started yet.
func newGroup(c *exec.Cmd) group {
	g := group{c, groupVariable + "=" + newFamily()}
	c.Env = append(c.Env, g.mark)
	return g
}

// sweep kills what is left of the command, and returns the names of its programs.
func (g group) sweep() []string {
	names := killAll(g.has)
	_ = unix.Kill(-g.Process.Pid, unix.SIGKILL) // at once, however fast they are born
	sweep(g.has)
	return names
}

// has reports whether a process is in the group, or started by what was, and runs. The
// command itself does not.
func (g group) has(pid int) bool {
	if pid == g.Process.Pid {
		return false
	}
	s, ok := stateOf(pid)
	return ok && !s.ended && (s.group == g.Process.Pid || carries(pid, g.mark))
}

// A processState is what proc_pid_stat(5) says of a process.
type processState struct {
	ended         bool // and its parent has not noticed
	parent, group int
}

func stateOf(pid int) (s processState, ok bool) {
	const state, parent, group = 0, 1, 2 // of the fields behind the name, which is in parentheses
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if err != nil || len(fields) <= group {
		return s, false // it has ended
	}
	s.ended = string(fields[state]) == "Z"
	s.parent, _ = strconv.Atoi(string(fields[parent])) // which the kernel wrote
	s.group, _ = strconv.Atoi(string(fields[group]))
	return s, true
}

// KnowsHolders says whether [Holders] can list any here.
const KnowsHolders = true

// Holders lists the programs that hold an end of a pipe open, by name and number, but
// for this process and its children: they hold what it does until they are another
// program. It lists none that this user may not look into.
func Holders(pipe *os.File) []string {
	var of unix.Stat_t
	conn, err := pipe.SyscallConn()
	if err == nil {
		err = conn.Control(func(fd uintptr) { _ = unix.Fstat(int(fd), &of) }) // it is open
	}
	if err != nil {
		return nil // it was closed
	}
	link := fmt.Sprintf("pipe:[%d]", of.Ino)
	var all []string
	for _, pid := range processes() {
		if pid != os.Getpid() && holds(pid, link) {
			if s, ok := stateOf(pid); ok && s.parent != os.Getpid() {
				all = append(all, fmt.Sprintf("%s (process %d)", nameOf(pid), pid))
			}
		}
	}
	return all
}

// holds reports whether a process has a file open, as the links of /proc have it.
func holds(pid int, link string) bool {
	folder := fmt.Sprintf("/proc/%d/fd/", pid)
	files, err := os.ReadDir(folder)
	if err != nil {
		return false // it has ended, or is another user's
	}
	return slices.ContainsFunc(files, func(f os.DirEntry) bool {
		to, err := os.Readlink(folder + f.Name())
		return err == nil && to == link
	})
}
