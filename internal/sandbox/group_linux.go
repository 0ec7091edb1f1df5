package sandbox

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// LimitsMemory says whether [Group] honours Command.MaxMemory here.
const LimitsMemory = true

// wait waits until the command has ended, and leaves it to be waited for, so that its
// number is not given to another process or group.
func (g group) wait() { waitable(g.Process.Pid) }

// sweep kills what is left of the group, and returns the names of its programs. Those
// that they start meanwhile are found in the next round.
func (g group) sweep() []string {
	var names []string
	for round := 0; round < maxRounds; round++ {
		left := g.left()
		if len(left) == 0 {
			break
		}
		if round == 0 {
			names = left
		}
		_ = unix.Kill(-g.Process.Pid, unix.SIGKILL)
	}
	return names
}

// left returns the names of the programs of the group that run, but for the command
// (proc_pid_stat(5)).
func (g group) left() []string {
	const state, number = 0, 2 // of the fields behind the name, which is in parentheses
	var names []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err != nil || pid == g.Process.Pid {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
		if err != nil || begin < 0 || end < begin {
			continue // it has ended
		}
		fields := bytes.Fields(text[end+1:])
		if len(fields) > number && string(fields[number]) == strconv.Itoa(g.Process.Pid) && string(fields[state]) != "Z" {
			names = append(names, string(text[begin+1:end]))
		}
	}
	return names
}
