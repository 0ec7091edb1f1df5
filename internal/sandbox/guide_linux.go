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
	var result Result
	pid := n.child.pid
	network, err := os.Readlink(namespaceOf(pid))
	ended := make(chan struct{})
	go func() {
		waitable(pid)
		close(ended)
	}()
	look := time.NewTicker(memoryInterval)
	defer look.Stop()
	for running := true; running; {
		select {
		case sig := <-c.Signals:
			_ = unix.Kill(-pid, sig.(unix.Signal)) // it fails when the group has just ended
		case <-look.C:
			if c.MaxMemory > 0 && memoryOf(pid) > c.MaxMemory {
				result.TooBig = true
				n.child.kill()
			}
		case <-ended:
			running = false
		}
	}
	if err == nil { // else it had ended already
		result.Left = sweep(network)
	}
	result.Status = n.child.end()
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

// memoryInterval is how often the memory of a command is looked at.
const memoryInterval = 100 * time.Millisecond

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

// sweep kills all processes in a network and returns their names. Those that they
// start meanwhile are found in the next round.
func sweep(network string) []string {
	var names []string
	for round := 0; round < maxRounds; round++ {
		killed := killAll(network)
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

func killAll(network string) []string {
	var names []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if in, err := os.Readlink(namespaceOf(pid)); err != nil || in != network {
			continue
		}
		name, _ := os.ReadFile("/proc/" + e.Name() + "/comm")
		if killOne(pid, network) {
			names = append(names, string(bytes.TrimSpace(name)))
		}
	}
	return names
}

// killOne kills a process, if it is still in a network, and waits for its end.
func killOne(pid int, network string) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false // it has ended
	}
	defer func() { _ = unix.Close(fd) }()
	if in, err := os.Readlink(namespaceOf(pid)); err != nil || in != network { // it is another one by now
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
