package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

const fetchPages = `(async () => { for (const u of ["https://login.example.com/", "http://169.254.169.254/"]) console.log(await (await fetch(u)).text());
try { await fetch("http://www.example.org/") } catch (e) { console.log(e.cause.code) } })()`

const openPages = `import asyncio, urllib.request
for u in "https://login.example.com/", "http://169.254.169.254/":
	print(urllib.request.urlopen(u).read().decode())
async def stream():
	r, w = await asyncio.open_connection("login.example.com", 80)
	w.write(b"GET /stream HTTP/1.0\r\n\r\n")
	print((await r.read()).decode().splitlines()[-1])
asyncio.run(stream())`

func TestNotifyServesOtherLanguages(t *testing.T) {
	const pages = "login.example.com/\n169.254.169.254/\n"
	hosts := []string{"login.example.com", "169.254.169.254", "www.example.org"}
	const c = "login.example.com/c\n169.254.169.254/c\nno such host\n"
	for _, program := range []struct {
		name, needs string
		command     func(t *testing.T) []string
		out         string
	}{
		{"curl", "curl", always("sh", "-c", `exec curl -sS --cacert "$CA" https://login.example.com/ http://169.254.169.254/ -w '\n'`), pages},
		{"Node", "node", always("sh", "-c", `NODE_EXTRA_CA_CERTS=$CA exec node -e "$0"`, fetchPages), pages + "ENOTFOUND\n"},
		{"Python", "python3", always("python3", "-c", openPages), pages + "/stream\n"},
		{"Java", "javac", always("java", "testdata/Get.java", "https://login.example.com/", "http://169.254.169.254/"), "login.example.com/\nlogin.example.com/\n169.254.169.254/\n169.254.169.254/\n"},
		{"C", "gcc", compiled(hosts, "gcc"), c},
		{"C, linked statically with glibc", "gcc", compiled(hosts, "gcc", "-static"), c},
		{"C, linked statically with musl", "musl-gcc", compiled(hosts, "musl-gcc", "-static"), c},
	} {
		t.Run(program.name, func(t *testing.T) {
			toolchain.Program(t, program.needs)
			if program.needs == "musl-gcc" && runtime.GOARCH != "amd64" {
				t.Skip("this architecture has no open(2), by which musl is led to its files")
			}
			command := program.command(t)
			for _, mode := range []string{"duplicate", "install"} {
				out, errs, code := run(t, sandboxed(t, order{Mode: mode}, command...), nil)
				if diff := cmp.Diff(program.out, out); diff != "" || code != 0 {
					t.Errorf("%s: exit code %d, standard error %q, output (-want +got):\n%s", mode, code, errs, diff)
				}
			}
		})
	}
}

// A user who may not listen on port 53 cannot be the DNS server of programs with
// musl, but they find names in a file, at the second try if need be.
func TestNotifyLeadsMuslWithoutADNSServer(t *testing.T) {
	toolchain.Program(t, "musl-gcc")
	if runtime.GOARCH != "amd64" {
		t.Skip("this architecture has no open(2), by which musl is led to its files")
	}
	as := users()["nobody"]
	folder, err := os.MkdirTemp("", "musl") // others may not look into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "get")
	if out, err := exec.Command("musl-gcc", "-static", "-o", program, "testdata/get.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, errs, code := run(t, sandboxed(t, order{Mode: "notify"}, program, "login.example.com", "169.254.169.254", "www.example.org"), as)
	if want := "login.example.com/c\n169.254.169.254/c\nno such host\n"; out != want || code != 0 {
		t.Errorf("exit code %d, output %q, want %q; standard error %q", code, out, want, errs)
	}
}

func always(command ...string) func(*testing.T) []string {
	return func(*testing.T) []string { return command }
}

func compiled(args []string, compiler ...string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		program := filepath.Join(t.TempDir(), "get")
		if out, err := exec.Command(compiler[0], append(compiler[1:], "-o", program, "testdata/get.c")...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return append([]string{program}, args...)
	}
}

// contained runs this program anew as in a container with all capabilities
// dropped and no-new-privileges, in which pidfd_getfd(2) is forbidden.
func contained(args []string) error {
	runtime.LockOSThread()
	for c := range uintptr(64) {
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) // those that there are, if there are any
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	f := append([]unix.SockFilter{load(offsetCall)}, when(unix.SYS_PIDFD_GETFD, fail(unix.EPERM))...)
	f = append(append(f, when(unix.SYS_UNSHARE, fail(unix.EPERM))...), allow())
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return unix.Exec("/proc/self/exe", append([]string{"sandbox.test"}, args...), os.Environ())
}

func TestNotifyWorksInContainers(t *testing.T) {
	for name, as := range users() {
		t.Run(name, func(t *testing.T) {
			cmd := sandboxed(t, order{Mode: "notify"}, "inside", "get=https://login.example.com/", "get=http://169.254.169.254/", "dial=192.0.2.1:443", "status=CapEff", "status=NoNewPrivs", "status=Seccomp_filters", "many=http://login.example.com/")
			cmd.Args = append([]string{cmd.Args[0], "contained"}, cmd.Args[1:]...)
			out, errs, code := run(t, cmd, as)
			want := "login.example.com/\n169.254.169.254/\nerror: network is unreachable\n0000000000000000\n1\n2\n100 of 100\n"
			if diff := cmp.Diff(want, out); diff != "" || code != 0 {
				t.Errorf("exit code %d, standard error %q, output (-want +got):\n%s", code, errs, diff)
			}
		})
	}
}

func TestNotifyInNotifySaysThatThereCanBeOneOnly(t *testing.T) {
	inner := sandboxed(t, order{Mode: "notify"}, "true")
	outer := sandboxed(t, order{Mode: "notify"}, append([]string{"/proc/self/exe"}, inner.Args[1:]...)...)
	_, errs, code := runUnchecked(outer)
	const want = "outside: cannot install a seccomp filter: device or resource busy (not available on this machine); this process is in such a sandbox itself, and there can be only one; use --mode proxy\n"
	if errs != want || code != 99 {
		t.Errorf("exit code %d, standard error %q, want %q", code, errs, want)
	}
}

// runUnchecked is run for what is expected to be unavailable.
func runUnchecked(cmd *exec.Cmd) (stdout, stderr string, code int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
