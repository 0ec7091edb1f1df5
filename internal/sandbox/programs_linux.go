package sandbox

import (
	"os"
	"strconv"
	"strings"
)

// programs lists those in the network of a sandbox, but for the command.
func (n *netns) programs() []Program {
	return programs(func(pid int) bool {
		in, err := os.Readlink(namespaceOf(pid))
		return err == nil && in == n.network && pid != n.child.pid
	})
}

// programs lists those that a function picks by their numbers.
func programs(wanted func(pid int) bool) []Program {
	var all []Program
	for _, pid := range processes() {
		if !wanted(pid) {
			continue
		}
		if args := words(pid, "cmdline"); len(args) > 0 { // else it has ended
			all = append(all, Program{Args: args, Environ: words(pid, "environ")})
		}
	}
	return all
}

// processes lists the numbers of those that this process sees.
func processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// words are the ones of a file of a process, each of which ends with a zero
// (proc(5)).
func words(pid int, file string) []string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + file)
	if err != nil || len(text) == 0 {
		return nil // it has ended
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}
