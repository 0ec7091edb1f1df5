package toolchain

import (
	"os/exec"
	"syscall"
)

// Namespaces reports why users of this machine cannot make a network and mounts
// of their own, by the word of the kernel alone.
func Namespaces() error {
	cmd := exec.Command("true")
	// Some kernels give a namespace without any power over it. To unshare mounts
	// changes them, which takes power.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS}
	return cmd.Run()
}
