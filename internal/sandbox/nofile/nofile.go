//go:build linux && (amd64 || arm64)

// Package nofile knows how many files this process was to have open at most, when
// it was started (RLIMIT_NOFILE, getrlimit(2)). Package syscall raises the limit
// before any other can look, restores it in what it executes, and tells nobody
// what it was.
//
// Packages are initialized when those are that they import, sorted by their
// paths (cmd/link/internal/ld/inittask.go). This one imports none, and so comes
// before syscall, whose system calls work all the same.
package nofile

import "unsafe"

// A Limit is struct rlimit.
type Limit struct{ Soft, Hard uint64 }

var start = current()

// AtStart returns the limit, or nothing on systems where it is not known.
func AtStart() (l Limit, ok bool) { return start, start != Limit{} }

//go:linkname rawSyscall6 syscall.RawSyscall6
func rawSyscall6(call, a, b, c, d, e, f uintptr) (r1, r2, errno uintptr)

func current() Limit {
	const rlimitNofile = 7
	l := new(Limit)
	if _, _, errno := rawSyscall6(prlimit64, 0, rlimitNofile, 0, uintptr(unsafe.Pointer(l)), 0, 0); errno != 0 {
		return Limit{}
	}
	return *l
}
