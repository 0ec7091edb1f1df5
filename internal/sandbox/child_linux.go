package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// childWord is the first argument of the processes that a sandbox starts from
// its own program, before what they are for. They talk to their parent over
// the socket parentSocket.
const (
	childWord    = "__sandbox"
	parentSocket = 3
)

// statusFailed is the exit code of a child that cannot set up its sandbox.
const statusFailed = 125

// Child must be called first thing by every program that makes sandboxes: they
// start the program anew to set themselves up. In such a process it does so and
// never returns. In every other it returns at once.
func Child() {
	if len(os.Args) < 3 || os.Args[1] != childWord {
		return
	}
	runtime.LockOSThread() // capabilities and filters belong to threads
	unix.CloseOnExec(parentSocket)
	switch os.Args[2] {
	case "netns":
		tellParent(netnsChild(os.Args[3], os.Args[4:]))
	case "maker":
		makeSockets()
	case "guard":
		guard(os.Args[3:])
	}
	os.Exit(statusFailed)
}

// A setupError is a step of the child that failed. It reads on from "cannot".
type setupError struct {
	step string
	err  error
}

// Error returns the step and its cause.
func (e *setupError) Error() string { return fmt.Sprintf("cannot %s: %v", e.step, e.err) }

// tellParent reports why the child did not become the command.
func tellParent(err error) {
	report := setupReport{Failed: err.Error()}
	if e, ok := errors.AsType[*setupError](err); ok {
		report.Failed = e.step
		err = e.err
	}
	report.Errno, _ = errors.AsType[syscall.Errno](err)
	_ = sendReport(report) // a parent that is gone needs none
}

func sendReport(report setupReport, files ...int) error {
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return unix.Sendmsg(parentSocket, text, unix.UnixRights(files...), nil, 0)
}

// netnsChild sets up the namespaces that this process is in and becomes the
// command. It returns only errors.
func netnsChild(path string, args []string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn()...) // they are for the command
	var order [1 << 16]byte
	length, err := unix.Read(parentSocket, order[:])
	if err != nil {
		return &setupError{"read the settings of the sandbox", err}
	}
	var s settings
	if err := json.Unmarshal(order[:length], &s); err != nil {
		return &setupError{"read the settings of the sandbox", err}
	}
	if err := checkNamespaces(s); err != nil {
		return err
	}
	if err := addAddresses(s.Metadata); err != nil {
		return err
	}
	if s.IPv6 {
		if err := addAddress6(worldAddress6); err != nil {
			return &setupError{"add an address of IPv6", err}
		}
	}
	if err := claimOutside(s.Metadata); err != nil {
		return err
	}
	if err := replaceEtc(s); err != nil {
		return err
	}
	if err := showFolders(s.Mounts); err != nil {
		return err
	}
	if err := handOver(s); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	select {
	case sig := <-signals:
		signal.Reset(sig)
		_ = unix.Kill(os.Getpid(), sig.(syscall.Signal))
	default:
	}
	return &setupError{"execute", unix.Exec(path, args, os.Environ())}
}

// checkNamespaces makes sure that nothing of this machine can be changed by what
// comes next.
func checkNamespaces(s settings) error {
	network, mount, err := namespaces()
	if err != nil {
		return &setupError{"look at the namespaces of the sandbox", err}
	}
	if network == s.NetNS || mount == s.MntNS || s.NetNS == "" || s.MntNS == "" {
		return &setupError{"leave the namespaces of this machine", unix.EINVAL}
	}
	return nil
}

// handOver gives the parent its sockets and waits for its word.
func handOver(s settings) error {
	files, watches, err := openSockets(s)
	if err != nil {
		return err
	}
	report := setupReport{Watches: watches}
	if s.Publish {
		end, pid, err := startMaker()
		if err != nil {
			return &setupError{"start the process that makes sockets", err}
		}
		files, report.Maker = append(files, end), pid
	}
	if err := sendReport(report, files...); err != nil {
		return &setupError{"hand over the sockets of the sandbox", err}
	}
	for _, f := range files {
		_ = unix.Close(f)
	}
	var word [8]byte
	if n, err := unix.Read(parentSocket, word[:]); err != nil || n == 0 {
		os.Exit(statusFailed) // the parent is gone
	}
	return nil
}

// dropCapabilities takes care that nothing in the sandbox can undo it. With the
// next execve, users other than root lose what was given to this process.
func dropCapabilities() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return &setupError{"drop capabilities", err}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // of 32 capabilities each
	if err := unix.Capget(&header, &data[0]); err != nil {
		return &setupError{"read capabilities", err}
	}
	if os.Geteuid() == 0 { // who gets all that the bounding set has
		for _, c := range []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN} {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				return &setupError{"drop capabilities", err}
			}
		}
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return &setupError{"drop capabilities", err}
	}
	return nil
}
