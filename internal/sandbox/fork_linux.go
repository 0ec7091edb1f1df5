package sandbox

import (
	"syscall"
	"unsafe"
)

// What the runtime has for package syscall, and for others who fork: it keeps
// signals away while there are two processes with the same handlers, and makes
// every attempt to grow the stack fatal, so that a mistake here is found.

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// carryOut forks, and returns in the parent only. In the child, where no other
// thread is and the runtime does not work, it may call nothing but the kernel:
// no function that could grow the stack, allocate, or be watched by the race
// detector, which may wait for a lock that another thread had. See
// forkAndExecInChild1 in syscall/exec_linux.go. RawSyscall6 is that of package
// syscall: x/sys/unix comes to it from assembly, for which the compiler makes a
// wrapper, and with -race that wrapper is watched (see what go tool objdump shows of
// syscall.RawSyscall6.abi0).
//
//go:noinline
//go:norace
//go:nocheckptr
func (p *plan) carryOut(flags uintptr) (pid uintptr, errno syscall.Errno) {
	beforeFork()
	pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		afterFork()
		return pid, errno
	}
	at := 0
	for at < len(p.moves) {
		m := &p.moves[at]
		at++
		args := m.args
		for i, value := range m.values {
			if value != nil {
				args[i] = uintptr(*value)
			}
		}
		if m.call == syscall.SYS_EXECVE {
			afterForkInChild() // from here on, signals do what they would to the command
		}
		result, _, errno := syscall.RawSyscall6(m.call, args[0], args[1], args[2], args[3], args[4], args[5])
		switch {
		case errno != 0 && (errno == m.forgive[0] || errno == m.forgive[1]):
			at += m.spare
			continue
		case errno != 0:
			p.report.errno = int32(errno)
		case m.want >= 0 && int(result) != m.want:
			p.report.errno = int32(syscall.EIO)
		default:
			if m.result != nil {
				*m.result = int32(result)
			}
			if m.call != syscall.SYS_CLONE || result != 0 {
				at += m.skip
			}
			continue
		}
		p.report.move = int32(at - 1)
		break
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p.socket), uintptr(unsafe.Pointer(&p.report)), uintptr(sizeofReport))
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, statusFailed, 0, 0)
	}
}
