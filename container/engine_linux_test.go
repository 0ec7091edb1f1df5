package container

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// enterNetworkOfEngine runs this test program anew in the network of the engine,
// where ports are published, if that is not the network of this machine, as with
// container/engine. It leaves an engine alone that it cannot look at.
func enterNetworkOfEngine() {
	socket, local := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	engine, err := processAt(socket)
	if !local || err != nil {
		return
	}
	theirs := fmt.Sprintf("/proc/%d/ns/net", engine)
	there, err := os.Readlink(theirs)
	here, failed := os.Readlink("/proc/self/ns/net")
	nsenter, missing := exec.LookPath("nsenter")
	if err != nil || failed != nil || missing != nil || there == here {
		return
	}
	if err := syscall.Exec(nsenter, append([]string{nsenter, "--net=" + theirs, "--"}, os.Args...), os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, "cannot enter the network of the engine:", err)
	}
}

// processAt returns the process that listens at a socket.
func processAt(socket string) (int32, error) {
	connection, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return 0, err
	}
	defer func() { _ = connection.Close() }()
	raw, err := connection.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || failed != nil {
		return 0, fmt.Errorf("%w, %w", err, failed)
	}
	return peer.Pid, nil
}
