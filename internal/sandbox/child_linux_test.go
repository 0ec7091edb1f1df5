package sandbox

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/sandbox/nofile"
)

// A command gets from a sandbox what it would get from a shell: its files, no
// signals that it does not know of, and the limits that Go changes for itself.
func TestCommandsInheritWhatTheyWouldWithoutASandbox(t *testing.T) {
	const look = `grep -E '^(SigBlk|SigIgn|ShdPnd|SigPnd|Groups|CapInh|CapAmb)' /proc/self/status; ulimit -Sn; ulimit -Hn; umask; cat <&3; ls /proc/self/fd; pwd`
	seen := func(mode string) string {
		cmd := sandboxed(t, order{Mode: mode}, "sh", "-c", look)
		set := exec.Command("sh", append([]string{"-c", `umask 027; ulimit -Sn 99; exec "$@"`, "sh"}, cmd.Args...)...)
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		set.Args[4] = exe // /proc/self/exe is the shell by now
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = read.Close() }()
		if _, err := io.WriteString(write, "the third file\n"); err != nil {
			t.Fatal(err)
		}
		if err := write.Close(); err != nil {
			t.Fatal(err)
		}
		set.Env, set.ExtraFiles = cmd.Env, []*os.File{read}
		out, errs, code := run(t, set, nil)
		if code != 0 {
			t.Fatalf("%s: exit code %d, %s", mode, code, errs)
		}
		return out
	}
	want := seen("bare")
	if !strings.Contains(want, "\n99\n") || !strings.Contains(want, "\n0027\nthe third file\n") {
		t.Fatalf("without a sandbox it sees\n%s", want)
	}
	for _, mode := range []string{"netns", "notify"} {
		t.Run(mode, func(t *testing.T) {
			if diff := cmp.Diff(want, seen(mode)); diff != "" {
				t.Errorf("(-without sandbox +in it):\n%s", diff)
			}
		})
	}
}

func TestTheLimitOfOpenFilesIsKnown(t *testing.T) {
	limit, ok := nofile.AtStart()
	if !ok || limit.Soft == 0 || limit.Soft > limit.Hard {
		t.Errorf("%+v, %v", limit, ok)
	}
}
