package sandbox

import "golang.org/x/sys/unix"

const (
	nativeArch = unix.AUDIT_ARCH_AARCH64
	sysOpen    = -1 // there is no open(2): musl uses openat(2), as everything else does
	otherABI   = 0  // there is no other ABI of this architecture
)

// foreignCalls are the numbers of connect(2) and sendto(2) in 32-bit programs
// (arch/arm/tools/syscall.tbl).
var foreignCalls = []uint32{283, 290}
