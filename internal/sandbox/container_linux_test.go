package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// containers returns some with this machine's files, which are gone after the test.
func containers(t *testing.T) *Containers {
	t.Helper()
	toolchain.DockerEngine().In(t)
	c := &Containers{Folder: t.TempDir()}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, list := range [][]string{{"ps", "--all", "--quiet", "--filter", "label=" + labelRun + "=" + c.id()}, {"images", "--all", "--quiet", "--filter", "label=" + labelRun + "=" + c.id()}} {
			if out, err := exec.Command("docker", list...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("docker %s: %s %v; want nothing", strings.Join(list, " "), out, err)
			}
		}
	})
	return c
}

// contain runs this binary as a command in a container.
func contain(t *testing.T, c *Containers, w World, command ...string) (string, Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	room, err := c.Room(ctx, w)
	if err != nil {
		t.Fatal(err)
	}
	defer room.Leave()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		text, _ := io.ReadAll(read)
		said <- strings.TrimSpace(string(text))
	}()
	result, err := room.Run(ctx, w, Command{
		Path: path, Args: append([]string{path, "inside"}, command...), Env: os.Environ(), Stdin: null, Stdout: write, Stderr: write, Signals: make(chan os.Signal),
		Environ: func(ca, bundle string) []string { return []string{"CA=" + ca, "SSL_CERT_FILE=" + bundle} },
	})
	_, _ = write.Close(), null.Close()
	return <-said, result, err
}

func TestContainersAreSandboxes(t *testing.T) {
	t.Parallel()
	c := containers(t)
	w, err := exampleWorld(true)
	if err != nil {
		t.Fatal(err)
	}
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		command string
		want    string
		status  int
		leaks   []Leak
	}{
		{"get=https://a.example.com/x", "a.example.com/x", 0, nil},
		{"get=http://169.254.169.254/close", "169.254.169.254/close", 0, nil},
		{"get=http://169.254.169.254/x", "169.254.169.254/x", 0, nil},
		{"lookup=" + hostname, "127.0.0.1", 0, nil},
		{"lookup=login.example.org", "error: no such host", 0, []Leak{{"dns", "login.example.org", 2}}},
		{"dial=192.0.2.1:443", "error: connection refused", 0, []Leak{{"connect", "192.0.2.1:443", 1}}},
		{"dial=[2001:db8::1]:443", "", 0, nil},
		{"status=CapEff", "0000000000000000", 0, nil},
		{"status=CapPrm", "0000000000000000", 0, nil},
		{"status=NoNewPrivs", "1", 0, nil},
		{"uid", fmt.Sprint(os.Getuid(), os.Getgid()), 0, nil},
		{"exit", "", 42, nil},
		{"raise=9", "", 128 + 9, nil},
		{"env=CA", caFile, 0, nil},
	} {
		said, result, err := contain(t, c, w, k.command)
		if err != nil {
			t.Fatalf("%q: %v", k.command, err)
		}
		if result.Status != k.status || !strings.HasSuffix(said, k.want) {
			t.Errorf("%q: %q, exit code %d; want %q, %d", k.command, said, result.Status, k.want, k.status)
		}
		if diff := cmp.Diff(k.leaks, result.Leaks); diff != "" && k.want != "" {
			t.Errorf("%q: leaks (-want +got):\n%s", k.command, diff)
		}
		if c.idle.Len() != 1 {
			t.Errorf("%q: %d containers are left to the next command; want the one", k.command, c.idle.Len())
		}
	}
}

// Nothing is written to the folders of this machine that a container sees, although
// there is more in them.
func TestContainersShowFoldersWithoutTouchingThisMachine(t *testing.T) {
	t.Parallel()
	c := containers(t)
	w, err := exampleWorld(true)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "key"), []byte("the key"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := list(t, "/etc", "/var/opt", "/var", "/")
	w.Mounts = []Mount{
		{Folder: folder, SeenAs: "/var/opt/agent-of-tests/tokens", Over: "/var/opt/agent-of-tests"},
		{Folder: folder, SeenAs: "/var/run/secrets/of-tests/tokens"},
		{Folder: folder, SeenAs: "/folder-of-tests"},
		{Folder: folder, SeenAs: "/etc/folder-of-tests/tokens"},
	}
	var reads []string
	for _, m := range w.Mounts {
		reads = append(reads, "read="+m.SeenAs+"/key")
	}
	if said, result, err := contain(t, c, w, reads...); err != nil || said != "the key\nthe key\nthe key\nthe key" {
		t.Errorf("%q %+v %v", said, result, err)
	}
	if diff := cmp.Diff(before, list(t, "/etc", "/var/opt", "/var", "/")); diff != "" {
		t.Errorf("folders of this machine (-before +after):\n%s", diff)
	}
	if c.idle.Len() > 0 {
		t.Error("a container with folders of one command is left to the next")
	}
}

