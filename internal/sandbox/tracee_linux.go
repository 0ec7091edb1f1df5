//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pidfdThread is PIDFD_THREAD (linux/pidfd.h).
const pidfdThread = unix.O_EXCL

// memory reads up to n bytes at an address of a thread. It fails for programs
// that may not be read, such as those without permission to read their file.
func memory(tid uint32, address uint64, n int) ([]byte, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, n)
	read, err := unix.Pread(int(f.Fd()), b, int64(address))
	if err != nil {
		return nil, unix.EFAULT
	}
	return b[:read], nil
}

// copyFD returns a descriptor of the file that a thread has under a number.
func copyFD(tid uint32, fd int) (int, error) {
	// The kernel takes threads since Linux 6.9, and only processes before.
	pidfd, err := unix.PidfdOpen(int(tid), pidfdThread)
	if err != nil {
		pidfd, err = unix.PidfdOpen(process(tid), 0)
	}
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(pidfd) }()
	return unix.PidfdGetfd(pidfd, fd, 0)
}

// process returns the process of a thread, or the thread if it is gone.
func process(tid uint32) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
		return pid
	}
	return int(tid)
}

// inode returns the number of the socket that a thread has under a number. The
// copies of a socket share it.
func inode(tid uint32, fd int) (uint64, bool) {
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
	if err != nil {
		return 0, false
	}
	number, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	return n, err == nil
}

// inodeOf is inode for a descriptor of this process.
func inodeOf(fd int) (uint64, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	return stat.Ino, err
}

// fileFlags returns the flags of open(2) that a thread has for a file.
func fileFlags(tid uint32, fd int) int {
	info, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", tid, fd))
	_, rest, _ := strings.Cut(string(info), "flags:")
	line, _, _ := strings.Cut(rest, "\n")
	flags, _ := strconv.ParseInt(strings.TrimSpace(line), 8, 64)
	return int(flags)
}
