package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// unavailable says what this machine refused, why that usually is, and the one
// command that mends it.
func unavailable(step string, err error) error {
	return fmt.Errorf("cannot %s: %w (%w); %s", step, cause(err), ErrUnavailable, remedy(err))
}

// cause returns the number behind an error, which says it all, or the error.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// remedy finds out which of the known obstacles is in the way.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC) || kernelSays("/proc/sys/user/max_user_namespaces", "0"):
		return "user.max_user_namespaces permits no more; sudo sysctl -w user.max_user_namespaces=15000"
	case errors.Is(err, syscall.ENOENT):
		return "this machine has no folder of that kind; use --mode notify or --mode proxy"
	case kernelSays("/proc/sys/kernel/unprivileged_userns_clone", "0"):
		return "kernel.unprivileged_userns_clone permits it to root only; sudo sysctl -w kernel.unprivileged_userns_clone=1"
	case kernelSays("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"):
		return "AppArmor forbids it to programs without a profile, as on Ubuntu 24.04; sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case filtered():
		return "a seccomp filter is in force, as in Docker; start the container with --security-opt seccomp=unconfined"
	}
	return "the kernel or a security module forbids it; use --mode notify or --mode proxy"
}

func kernelSays(file, value string) bool {
	content, err := os.ReadFile(file)
	return err == nil && strings.TrimSpace(string(content)) == value
}

// filtered reports whether the system calls of this process are filtered
// (proc_pid_status(5)).
func filtered() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && strings.Contains(string(status), "\nSeccomp:\t2\n")
}
