package sandbox

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shown returns a folder with a file of its name, for everybody to read.
func shown(t *testing.T, name string) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "sandbox-"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "name"), []byte(name), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// Nothing is hidden by folders that this machine does not have, and nothing is
// made on it.
func TestNetnsShowsFoldersElsewhere(t *testing.T) {
	needNetns(t)
	one, two, three, over := shown(t, "one"), shown(t, "two"), shown(t, "three"), shown(t, "over")
	mounts := []Mount{
		{Folder: one, SeenAs: "/var/run/sandbox-test/deep/one"}, {Folder: two, SeenAs: "/run/sandbox-test/deep/two"},
		{Folder: three, SeenAs: "/var/opt/sandbox-test/three"}, {Folder: one, SeenAs: over},
	}
	list := func(folder string) string {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		var names strings.Builder
		for _, e := range entries {
			names.WriteString(e.Name() + "\n")
		}
		return names.String()
	}
	for name, as := range users() {
		t.Run(name, func(t *testing.T) {
			out, errs, code := run(t, sandboxed(t, order{Mode: "netns", Mounts: mounts}, "sh", "-c",
				"cat /run/sandbox-test/deep/one/name /var/run/sandbox-test/deep/two/name /var/opt/sandbox-test/three/name "+over+"/name; echo; LC_ALL=C ls -A /run | grep -v ^sandbox-test$"), as)
			if diff := cmp.Diff("onetwothreeone\n"+list("/run"), out); diff != "" || errs != "" || code != 0 {
				t.Errorf("exit code %d, standard error %q, output (-want +got):\n%s", code, errs, diff)
			}
		})
	}
	for _, folder := range []string{"/run/sandbox-test", "/var/opt/sandbox-test"} {
		if _, err := os.Lstat(folder); !os.IsNotExist(err) {
			t.Errorf("%s is on this machine: %v", folder, err)
		}
	}
}

// Kubelet replaces a link to a folder, and programs see the new file.
func TestNetnsShowsWhatChangesInAFolder(t *testing.T) {
	needNetns(t)
	folder := shown(t, "before")
	link := func(to string) error {
		temporary := filepath.Join(folder, "..temporary")
		return errors.Join(os.Symlink(to, temporary), os.Rename(temporary, filepath.Join(folder, "..data")))
	}
	if err := errors.Join(link("."), os.Symlink("..data/name", filepath.Join(folder, "token"))); err != nil {
		t.Fatal(err)
	}
	cmd := sandboxed(t, order{Mode: "netns", Mounts: []Mount{{Folder: folder, SeenAs: "/run/sandbox-test"}}}, "sh", "-c", "cat /run/sandbox-test/token; read line; cat /run/sandbox-test/token")
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
	var text [64]byte
	if n, err := out.Read(text[:]); err != nil || string(text[:n]) != "before" {
		t.Fatalf("%q, %v", text[:n], err)
	}
	next := filepath.Join(folder, "..next")
	if err := errors.Join(os.Mkdir(next, 0o755), os.WriteFile(filepath.Join(next, "name"), []byte("after"), 0o644), link("..next")); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(text[:]); err != nil || string(text[:n]) != "after" {
		t.Errorf("%q, %v", text[:n], err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestNetnsSaysWhatItCannotShow(t *testing.T) {
	needNetns(t)
	out, err := sandboxed(t, order{Mode: "netns", Mounts: []Mount{{Folder: shown(t, "one"), SeenAs: "/not-there/one"}}}, "true").CombinedOutput()
	want := "outside: cannot show a folder at /not-there/one: no such file or directory (not available on this machine); this machine has no folder of that kind; use --mode notify or --mode proxy\n"
	if diff := cmp.Diff(want, string(out)); diff != "" || err == nil {
		t.Errorf("%v, output (-want +got):\n%s", err, diff)
	}
}

// The kernel takes mounts away with the folder that they are on, whoever removes it
// (rmdir(2) in another mount namespace).
func TestNetnsShowsFoldersWhereOthersComeAndGo(t *testing.T) {
	needNetns(t)
	parent := t.TempDir()
	agent := filepath.Join(parent, "agent")
	if err := errors.Join(os.MkdirAll(filepath.Join(agent, "tokens"), 0o755), os.WriteFile(filepath.Join(parent, "beside"), []byte("beside "), 0o644)); err != nil {
		t.Fatal(err)
	}
	mounts := []Mount{{Folder: shown(t, "one"), SeenAs: filepath.Join(agent, "tokens"), Over: agent}}
	cmd := sandboxed(t, order{Mode: "netns", Mounts: mounts}, "sh", "-c", "echo ready; read go; cat "+parent+"/beside "+agent+"/tokens/name")
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
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the command says %q, %v", line, err)
	}
	if err := os.RemoveAll(agent); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "go\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(lines)
	if err := errors.Join(err, cmd.Wait()); string(got) != "beside one" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}
