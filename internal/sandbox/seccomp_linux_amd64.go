package sandbox

import "golang.org/x/sys/unix"

const (
	nativeArch = unix.AUDIT_ARCH_X86_64
	// sysOpen is the system call by which musl opens files. glibc and Go use
	// openat(2), and so are left alone.
	sysOpen = unix.SYS_OPEN
	// otherABI is the bit in the numbers of system calls of the x32 ABI, which
	// has the architecture of the native one (asm/unistd.h).
	otherABI = 0x40000000
)

// foreignCalls are the numbers of connect(2), sendto(2) and socketcall(2) in 32-bit
// programs (arch/x86/entry/syscalls/syscall_32.tbl).
var foreignCalls = []uint32{362, 369, 102}
