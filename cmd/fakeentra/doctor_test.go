package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/sandbox"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// install makes PATH a folder of programs that print what they are given.
func install(t *testing.T, programs map[string]string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("programs that print what they are given are scripts for sh, which Windows has not")
	}
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	for name, output := range programs {
		script := "#!/bin/sh\n/bin/cat <<'END'\n" + output + "\nEND\n"
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// A machineOf is a patient where some modes are closed, for reasons.
func machineOf(system string, closed map[string]error) patient {
	return patient{
		system: system, now: time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC), built: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		probe: func(_ context.Context, mode string) error { return closed[mode] },
	}
}

// unavailable is an error as sandboxes return it.
func unavailable(text, hint string) error {
	return fmt.Errorf("%s (%w); %s", text, sandbox.ErrUnavailable, hint)
}

func TestDoctorSaysWhatWorksAndWhatMendsTheRest(t *testing.T) {
	install(t, map[string]string{"go": "go version go1.26.8 linux/amd64", "node": "v20.20.2", "python": "Python 3.11.7"})
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv(controlVariable, "")
	p := machineOf("linux", map[string]error{
		"netns":  unavailable("cannot make a user namespace: operation not permitted", "AppArmor forbids it; sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
		"notify": fmt.Errorf("seccomp user notification needs another system: %w", sandbox.ErrUnavailable),
	})
	var out strings.Builder
	if err := diagnose(t.Context(), &out, p, false); err != nil {
		t.Error(err)
	}
	want := `modes of fakeentra run
  netns         does not work: cannot make a user namespace: operation not permitted; AppArmor forbids it
                mend: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
  notify        does not work: seccomp user notification needs another system
  proxy         works

languages and tools
  go            1.26.8, works in every mode
  node          20.20.2, works in every mode
  python        3.11.7, works in every mode

machine
  state folder  STATE/fakeentra, which the first start makes
  signing key   none yet
  clock         2026-12-01T10:00:00Z
  served cloud  FAKEENTRA_CONTROL names none
`
	if runtime.GOOS == "linux" { // elsewhere the state folder has another place
		got := strings.ReplaceAll(out.String(), os.Getenv("XDG_STATE_HOME"), "STATE")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestDoctorFailsIfNoModeWorks(t *testing.T) {
	install(t, nil)
	broken := errors.New("broken")
	var out strings.Builder
	err := diagnose(t.Context(), &out, machineOf("linux", map[string]error{"netns": broken, "notify": broken, "proxy": broken}), true)
	if status, ok := errors.AsType[exitStatus](err); !ok || status != 1 {
		t.Errorf("%v, want the exit code 1", err)
	}
	for _, want := range []string{`"mode": "netns",` + "\n      \"works\": false,\n      \"why\": \"broken\"\n", `"runtimes": [],`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the diagnosis does not have %s:\n%s", want, out.String())
		}
	}
}

func TestDoctorDoesNotWaitForAModeForEver(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("too late"))
	got := patient{probe: func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return errors.New("killed")
	}}.try(ctx, "netns")
	if diff := cmp.Diff(modeFinding{Mode: "netns", Why: "too late"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNotifyHasItsLimitsWithMusl(t *testing.T) {
	p := machineOf("linux", nil)
	p.musl = true
	got := []string{p.try(t.Context(), "netns").says(), p.try(t.Context(), "notify").says()}
	want := []string{"works", "works, but programs linked with musl may need a second try to find a name, and find none on arm64"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRuntimesAreFoundByTheirVersions(t *testing.T) {
	install(t, map[string]string{
		"go":      "go version go1.26.8 linux/amd64",
		"node":    "v22.21.0",
		"python3": "Python 3.13.0rc1",
		"python":  "Python 2.7.18",
		"java":    "Picked up JAVA_TOOL_OPTIONS: -Dx=1.5\nopenjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6-Debian-1deb12u1)",
		"dotnet":  "Microsoft.AspNetCore.App 9.0.7 [/usr/share/dotnet/shared]\nMicrosoft.NETCore.App 8.0.1 [/usr/share]\nMicrosoft.NETCore.App 9.0.7 [/usr/share]",
		"cargo":   "cargo 1.95.0 (f2d3ce0bd 2026-03-21)",
		"curl":    "curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1",
		"bun":     "1.4.5",
		"deno":    "no version at all",
	})
	var got []string
	for _, r := range findRuntimes(t.Context(), "linux") {
		got = append(got, r.Name+" "+filepath.Base(r.Path)+" "+r.Version)
	}
	want := []string{"go go 1.26.8", "node node 22.21.0", "python python3 3.13.0rc1", "java java 17.0.15", "dotnet dotnet 9.0.7", "rust cargo 1.95.0", "curl curl 7.88.1", "bun bun 1.4.5", "deno deno "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJavaIsLedByAVariableWhereEtcIsNotItsOwn(t *testing.T) {
	for system, want := range map[string][]string{"linux": {"notify", "proxy"}, "darwin": {"proxy"}} {
		var got []string
		for _, l := range javaLimits(system) {
			got = append(got, l.Mode)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: modes (-want +got):\n%s", system, diff)
		}
	}
}

func TestSystemStoresAreNamed(t *testing.T) {
	got := map[string]string{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, l := range systemStore(system) {
			got[system] = l.Mend
		}
	}
	want := map[string]string{
		"darwin":  "fakeentra serve --ca-out ca.pem, and then security add-trusted-cert ca.pem",
		"windows": "fakeentra serve --ca-out ca.pem, and then certutil -user -addstore Root ca.pem",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestClockThatIsBehindIsFound(t *testing.T) {
	p := machineOf("linux", nil)
	if c := p.checkClock(); !c.OK {
		t.Errorf("%+v, want nothing wrong", c)
	}
	p.now = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	want := checkup{Name: "clock", Says: "1970-01-01T00:00:00Z, but this program was built at 2026-11-01T00:00:00Z", Mend: "set the clock"}
	if diff := cmp.Diff(want, p.checkClock()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCloudsElsewhereAreNotAsked(t *testing.T) {
	for _, address := range []string{"http://169.254.169.254", "http://192.0.2.1:80", "http://localhost:80", "http://example.com", "%", "http://[::]:80"} {
		want := checkup{Name: "served cloud", OK: true, Says: address + " was not asked, because it has no loopback address, such as 127.0.0.1"}
		if diff := cmp.Diff(want, checkControl(t.Context(), address)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestKeyThatCannotBeUsedIsFound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lets XDG_STATE_HOME choose the state folder")
	}
	folder := t.TempDir()
	t.Setenv("XDG_STATE_HOME", folder)
	key := filepath.Join(folder, "fakeentra", "signing-key.pem")
	if err := writePrivately(key, []byte("-")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	want := []checkup{
		{Name: "state folder", OK: true, Says: filepath.Join(folder, "fakeentra")},
		{Name: "signing key", Says: "the signing key " + key + " has the mode 0644, and others may have it; expected 0600", Mend: "delete it, and the next start makes a new one"},
	}
	if diff := cmp.Diff(want, []checkup{checkStateFolder(), checkKey()}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left, err := os.ReadDir(filepath.Dir(key)); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v (%v), want the key alone", left, err)
	}
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := checkup{Name: "signing key", Says: key + " is not a signing key: no RSA private key in PEM form where one was expected", Mend: "delete it, and the next start makes a new one"}
	if diff := cmp.Diff(broken, checkKey()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestObstaclesAreTakenApart(t *testing.T) {
	for text, want := range map[string][2]string{
		"cannot x: EPERM (not available on this machine); AppArmor; sudo y": {"cannot x: EPERM; AppArmor", "sudo y"},
		"needs Linux: not available on this machine":                        {"needs Linux", ""},
	} {
		why, mend := obstacle(errors.New(text))
		if got := [2]string{why, mend}; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	why, mend := obstacle(failed("do this", "that failed"))
	if why != "that failed" || mend != "do this" {
		t.Errorf("%q, %q", why, mend)
	}
}

func TestProberFailsIfTheCommandDoes(t *testing.T) {
	p, err := newProber()
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{"true": "", "false": "a command that should have succeeded ended with the code 1"} {
		p.program = toolchain.Program(t, program)
		got := ""
		if err := p.probe(t.Context(), "proxy"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", program, got, want)
		}
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

// TestDoctorAsksNoOtherMachine runs it where every connection is seen.
func TestDoctorAsksNoOtherMachine(t *testing.T) {
	confined := exec.Command("fakeentra", "run", "--fresh-keys", "--mode", "notify", "--fail-on-leak", "--transcript", "--", "fakeentra", "doctor")
	confined.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	var stderr strings.Builder
	confined.Stderr = &stderr
	err := confined.Run()
	if strings.Contains(stderr.String(), sandbox.ErrUnavailable.Error()) || runtime.GOOS != "linux" {
		withoutMode(t, "notify", []byte(stderr.String()))
	}
	if want := "fakeentra: fakeentra succeeded and asked nothing of the cloud\n"; err != nil || stderr.String() != want {
		t.Errorf("%v; standard error %q, want %q", err, stderr.String(), want)
	}
}
