package sandbox

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// carriedOut forks for a plan, in the namespaces of this process, and returns
// what the fork says and how it ended.
func carriedOut(t *testing.T, planned func(*plan)) (said string, failed report, status unix.WaitStatus) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := newPlan()
	parent, theirs, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(parent) }()
	p.socket = theirs
	planned(p)
	fork, err := p.fork(0)
	p.release()
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, _, err := receiveFiles(parent)
		if err != nil {
			t.Fatal(err)
		}
		switch len(text) {
		case 0:
			return said, failed, fork.wait()
		case sizeofReport:
			failed, _ = p.received(text, nil)
		default:
			said += string(text)
		}
	}
}

// say has the fork say a word.
func (p *plan) say(word string) *move {
	return p.add("say "+word, unix.SYS_WRITE, p.socket, word, len(word))
}

func TestForksDoWhatIsPlanned(t *testing.T) {
	const forbidden = "/proc/self/not-there"
	exit := func(p *plan) { p.add("exit", unix.SYS_EXIT_GROUP, 3) }
	for name, c := range map[string]struct {
		planned func(*plan)
		said    string
		failed  report
		code    int
	}{
		"in order":                       {func(p *plan) { p.say("a"); p.say("b"); exit(p) }, "ab", report{}, 3},
		"to the end, which is a mistake": {func(p *plan) { p.say("a") }, "a", report{move: -1}, statusFailed},
		"until something fails": {func(p *plan) { p.say("a"); p.open("open", forbidden, 0); p.say("b") },
			"a", report{move: 1, errno: int32(unix.ENOENT)}, statusFailed},
		"unless it is forgiven": {func(p *plan) {
			p.open("open", forbidden, 0)
			p.moves[0].forgive[0], p.moves[0].spare = unix.ENOENT, 1
			p.say("a")
			p.say("b")
			exit(p)
		}, "b", report{}, 3},
		"but no more than it must": {func(p *plan) { p.say("a").skip = 1; p.say("b"); p.say("c"); exit(p) }, "ac", report{}, 3},
		"if the result is right":   {func(p *plan) { p.say("a").want = 2; p.say("b") }, "a", report{errno: int32(unix.EIO)}, statusFailed},
		"with what came before": {func(p *plan) {
			fd := p.open("open", "/proc/self/comm", unix.O_RDONLY)
			number, err := p.reserve()
			if err != nil {
				t.Fatal(err)
			}
			text := make([]byte, 3)
			p.add("take the number", unix.SYS_DUP3, fd, number, 0)
			p.add("read", unix.SYS_READ, number, unsafe.Pointer(&text[0]), len(text)).want = len(text)
			p.add("say it", unix.SYS_WRITE, p.socket, unsafe.Pointer(&text[0]), len(text))
			exit(p)
		}, ownName(t)[:3], report{}, 3},
		"in another process, too": {func(p *plan) {
			p.add("fork", unix.SYS_CLONE, int(unix.SIGCHLD), 0, 0, 0, 0).skip = 2
			p.say("child")
			exit(p)
			p.add("wait", unix.SYS_WAIT4, -1, 0, 0, 0)
			p.say(" and parent")
			exit(p)
		}, "child and parent", report{}, 3},
		"and become a program": {func(p *plan) { mustPlan(t, p.execute("execute", "/bin/sh", []string{"sh", "-c", "exit 42"}, nil)) }, "", report{}, 42},
		"or say why not": {func(p *plan) { mustPlan(t, p.execute("execute", "/proc/self/comm", nil, nil)) },
			"", report{errno: int32(unix.EACCES)}, statusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			said, failed, status := carriedOut(t, c.planned)
			if said != c.said || failed != c.failed || status.ExitStatus() != c.code {
				t.Errorf("said %q, %+v, exit code %d; want %q, %+v, %d", said, failed, status.ExitStatus(), c.said, c.failed, c.code)
			}
		})
	}
}

// A fork that asks for a lock which another thread had waits for good, and the race
// detector takes one now and then in whatever it watches.
func TestForksCallNothingThatTakesLocks(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "fork_linux.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	may := []string{
		"beforeFork", "afterFork", "afterForkInChild", "syscall.RawSyscall", "syscall.RawSyscall6",
		"len", "int", "int32", "uintptr", "unsafe.Pointer", // which call nothing
	}
	calls := 0
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		calls++
		if name := types.ExprString(call.Fun); !slices.Contains(may, name) {
			t.Errorf("it calls %s", name)
		}
		return true
	})
	if calls == 0 {
		t.Error("it calls nothing")
	}
}

func mustPlan(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ownName(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return string(name)
}

// A process is awaited as often as anybody likes, and never signalled once its
// number may be another's.
func TestChildrenAreAwaited(t *testing.T) {
	c, err := startProcess(Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exit $CODE"}}, []string{"CODE=1", "CODE=7"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if code := c.end(); code != 7 {
			t.Errorf("exit code %d, want 7", code)
		}
	}
	c.pid = os.Getpid()
	c.kill() // it would kill this one
	_, err = startProcess(Command{Path: "/not/there"}, nil, nil)
	if failed, ok := errors.AsType[*os.PathError](err); !ok || failed.Op != "exec" || !errors.Is(err, unix.ENOENT) {
		t.Errorf("%v", err)
	}
}
