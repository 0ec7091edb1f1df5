package sandbox

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// notifyIn is Notify in one variant.
func notifyIn(v variant) func(context.Context, World, Command) (Result, error) {
	return func(ctx context.Context, w World, c Command) (Result, error) { return notifyBy(ctx, v, w, c) }
}

// eachWay runs a test in both variants, as every user.
func eachWay(t *testing.T, test func(t *testing.T, run func(o order, command ...string) (stdout, stderr string, code int))) {
	t.Helper()
	for _, variant := range []string{"duplicate", "install"} {
		for name, as := range users() {
			t.Run(variant+" as "+name, func(t *testing.T) {
				test(t, func(o order, command ...string) (string, string, int) {
					o.Mode = variant
					return run(t, sandboxed(t, o, command...), as)
				})
			})
		}
	}
}

func TestNotifyAnswersForTheWorld(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{}, "inside",
			"get=https://login.example.com/token", "get=http://login.example.com/plain", "get=http://169.254.169.254/metadata",
			"lookup=login.example.com", "lookup=LOGIN.example.COM", "lookup=localhost", "lookup=www.example.org.",
			"dial=192.0.2.1:443", "dial=[2001:db8::1]:443", "dial=192.0.2.1:443",
			"dial=127.0.0.1:1", "dial=169.254.169.254:443", "dial=198.18.0.1:8080", "status=NoNewPrivs",
		)
		want := `login.example.com/token
login.example.com/plain
169.254.169.254/metadata
198.18.0.1
198.18.0.1
127.0.0.1
error: no such host
error: network is unreachable
error: network is unreachable
error: network is unreachable
error: connection refused
error: connection refused
error: connection refused
1
`
		if diff := cmp.Diff(want, out); diff != "" || code != 0 {
			t.Errorf("exit code %d, output (-want +got):\n%s", code, diff)
		}
		if want := "leaks: [{connect 192.0.2.1:443 2} {connect [2001:db8::1]:443 1} {dns www.example.org 2}]\n"; errs != want {
			t.Errorf("standard error %q, want %q", errs, want)
		}
	})
}

func TestNotifyOnALaptopHasNoMetadata(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{Laptop: true}, "inside", "dial=169.254.169.254:80", "get=http://login.example.com/")
		if out != "error: network is unreachable\nlogin.example.com/\n" || errs != "" || code != 0 {
			t.Errorf("exit code %d, output %q, standard error %q", code, out, errs)
		}
	})
}

func TestNotifyEndsAsItsCommandDoes(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		for _, end := range []struct {
			command []string
			status  int
		}{
			{[]string{"inside", "exit"}, 42}, {[]string{"true"}, 0}, {[]string{"sh", "-c", "kill -9 $$"}, 137}, {[]string{"sh", "-c", "kill -15 $$"}, 143},
		} {
			if _, errs, code := run(order{}, end.command...); code != end.status || errs != "" {
				t.Errorf("%q: exit code %d, want %d; standard error %q", end.command, code, end.status, errs)
			}
		}
		_, errs, code := run(order{}, "/etc/passwd")
		if want := "outside: exec /etc/passwd: permission denied\n"; errs != want || code != 98 {
			t.Errorf("exit code %d, standard error %q, want %q", code, errs, want)
		}
	})
}

// Every thread, child and grandchild is answered for, in whatever way it came to
// be.
func TestNotifyAnswersForWholeFamilies(t *testing.T) {
	const get = "/proc/$PPID/exe inside get=http://login.example.com/"
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{}, "inside", "many=http://login.example.com/")
		if want := "100 of 100\n"; out != want || errs != "" || code != 0 {
			t.Errorf("threads: exit code %d, output %q, want %q; standard error %q", code, out, want, errs)
		}
		out, errs, code = run(order{}, "sh", "-c", "("+get+"1 & wait); "+get+"2 | cat; exec "+get+"3")
		if want := "login.example.com/1\nlogin.example.com/2\nlogin.example.com/3\n"; out != want || errs != "" || code != 0 {
			t.Errorf("processes: exit code %d, output %q, want %q; standard error %q", code, out, want, errs)
		}
	})
}

