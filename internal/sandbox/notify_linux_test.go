package sandbox

import (
	"bufio"
	"context"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
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
		cmd := sandboxed(t, order{Mode: mode}, "sh", "-c", `trap "" TERM; echo $$; exec cat`)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(in, "still here\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := lines.ReadString('\n'); got != "still here\n" {
			t.Errorf("%s: a command that ignores SIGTERM says %q, %v", mode, got, err)
		}
		command, err := unix.PidfdOpen(atoi(t, line), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil { // it ends with the command, which has the pipe
			t.Errorf("%s: %q, %v", mode, rest, err)
		}
		_ = cmd.Wait()
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(command), Events: unix.POLLIN}}, int(deadline.Milliseconds())); n != 1 || err != nil {
			t.Errorf("%s: the command is still there: %v", mode, err)
		}
		if err := unix.Close(command); err != nil {
			t.Error(err)
		}
	}
}

func atoi(t *testing.T, line string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
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
