package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// guide passes Command.Signals on until the child has ended, and leaves nothing of
// it behind.
func (n *netns) guide(c Command) Result {
	network, err := os.Readlink(namespaceOf(n.child.pid))
	return n.child.guide(c, nil, func() []string {
		if err != nil { // it had ended already
			return nil
		}
		return sweep(isIn(network))
	})
}

// guide is for all children that lead a process group. It does what it is asked
// for meanwhile. sweep kills what they left running, and returns the names.
func (c *child) guide(command Command, asked <-chan func(), sweep func() []string) Result {
	var result Result
	ended := make(chan struct{})
	go func() {
		waitable(c.pid)
		close(ended)
	}()
	look := time.NewTicker(memoryInterval)
	defer look.Stop()
	for running := true; running; {
		select {
		case sig := <-command.Signals:
			_ = unix.Kill(-c.pid, sig.(unix.Signal)) // it fails when the group has just ended
		case do := <-asked:
			do()
		case <-look.C:
			if command.MaxMemory > 0 && memoryOf(c.pid) > command.MaxMemory {
				result.TooBig = true
				c.kill()
			}
		case <-ended:
			running = false
		}
	}
	result.Left = sweep()
	result.Status = c.end()
	return result
}

// waitable waits until a child has ended, but leaves it to be waited for, so that
// its number is not given to another process.
func waitable(pid int) {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return
		}
	}
}

// memoryOf returns how much memory a process has (proc_pid_statm(5)).
func memoryOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	columns := bytes.Fields(text)
	if err != nil || len(columns) < 2 {
		return 0 // it has ended
	}
	pages, _ := strconv.ParseInt(string(columns[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

func namespaceOf(pid int) string { return fmt.Sprintf("/proc/%d/ns/net", pid) }

// isIn picks the processes in a network.
func isIn(network string) func(pid int) bool {
	return func(pid int) bool {
		in, err := os.Readlink(namespaceOf(pid))
		return err == nil && in == network
	}
}

// sweep kills all processes that a function picks and returns their names. Those that
// they start meanwhile are found in the next round.
func sweep(wanted func(pid int) bool) []string {
	var names []string
	for round := 0; round < maxRounds; round++ {
		killed := killAll(wanted)
		if len(killed) == 0 {
			break
		}
		if round == 0 {
			names = killed
		}
	}
	return names
}

// maxRounds is how often sweep looks for processes that are born faster than they
// are killed.
const maxRounds = 100

func killAll(wanted func(pid int) bool) []string {
	var names []string
	for _, pid := range processes() {
		if !wanted(pid) {
			continue
		}
		name := nameOf(pid)
		if killOne(pid, wanted) {
			names = append(names, name)
		}
	}
	return names
}

// nameOf returns what a process is called (proc_pid_comm(5)).
func nameOf(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return string(bytes.TrimSpace(name))
}

// killOne kills a process, if it is still wanted, and waits for its end.
func killOne(pid int, wanted func(pid int) bool) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false // it has ended
	}
	defer func() { _ = unix.Close(fd) }()
	if !wanted(pid) { // it is another one by now
		return false
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return false
	}
	for err = unix.EINTR; err == unix.EINTR; { // a process cannot put off its end
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
	}
	return true
}
