//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A variant is how this process gets at the sockets of a program.
type variant byte

const (
	// duplicate copies a socket when the program connects it, by
	// pidfd_getfd(2) (Linux 5.6). Nothing else is noticed.
	duplicate variant = 'd'
	// install makes the sockets here, and puts them into the program when it
	// asks for one (Linux 5.9). It is for containers: Docker's seccomp profile
	// forbids pidfd_getfd(2) without CAP_SYS_PTRACE.
	install variant = 'i'
)

// Offsets into struct seccomp_data (linux/seccomp.h). Arguments have 64 bits,
// and both architectures are little-endian.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

// filter returns the program that decides, for each system call, who answers
// it: mostly the kernel, and this process where a way out of the sandbox
// begins.
func filter(v variant) []unix.SockFilter {
	f := []unix.SockFilter{load(offsetArch)}
	f = append(f, unless(nativeArch, foreign()...)...)
	f = append(f, load(offsetCall))
	if otherABI != 0 {
		f = append(f, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: otherABI, Jf: 1}, fail(unix.ENOSYS))
	}
	// A ring connects without a system call. Programs take its absence well:
	// most container engines forbid it.
	f = append(f, when(unix.SYS_IO_URING_SETUP, fail(unix.ENOSYS))...)
	f = append(f, when(unix.SYS_CONNECT, ask())...)
	f = append(f, when(unix.SYS_SENDTO, load(offsetArgs+4*8), jump(0, 0, 2), load(offsetArgs+4*8+4), jump(0, 1, 0), ask(), allow())...)
	if sysOpen >= 0 {
		f = append(f, when(uint32(sysOpen&0x7fffffff), ask())...)
	}
	if v == install {
		f = append(f, when(unix.SYS_BIND, ask())...)
		f = append(f, when(unix.SYS_SOCKET, load(offsetArgs), jump(unix.AF_INET, 1, 0), jump(unix.AF_INET6, 0, 1), ask(), allow())...)
	}
	return append(f, allow())
}

// foreign treats 32-bit programs, whose calls this process cannot read: they do
// not get out.
func foreign() []unix.SockFilter {
	f := []unix.SockFilter{load(offsetCall)}
	for _, call := range foreignCalls {
		f = append(f, when(call, fail(unix.ENETUNREACH))...)
	}
	return append(f, allow())
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// jump skips as many instructions as it is told, if what was loaded is k or not.
func jump(k uint32, equal, other int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: uint8(equal), Jf: uint8(other)}
}

// when executes a body, which must end the program, if what was loaded is k.
func when(k uint32, body ...unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{jump(k, 0, len(body))}, body...)
}

// unless executes a body, which must end the program, if what was loaded is not k.
func unless(k uint32, body ...unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{jump(k, len(body), 0)}, body...)
}

func end(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

func allow() unix.SockFilter                { return end(unix.SECCOMP_RET_ALLOW) }
func ask() unix.SockFilter                  { return end(unix.SECCOMP_RET_USER_NOTIF) }
func fail(errno unix.Errno) unix.SockFilter { return end(unix.SECCOMP_RET_ERRNO | uint32(errno)) }

// confine puts the filter on this thread, for good, and on every process that it
// starts. The listener is where the calls are read. killable says whether a call
// that was read is not restarted by signals (Linux 5.19).
func confine(v variant) (l listener, killable bool, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, false, err
	}
	f := filter(v)
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	for _, flags := range []uintptr{unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER} {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		if errno == 0 {
			return listener(fd), flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0, nil
		}
		err = errno
	}
	return 0, false, err
}

// A call is a system call that waits for an answer: struct seccomp_notif.
type call struct {
	id   uint64
	tid  uint32 // the thread that called
	_    uint32
	nr   int32
	arch uint32
	_    uint64
	args [6]uint64
}

// A reply is struct seccomp_notif_resp.
type reply struct {
	id    uint64
	value int64
	errno int32 // negative
	flags uint32
}

// addition is struct seccomp_notif_addfd.
type addition struct {
	id       uint64
	flags    uint32
	source   uint32
	target   uint32
	newFlags uint32
}

// A listener is where the calls of a filter are read and answered.
type listener int

func (l listener) ioctl(request uintptr, argument unsafe.Pointer) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l), request, uintptr(argument))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// receive fails with ENOENT if the caller was killed meanwhile.
func (l listener) receive() (*call, error) {
	c := new(call) // the kernel demands zeros
	_, err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(c))
	return c, err
}

// send fails if the caller was killed, and then nobody minds.
func (l listener) send(r reply) { _, _ = l.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)) }

// waits reports whether a call still waits. If so, what was read of its thread
// before was indeed of that thread, and not of a later one under its number
// (seccomp_unotify(2)).
func (l listener) waits(id uint64) bool {
	_, err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id))
	return err == nil
}

// give puts a file into the calling program and makes its number the result of
// the call, in one step where the kernel can (Linux 5.14).
func (l listener) give(id uint64, fd int, cloexec bool) error {
	a := addition{id: id, source: uint32(fd), flags: unix.SECCOMP_ADDFD_FLAG_SEND}
	if cloexec {
		a.newFlags = unix.O_CLOEXEC
	}
	_, err := l.add(a)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	a.flags = 0
	n, err := l.add(a)
	if err == nil {
		l.send(reply{id: id, value: int64(n)})
	}
	return err
}

// replace puts a file in the place of another one of the calling program.
func (l listener) replace(id uint64, fd, place int, cloexec bool) error {
	a := addition{id: id, source: uint32(fd), target: uint32(place), flags: unix.SECCOMP_ADDFD_FLAG_SETFD}
	if cloexec {
		a.newFlags = unix.O_CLOEXEC
	}
	_, err := l.add(a)
	return err
}

// add keeps signals from its thread. One that came before the program has taken
// the file would leave the call answered without it, with the number 0, which is
// another file: the kernel takes the file back, but not the answer
// (seccomp_notify_addfd, kernel/seccomp.c). The runtime sends signals to threads
// that it wants to preempt.
func (l listener) add(a addition) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err != nil {
		return 0, err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }()
	return l.ioctl(unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
}

// hurry makes the kernel switch to whoever answers at once, on the same
// processor, where it can (Linux 6.6).
func (l listener) hurry() {
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(l), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
}
