//go:build unix

package sandbox

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// signal does nothing when the group has ended.
func (g group) signal(s os.Signal) {
	if number, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(-g.Process.Pid, number)
	}
	if s == os.Kill {
		_ = g.Process.Kill() // the command may have left its group
	}
}