// Programs look for a free port by taking one and closing it. In the variant
// install this process has a copy of their sockets, which must not be in the way.
func TestNotifyLeavesPortsToPrograms(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{}, "inside", "reuse=", "reuse=")
		if want := "connected\nconnected\n"; out != want || errs != "" || code != 0 {
			t.Errorf("exit code %d, output %q, want %q; standard error %q", code, out, want, errs)
		}
	})
}

func TestNotifyKillsItsCommandWhenItIsKilled(t *testing.T) {
	for _, mode := range []string{"duplicate", "install"} {
		p := startPiped(t, mode, `trap "" TERM; echo $$; exec cat`)
		command := p.process(t)
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(p.in, "still here\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := p.out.ReadString('\n'); got != "still here\n" {
			t.Errorf("%s: a command that ignores SIGTERM says %q, %v", mode, got, err)
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, command)
	}
}

// What the command has started, and what that has, even in another session and
// with no parent left, is killed, too.
func TestNotifyLeavesNoFamilyWhenItIsKilled(t *testing.T) {
	toolchain.Program(t, "setsid")
	for _, mode := range []string{"duplicate", "install"} {
		p := startPiped(t, mode, `sleep 1000 & echo $!; (setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000`)
		child, orphan := p.process(t), p.process(t)
		awaitGuard(t, p.Process.Pid)
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, child)
		awaitEnd(t, orphan)
	}
}

// What is left when the command ends by itself is no concern of its sandbox.
func TestNotifyLeavesADaemonAlone(t *testing.T) {
	toolchain.Program(t, "setsid")
	p := startPiped(t, "notify", `(setsid sh -c 'echo $$; exec sleep 1000' >&1 2>&- <&- &); cat`)
	daemon := p.process(t)
	awaitGuard(t, p.Process.Pid)
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	if state, err := p.Process.Wait(); err != nil || state.ExitCode() != 0 {
		t.Errorf("%v, %v", state, err)
	}
	if err := unix.PidfdSendSignal(daemon, unix.SIGKILL, nil, 0); err != nil {
		t.Errorf("the daemon is gone: %v", err)
	}
	awaitEnd(t, daemon)
}

// A piped is a sandbox whose command talks to the test.
type piped struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startPiped(t *testing.T, mode, script string) *piped {
	t.Helper()
	p := &piped{Cmd: sandboxed(t, order{Mode: mode}, "sh", "-c", script)}
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Wait() })
	return p
}

// process holds on to the process whose number is printed next.
func (p *piped) process(t *testing.T) int {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return hold(t, pid)
}

// awaitGuard waits until a process has two children: a command and its guard.
func awaitGuard(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		if len(children(t, pid)) == 2 {
			return
		}
	}
	t.Fatal("there is no guard")
}

// awaitEnd waits for the end of a process, and lets go of it.
func awaitEnd(t *testing.T, process int) {
	t.Helper()
	n, err := 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, int(deadline.Milliseconds()))
	}
	if n != 1 || err != nil {
		t.Errorf("a process is still there: %v", err)
	}
	if err := unix.Close(process); err != nil {
		t.Error(err)
	}
}

func TestNotifySaysWhatKilledItsCommand(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		// It is killed in the middle of its connections.
		const script = "/proc/$PPID/exe inside connect=169.254.169.254:80 & sleep 0.05; kill -9 $!; wait $!; exit $?"
		if _, _, code := run(order{}, "sh", "-c", script); code != 137 {
			t.Errorf("exit code %d, want 137", code)
		}
	})
}

// Only a listener of this process answers. On a machine where another one has
// the number of the Instance Metadata Service, a program does not get there.
func TestNotifyReachesNoOtherMachine(t *testing.T) {
	eachWay(t, func(t *testing.T, run func(order, ...string) (string, string, int)) {
		out, errs, code := run(order{}, "inside", "datagram=192.0.2.1:9", "datagram=192.0.2.1:53", "datagram=169.254.169.254:80")
		want := "error: network is unreachable\nerror: network is unreachable\nerror: network is unreachable\n"
		if out != want || code != 0 {
			t.Errorf("exit code %d, output %q, want %q", code, out, want)
		}
		if want := "leaks: [{connect 192.0.2.1:9 1}]\n"; errs != want {
			t.Errorf("standard error %q, want %q", errs, want)
		}
	})
}
