package sandbox

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// users are who the tests run as: whoever runs them and, if that is root, an
// ordinary user. The root of a namespace may have no other user to become.
func users() map[string]*syscall.Credential {
	all := map[string]*syscall.Credential{"this user": nil}
	if os.Geteuid() != 0 {
		return all
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	try := exec.Command("true")
	try.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	if try.Run() == nil || toolchain.Required() {
		all["nobody"] = nobody
	}
	return all
}

// run returns what a command prints, and its exit code.
func run(t *testing.T, cmd *exec.Cmd, as *syscall.Credential) (stdout, stderr string, code int) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal("it did not start")
	}
	if code = cmd.ProcessState.ExitCode(); code == 99 {
		skipUnlessRequired(t, errs.String())
	}
	return out.String(), errs.String(), code
}

// skipUnlessRequired ends a test on a machine that forbids what it is about, by
// the word of the kernel.
func skipUnlessRequired(t testing.TB, why string) {
	t.Helper()
	if err := toolchain.Namespaces(); err == nil && toolchain.Required() {
		t.Fatal("this machine permits namespaces, but: ", why)
	}
	t.Skip("did without namespaces; to have them: ", why)
}

func TestNetnsIsAWorldOfItsOwn(t *testing.T) {
	for name, as := range users() {
		t.Run(name, func(t *testing.T) {
			out, errs, code := run(t, sandboxed(t, order{Mode: "netns"}, "inside",
				"get=https://login.example.com/token", "get=http://login.example.com/plain", "get=http://169.254.169.254/metadata",
				"lookup=login.example.com", "lookup=LOGIN.example.COM", "lookup=localhost",
				"lookup=www.example.org", "lookup=www.example.org.", "dial=203.0.113.1:443", "dial=127.0.0.1:80", "dial=169.254.169.254:443",
			), as)
			want := `login.example.com/token
login.example.com/plain
169.254.169.254/metadata
198.18.0.1
198.18.0.1
127.0.0.1 ::1
error: no such host
error: no such host
error: connection refused
error: connection refused
error: connection refused
`
			if diff := cmp.Diff(want, out); diff != "" || code != 0 {
				t.Errorf("exit code %d, output (-want +got):\n%s", code, diff)
			}
			if want := "leaks: [{connect 203.0.113.1:443 1} {dns www.example.org 4}]\n"; errs != want {
				t.Errorf("standard error %q, want %q", errs, want)
			}
		})
	}
}
