//go:build !linux || !(amd64 || arm64)

// Package nofile knows how many files this process was to have open at most, when
// it was started, on Linux.
package nofile

// A Limit is struct rlimit.
type Limit struct{ Soft, Hard uint64 }

// AtStart returns nothing on this system.
func AtStart() (l Limit, ok bool) { return Limit{}, false }