func list(t *testing.T, folders ...string) []string {
	t.Helper()
	var names []string
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") { // of other programs that are at work
				names = append(names, filepath.Join(folder, e.Name()))
			}
		}
	}
	return names
}

// The container ends when nobody is there any more to talk to it, whatever runs in
// there.
func TestContainersEndWithTheirOwner(t *testing.T) {
	t.Parallel()
	c := containers(t)
	w, err := exampleWorld(true)
	if err != nil {
		t.Fatal(err)
	}
	room, err := c.Room(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	order := errand{Start: &start{Args: []string{"sh", "-c", "trap '' TERM HUP; echo up; (while :; do sleep 1; done) & wait"}, Env: os.Environ(), Metadata: true}}
	n, told, err := room.begin(order, Command{Stdin: read, Stdout: write, Stderr: write})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(n.parent) }()
	if err := n.takeOver(w, Command{}, newPlan().askKernel(w)); err != nil {
		t.Fatal(err)
	}
	if err := n.execute(told.Path); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	line := make([]byte, 3)
	if _, err := io.ReadFull(read, line); err != nil || string(line) != "up\n" {
		t.Fatalf("%q %v", line, err)
	}
	_ = room.line.Close()
	if _, err := io.ReadAll(read); err != nil { // up to the end of all that write
		t.Fatal(err)
	}
	select {
	case <-room.cli.ended:
	case <-time.After(deadline):
		t.Error("the container goes on")
	}
	room.Leave()
}

// An engine that does not do what is needed, and a next step.
func TestEnginesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const elsewhere = "run fakeentra in a container there, or take --wiring explicit"
	for name, k := range map[string]struct{ script, want string }{
		"there is no program":  {"", "there is no program "},
		"nobody answers":       {`echo "Cannot connect to the Docker daemon at tcp://192.0.2.1:2375. Is the docker daemon running?" >&2; exit 1`, "no engine answers "},
		"another machine":      {`[ "$1" != run ] || { echo 'docker: Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /x.' >&2; echo "See 'docker run --help'." >&2; exit 125; }`, `the engine does not see this machine's files: Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /x. (not available on this machine); fakeentra needs an engine that runs on this machine itself`},
		"a virtual machine":    {`[ "$1" != run ] || { echo "` + unreached + ` connection refused" >&2; exit 125; }`, elsewhere},
		"something else":       {`[ "$1" != run ] || { echo "docker: Error response from daemon: it is full." >&2; exit 125; }`, "the engine starts no container"},
		"it says nothing":      {`[ "$1" != run ]`, "the engine starts no container"},
		"no image of the name": {`[ "$1" != image ] || { echo "Error: No such image: x" >&2; exit 1; }`, "the engine has no image x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := filepath.Join(t.TempDir(), "engine")
			if k.script != "" {
				if err := os.WriteFile(engine, []byte("#!/bin/sh\n"+k.script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			c := &Containers{Engine: engine, Folder: t.TempDir()}
			if name == "no image of the name" {
				c.Image = "x"
			}
			w, err := exampleWorld(true)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Room(t.Context(), w)
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), k.want) || !strings.Contains(err.Error(), "; ") {
				t.Errorf("%v; want %s", err, k.want)
			}
			left, err := os.ReadDir(c.Folder)
			if err != nil || len(left) > 0 {
				t.Errorf("files are left: %v %v", left, err)
			}
		})
	}
}

func TestBindsAreALineOfCSV(t *testing.T) {
	t.Parallel()
	for want, b := range map[string]bind{
		"type=bind,src=/a,dst=/b":                     {"/a", "/b", false},
		"type=bind,src=/a,dst=/b,readonly":            {"/a", "/b", true},
		`type=bind,"src=/a,b","dst=/with ""quotes"""`: {"/a,b", `/with "quotes"`, false},
	} {
		if got := b.flag(); got != want {
			t.Errorf("%+v is %s, want %s", b, got, want)
		}
	}
}

func TestImagesAddTheirEntryPoint(t *testing.T) {
	t.Parallel()
	c := &Containers{found: &image{}}
	c.found.Config.Entrypoint, c.found.Config.Cmd = []string{"node"}, []string{"driver.mjs"}
	for _, k := range []struct{ args, want []string }{
		{nil, []string{"node", "driver.mjs"}},
		{[]string{"other.mjs"}, []string{"node", "other.mjs"}},
	} {
		if got, env := c.Command(k.args); !slices.Equal(got, k.want) || env == nil {
			t.Errorf("%q is %q in %q; want %q, in an environment of its own", k.args, got, env, k.want)
		}
	}
}
