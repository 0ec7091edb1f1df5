package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A plan is what a fork of this process does before it becomes a command: system
// calls, and nothing else, because the rest of a Go program does not survive a
// fork. To start this program anew for it, and do it in Go, takes five
// milliseconds.
//
// The fork has a copy of the memory of this process, so whatever moves point to
// must be there by then.
type plan struct {
	moves    []move
	keep     []any // what moves point to
	reserved []int // files of this process that hold numbers, or are for the fork
	report   report
	gifts    gifts
	socket   int // of the fork, to the parent
}

// A move is one system call. When it fails the plan ends there, and is reported.
type move struct {
	purpose string // reads on from "cannot"
	call    uintptr
	args    [6]uintptr
	values  [6]*int32     // results of earlier moves, instead of args
	result  *int32        // gets the result; nil if nobody needs it
	want    int           // the only good result; any is if it is negative
	forgive [2]unix.Errno // errors that are as good as success
	skip    int           // how many moves are left out after success; of clone(2), in the parent
	spare   int           // how many moves are left out after an error that is forgiven
}

// A report is the beginning of a message of the fork: which move failed, or none,
// which is -1.
type report struct{ move, errno, maker int32 }

const sizeofReport = int(unsafe.Sizeof(report{}))

func newPlan() *plan { return &plan{report: report{move: -1}} }

// add appends a move. Arguments are numbers, text, places in memory, and results
// of moves before it.
func (p *plan) add(purpose string, call uintptr, args ...any) *move {
	m := move{purpose: purpose, call: call, want: -1}
	for i, arg := range args {
		switch arg := arg.(type) {
		case int:
			m.args[i] = uintptr(arg)
		case uintptr:
			m.args[i] = arg
		case string:
			text, err := unix.BytePtrFromString(arg)
			if err != nil {
				panic(err) // there is no such path
			}
			m.args[i], p.keep = uintptr(unsafe.Pointer(text)), append(p.keep, text)
		case unsafe.Pointer:
			m.args[i], p.keep = uintptr(arg), append(p.keep, arg)
		case *int32:
			m.values[i] = arg
		default:
			panic(fmt.Sprintf("a system call takes no %T", arg))
		}
	}
	p.moves = append(p.moves, m)
	return &p.moves[len(p.moves)-1]
}

// toResult makes the result of a move an argument of later ones.
func (m *move) toResult() *int32 {
	m.result = new(int32)
	return m.result
}

func (p *plan) open(purpose, path string, flags int) (fd *int32) {
	return p.add(purpose, unix.SYS_OPENAT, unix.AT_FDCWD, path, flags|unix.O_CLOEXEC, 0).toResult()
}

func (p *plan) close(fd *int32) { p.add("close a file", unix.SYS_CLOSE, fd) }

func (p *plan) mount(purpose, source, target, kind string, flags uintptr, data string) *move {
	return p.add(purpose, unix.SYS_MOUNT, source, target, kind, flags, data)
}

func (p *plan) mkdir(purpose, path string) *move {
	return p.add(purpose, unix.SYS_MKDIRAT, unix.AT_FDCWD, path, 0o755)
}

// create makes a file with a content.
func (p *plan) create(purpose, path string, content []byte) {
	fd := p.add(purpose, unix.SYS_OPENAT, unix.AT_FDCWD, path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644).toResult()
	if len(content) > 0 {
		p.add(purpose, unix.SYS_WRITE, fd, unsafe.Pointer(&content[0]), len(content)).want = len(content)
	}
	p.close(fd)
}

// await reads one word of the parent, which is as long as it should be.
func (p *plan) await(word string) {
	buffer := make([]byte, len(word)+1)
	p.add("hear from its parent", unix.SYS_READ, p.socket, unsafe.Pointer(&buffer[0]), len(buffer)).want = len(word)
}

// aside returns another number for a file of the parent, which is not one of those
// that a program begins with.
func (p *plan) aside(purpose string, file int) (fd *int32) {
	const first = 10
	return p.add(purpose, unix.SYS_FCNTL, file, unix.F_DUPFD_CLOEXEC, first).toResult()
}

// execute is the last move, if it succeeds.
func (p *plan) execute(purpose, path string, args, env []string) error {
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	p.add(purpose, unix.SYS_EXECVE, path, unsafe.Pointer(&argv[0]), unsafe.Pointer(&envp[0]))
	return nil
}

// reserve returns the number of a file that is not open, for the fork to give to
// one that it opens.
func (p *plan) reserve() (int, error) {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		p.reserved = append(p.reserved, fd)
	}
	return fd, err
}

// connect makes a connection between this process and the fork. Both have its two
// ends until release and execve.
func (p *plan) connect() (ours, theirs int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("cannot make a socket for the sandbox: %w", err)
	}
	p.reserved = append(p.reserved, pair[1])
	return pair[0], pair[1], nil
}

// release closes what only the fork needs.
func (p *plan) release() {
	for _, fd := range p.reserved {
		_ = unix.Close(fd)
	}
	p.reserved = nil
}

// fork begins to carry the plan out, in a new process with namespaces of its own
// if flags say so. The calling thread must be locked.
func (p *plan) fork(flags uintptr) (*child, error) {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	pid, errno := p.carryOut(flags | uintptr(unix.SIGCHLD))
	runtime.KeepAlive(p)
	if errno != 0 {
		return nil, &setupError{"make a user namespace", errno}
	}
	return &child{pid: int(pid)}, nil
}
