package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/internal/sandbox/nofile"
)

// childWord is the first argument of the processes that a sandbox starts from
// its own program, before what they are for. They talk to their parent over
// the socket parentSocket.
const (
	childWord    = "__sandbox"
	parentSocket = 3
)

// statusFailed is the exit code of a child that cannot do what it is for.
const statusFailed = 125

// Child must be called first thing by every program that makes sandboxes: they
// start the program anew for what must go on beside them. In such a process it
// does so and never returns. In every other it returns at once.
func Child() {
	if len(os.Args) < 3 || os.Args[1] != childWord {
		return
	}
	runtime.LockOSThread()
	unix.CloseOnExec(parentSocket)
	switch os.Args[2] {
	case "maker":
		makeSockets()
	case "guard":
		guard(os.Args[3:])
	case "occupant":
		occupy(os.Args[3:])
	}
	os.Exit(statusFailed)
}

// A setupError is a step towards a sandbox that failed. It reads on from
// "cannot".
type setupError struct {
	step string
	err  error
}

// Error returns the step and its cause.
func (e *setupError) Error() string { return fmt.Sprintf("cannot %s: %v", e.step, e.err) }

// Unwrap returns the cause.
func (e *setupError) Unwrap() error { return e.err }

// The words that the parent says to a child that waits for them.
const (
	wordSettled = "settled" // in its user namespace
	wordServed  = "served"  // are the sockets that it handed over
)

// follow makes the child end with the parent, and wait until the parent has
// settled it.
func (p *plan) follow(parent int) {
	p.add("close a file", unix.SYS_CLOSE, parent) // whose end the child could not see otherwise
	p.add("end with its parent", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, int(unix.SIGKILL), 0, 0, 0)
	p.await(wordSettled)
}

// changeFiles changes what the child sees of the file system.
func (p *plan) changeFiles(etc map[string][]byte, overlaid bool, mounts []Mount) error {
	const purpose = "set the umask"
	old := p.add(purpose, unix.SYS_UMASK, 0o022).toResult() // every user inside may read what is written
	if err := p.replaceEtc(etc, overlaid); err != nil {
		return &setupError{"mount the files of /etc", err}
	}
	if err := p.showFolders(mounts); err != nil {
		return err
	}
	p.add(purpose, unix.SYS_UMASK, old)
	return nil
}

// dropCapabilities takes care that nothing in the sandbox can undo it. With the
// next execve, users other than root lose all that they have in its namespaces,
// and root has what is in the bounding set.
func (p *plan) dropCapabilities() {
	if os.Geteuid() != 0 {
		return
	}
	for _, capability := range []int{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN} {
		p.add("drop capabilities", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
	}
}

// become makes the child the command. Variables that depend on the sandbox are
// set.
func (p *plan) become(c Command) error {
	const purpose = "set its input and output"
	var files []*int32
	for _, f := range []*os.File{c.Stdin, c.Stdout, c.Stderr} {
		if f == nil {
			files = append(files, p.open(purpose, os.DevNull, unix.O_RDWR))
		} else {
			files = append(files, p.aside(purpose, int(f.Fd())))
		}
	}
	for number, fd := range files {
		p.add(purpose, unix.SYS_DUP3, fd, number, 0)
	}
	if limit, ok := nofile.AtStart(); ok {
		p.add("restore the limit of open files", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, unsafe.Pointer(&limit), 0)
	}
	env := slices.Clone(c.Env)
	if c.Environ != nil {
		env = append(env, c.Environ(caFile, bundleFile)...)
	}
	env = append(env, javaOptions(c.Trusted.javaFolder(), env, cacertsFile)...)
	return p.execute("execute the command", c.Path, c.Args, unambiguous(env))
}
