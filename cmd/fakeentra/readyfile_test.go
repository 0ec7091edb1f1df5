package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// serveInVain returns what serve says that cannot start, with its ready file at
// a name. What else it is told makes it fail in any case.
func serveInVain(t *testing.T, file string, args ...string) string {
	t.Helper()
	out, err := exec.Command("fakeentra", append([]string{"serve", "--fresh-keys", "--ready-file", file}, args...)...).CombinedOutput()
	if err == nil {
		t.Fatalf("it started: %s", out)
	}
	return string(out)
}

func TestAReadyFileOfACloudThatIsGoneIsRemoved(t *testing.T) {
	for name, content := range map[string]string{
		"killed":                         `{"environ": {"A": "b"}, "control": "http://127.0.0.1:1"}`,
		"killed, without control plane":  `{"environ": {}}`,
		"a temporary file made for this": "",
	} {
		stale := filepath.Join(t.TempDir(), "up")
		if err := os.WriteFile(stale, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		serveInVain(t, stale, "--imds", busyAddress(t))
		if _, err := os.Stat(stale); !os.IsNotExist(err) {
			t.Errorf("%s: the ready file of an earlier start is still there: %v", name, err)
		}
	}
}

func TestAReadyFileOfACloudThatAnswersStays(t *testing.T) {
	s := startServe(t)
	want := fmt.Sprintf("fakeentra: the ready file %s is that of a cloud that is served at %s\nhint: stop it, or name another file\n", s.readyFile, s.Control)
	if got := serveInVain(t, s.readyFile); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := os.Stat(s.readyFile); err != nil {
		t.Error(err)
	}
}

// symlink makes a link, which takes a privilege on Windows.
func symlink(t *testing.T, target, link string) {
	t.Helper()
	err := os.Symlink(target, link)
	if err != nil && runtime.GOOS == "windows" {
		t.Skipf("this user may make no links: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoReadyFileStays(t *testing.T) {
	folder := t.TempDir()
	file, link := filepath.Join(folder, "scenario.yaml"), filepath.Join(folder, "link")
	if err := os.WriteFile(file, []byte("fakeentra: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	symlink(t, file, link)
	empty := t.TempDir()
	for name, want := range map[string]string{
		empty: "fakeentra: the ready file " + empty + " is a folder\nhint: name a file in it\n",
		file:  "fakeentra: cannot replace " + file + ", which is not a ready file\nhint: name another file, or delete it\n",
		link:  "fakeentra: cannot replace " + link + " by a ready file: it is a link or a device\nhint: name another file, or delete it\n",
	} {
		if got := serveInVain(t, name); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
	if got, err := os.ReadFile(file); string(got) != "fakeentra: 1\n" || err != nil {
		t.Errorf("the file holds %q, %v", got, err)
	}
}
