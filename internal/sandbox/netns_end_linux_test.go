package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// needNetns ends a test on a machine that forbids namespaces.
func needNetns(t testing.TB) {
	t.Helper()
	out, err := sandboxed(t, order{Mode: "netns"}, "inside").CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 99 {
		skipUnlessRequired(t, string(out))
	} else if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestNetnsReturnsHowTheCommandEnded(t *testing.T) {
	for script, want := range map[string]int{"exit 42": 42, "kill -TERM $$": 143, "kill -KILL $$": 137, "kill -INT $$": 130, "true": 0} {
		if _, errs, code := run(t, sandboxed(t, order{Mode: "netns"}, "sh", "-c", script), nil); code != want {
			t.Errorf("%s: exit code %d, want %d; %s", script, code, want, errs)
		}
	}
}

func TestNetnsSaysWhatCannotBeExecuted(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, why := range map[string]string{text: "exec format error", text + "2": "no such file or directory"} {
		_, errs, code := run(t, sandboxed(t, order{Mode: "netns"}, file), nil)
		if want := "outside: exec " + file + ": " + why + "\n"; code != 98 || errs != want {
			t.Errorf("exit code %d, %q; want 98, %q", code, errs, want)
		}
	}
}

// The command is the user that it would be outside, and can undo nothing.
func TestNetnsGivesNoPower(t *testing.T) {
	const all = "000001ffffffffff"
	for name, as := range users() {
		t.Run(name, func(t *testing.T) {
			out, errs, code := run(t, sandboxed(t, order{Mode: "netns"}, "inside", "uid", "status=CapEff", "status=CapAmb", "status=CapInh"), as)
			uid, gid := os.Getuid(), os.Getgid()
			if as != nil {
				uid, gid = int(as.Uid), int(as.Gid)
			}
			lines := strings.Split(out, "\n")
			if want := fmt.Sprintf("%d %d", uid, gid); code != 0 || lines[0] != want {
				t.Fatalf("user %q, want %q; exit code %d, %s", lines[0], want, code, errs)
			}
			const admin = 1<<12 | 1<<21 // CAP_NET_ADMIN, CAP_SYS_ADMIN
			effective, err := strconv.ParseUint(lines[1], 16, 64)
			if err != nil || effective&admin != 0 || (uid != 0 && effective != 0) {
				t.Errorf("effective capabilities %s of %s: %v", lines[1], all, err)
			}
			if lines[2] != "0000000000000000" || lines[3] != "0000000000000000" {
				t.Errorf("capabilities are handed on: %q", lines[2:])
			}
		})
	}
}

func TestNetnsReplacesEtc(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := `nameserver 127.0.0.1
options timeout:5 attempts:3
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.0.1	` + hostname + `
/etc/ssl/certs/fakeentra.pem
/etc/ssl/certs/ca-certificates.crt
198.18.0.1
`
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"inside", "read=/etc/resolv.conf", "read=/etc/hosts", "env=CA", "env=SSL_CERT_FILE", "lookup=login.example.com", "read=/etc/passwd"}
	// A sandbox in a sandbox: overlays go only two deep, so the third mounts
	// every file by itself.
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := append([]string{exe}, words...)
	for depth := 1; depth <= 3; depth++ {
		out, errs, code := run(t, sandboxed(t, order{Mode: "netns"}, command...), nil)
		if diff := cmp.Diff(want+strings.TrimSpace(string(passwd))+"\n", out); diff != "" || code != 0 {
			t.Errorf("%d deep: exit code %d, %s\noutput (-want +got):\n%s", depth, code, errs, diff)
		}
		command = append([]string{exe, "outside"}, command...)
	}
}

// On a virtual machine of Azure there is a real 169.254.169.254. Here the
// sandbox around the sandbox stands for it.
func TestNetnsKeepsTheMetadataServiceOfTheMachineAway(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inner := []string{"env", `ORDER={"Mode":"netns","Laptop":true}`, exe, "outside", exe, "inside", "dial=169.254.169.254:80"}
	out, errs, code := run(t, sandboxed(t, order{Mode: "netns"}, inner...), nil)
	if want := "error: network is unreachable\n"; out != want || code != 0 {
		t.Errorf("%q, want %q; exit code %d, %s", out, want, code, errs)
	}
}

func TestNetnsForwardsPortsOfThisMachine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "from outside") }))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	url := fmt.Sprintf("get=http://127.0.0.1:%d/", port)
	out, errs, _ := run(t, sandboxed(t, order{Mode: "netns", Forward: []int{port}}, "inside", url, url), nil)
	if want := "from outside\nfrom outside\n"; out != want {
		t.Errorf("%q, want %q; %s", out, want, errs)
	}
	out, errs, _ = run(t, sandboxed(t, order{Mode: "netns"}, "inside", url), nil)
	if want := "error: connection refused\n"; out != want {
		t.Errorf("without: %q, want %q; %s", out, want, errs)
	}
}

func TestNetnsPublishesPortsOfTheCommand(t *testing.T) {
	needNetns(t)
	port := freePort(t)
	cmd := sandboxed(t, order{Mode: "netns", Publish: []int{port}}, "inside", fmt.Sprintf("serve=%d", port))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "listening\n" {
		t.Fatalf("%q, %v", line, err)
	}
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "got hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if line, err := lines.ReadString('\n'); line != "served\n" {
		t.Errorf("%q, %v", line, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestTenSandboxesDoNotDisturbOneAnother(t *testing.T) {
	needNetns(t)
	for _, mode := range []string{"netns", "notify"} {
		t.Run(mode, func(t *testing.T) { testTen(t, mode) })
	}
}

func testTen(t *testing.T, mode string) {
	var group sync.WaitGroup
	for range 10 {
		cmd := sandboxed(t, order{Mode: mode}, "inside", "get=https://login.example.com/a", "get=http://169.254.169.254/b")
		group.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "login.example.com/a\n169.254.169.254/b\n" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	group.Wait()
}

// Whatever ends a sandbox, no process and no namespace of it stays behind, and
// nothing on the disk.
func TestNetnsLeavesNothing(t *testing.T) {
	needNetns(t)
	toolchain.Heard(t, syscall.SIGHUP, syscall.SIGINT)
	for name, kill := range map[string]func(outside, inside int) error{
		"when it is killed":             func(outside, _ int) error { return syscall.Kill(outside, syscall.SIGKILL) },
		"when its command is killed":    func(_, inside int) error { return syscall.Kill(inside, syscall.SIGKILL) },
		"when it is told to terminate":  func(outside, _ int) error { return syscall.Kill(outside, syscall.SIGTERM) },
		"when its terminal hangs up":    func(outside, _ int) error { return syscall.Kill(outside, syscall.SIGHUP) },
		"when the command is told, too": func(outside, inside int) error { return syscall.Kill(-outside, syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			cmd := sandboxed(t, order{Mode: "netns", Publish: []int{freePort(t)}}, "sh", "-c", `ls -l /proc/self/ns/net; echo $$; exec sleep 600`)
			cmd.Env = append(cmd.Env, "TMPDIR="+folder)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
			var inside int
			lines := bufio.NewReader(out)
			link, err := lines.ReadString('\n')
			if err == nil {
				_, err = fmt.Fscan(lines, &inside)
			}
			if err != nil {
				t.Fatal(err)
			}
			namespace := link[strings.LastIndexByte(link, ' ')+1 : len(link)-1]
			if len(processesIn(t, namespace)) < 2 {
				t.Fatal("the command and the process that makes sockets are not where they should be")
			}
			if err := kill(cmd.Process.Pid, inside); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			for end := time.Now().Add(deadline); len(processesIn(t, namespace)) > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("processes are left: %v", processesIn(t, namespace))
				}
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("files are left: %v, %v", left, err)
			}
		})
	}
}

// processesIn are those in a network namespace.
func processesIn(t *testing.T, namespace string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(links, func(link string) bool {
		is, err := os.Readlink(link)
		return err != nil || is != namespace
	})
}

func TestSandboxesTouchNothingOfTheMachine(t *testing.T) {
	before := machine(t)
	for _, o := range []order{{Mode: "netns", Publish: []int{freePort(t)}}, {Mode: "notify"}} {
		if _, errs, code := run(t, sandboxed(t, o, "inside", "get=https://login.example.com/", "dial=203.0.113.1:80"), nil); code != 0 {
			t.Fatal(errs)
		}
	}
	if diff := cmp.Diff(before, machine(t)); diff != "" {
		t.Errorf("the machine (-before +after):\n%s", diff)
	}
}

// trustStores lists the files in a folder, with their sizes and when they were
// written.
func trustStores(t *testing.T, folder string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			_, _ = fmt.Fprintln(&list, name, info.Mode(), info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// machine is what a sandbox must not touch: files, mounts over them, and the
// addresses and routes that it has itself. Other tests may add others.
func machine(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	for file, marks := range map[string][]string{
		"/etc/hosts": {""}, "/etc/resolv.conf": {""}, "/etc/nsswitch.conf": {""}, "/etc/ssl/certs/ca-certificates.crt": {""},
		"/proc/self/mounts": {" /etc", " /run/"}, "/proc/net/fib_trie": {" 169.254.", " 198.18."}, "/proc/net/route": {""}, "/proc/net/ipv6_route": {"lo"},
	} {
		content, err := os.ReadFile(file)
		if err != nil {
			state[file] = err.Error()
		}
		for line := range strings.Lines(string(content)) {
			if slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(line, mark) }) {
				state[file] += line
			}
		}
	}
	for _, folder := range []string{"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/local/share/ca-certificates"} {
		state[folder] = trustStores(t, folder)
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := lo.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	state["loopback"] = fmt.Sprint(addresses)
	return state
}
