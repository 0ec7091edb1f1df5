package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fsnotify/fsnotify"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/fixtures"
)

// A followed is a cloud that follows a file, and what is said of that.
type followed struct {
	follower
	lines *bufio.Scanner
}

// newFollowed starts a cloud of a file with the content of the scenario
// msi-fic-blob.
func newFollowed(t *testing.T, file string) *followed {
	t.Helper()
	cloud, err := fakeentra.New(fakeentra.WithScenarioFile(file, scenarioWith(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	read, write := io.Pipe()
	t.Cleanup(func() { _ = read.Close() })
	return &followed{follower{cloud: cloud, file: scenarioFile{file, scenarioWith(t)}, says: write}, bufio.NewScanner(read)}
}

// start follows until the test ends.
func (f *followed) start(t *testing.T, watched bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	wait := f.follow(ctx, watched)
	t.Cleanup(func() { cancel(); wait() })
}

// expect compares the next line that is said.
func (f *followed) expect(t *testing.T, want string) {
	t.Helper()
	if !f.lines.Scan() || f.lines.Text() != want {
		t.Fatalf("it says %q, want %q", f.lines.Text(), want)
	}
}

// scenarioWith is the content of the scenario msi-fic-blob with words replaced.
func scenarioWith(t *testing.T, oldnew ...string) []byte {
	t.Helper()
	content, err := fixtures.Scenarios.ReadFile("scenarios/msi-fic-blob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.NewReplacer(oldnew...).Replace(string(content)))
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestChangesOfAScenarioAreLoaded(t *testing.T) {
	folder := t.TempDir()
	file, other := filepath.Join(folder, "my.yaml"), filepath.Join(folder, "my.yaml~")
	write(t, file, scenarioWith(t))
	f := newFollowed(t, file)
	f.start(t, true)
	knows := func(account string) {
		t.Helper()
		if !f.cloud.Knows(account + ".blob.core.windows.net") {
			t.Errorf("there is no account %s", account)
		}
	}

	write(t, file, scenarioWith(t, "contosodata", "second"))
	f.expect(t, "fakeentra: loaded "+file+" again")
	knows("second")

	write(t, other, scenarioWith(t, "contosodata", "third")) // as editors that rename
	rename(t, other, file)
	f.expect(t, "fakeentra: loaded "+file+" again")
	knows("third")

	write(t, other, []byte("fakeentra: 1\nhots: {}\nhosts: 5\n"))
	rename(t, other, file)
	f.expect(t, "fakeentra: warning: the cloud stays as it was: "+file+`:2: unknown key "hots"; did you mean "hosts"? expected one of: fakeentra, cloud, clock, seed, era, token-lifetimes, tenants, issuers, hosts, storage-accounts, faults (and 1 more)`)
	knows("third")

	rename(t, file, other)
	f.expect(t, "fakeentra: warning: the cloud stays as it was: cannot read the scenario "+file+": no such file or directory")
	knows("third")

	write(t, other, scenarioWith(t, "contosodata", "fourth", "tenants:", "issuers: {ci: {url: https://ci.example}}\ntenants:"))
	rename(t, other, file)
	f.expect(t, "fakeentra: loaded "+file+" again")
	f.expect(t, "fakeentra: warning: the certificate authority is older than ci.example")
	f.expect(t, "hint: start again if clients ask for it by TLS")
	knows("fourth")
}

// As Kubernetes changes a volume: a link in it leads to another folder.
func TestChangesBehindLinksAreLoaded(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "my.yaml")
	for version, content := range map[string][]byte{"v1": scenarioWith(t), "v2": scenarioWith(t, "contosodata", "second")} {
		if err := os.Mkdir(filepath.Join(folder, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, version, "my.yaml"), content)
	}
	for link, target := range map[string]string{"..data": "v1", "..data_tmp": "v2", "my.yaml": filepath.Join("..data", "my.yaml")} {
		symlink(t, target, filepath.Join(folder, link))
	}
	f := newFollowed(t, file)
	f.start(t, true)
	rename(t, filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data"))
	f.expect(t, "fakeentra: loaded "+file+" again")
}

func TestAScenarioThatIsNotWatchedIsLoadedWhenASignalAsks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.yaml")
	write(t, file, scenarioWith(t, "vm1:", "vm1: {source: imds}\n  vm2:"))
	f := newFollowed(t, file)
	signals, ctx := make(chan os.Signal), t.Context()
	go f.loop(ctx, &fsnotify.Watcher{}, signals)
	f.expect(t, "fakeentra: loaded "+file+" again") // has changed since it was read
	for range 2 {
		signals <- syscall.SIGTERM
		f.expect(t, "fakeentra: loaded "+file+" again")
	}
	write(t, file, []byte("fakeentra: 2\n"))
	for range 2 {
		signals <- syscall.SIGTERM
		f.expect(t, "fakeentra: warning: the cloud stays as it was: "+file+":1: fakeentra is \"2\", a version of the format that this program does not know; expected 1")
	}
}

func TestAFolderThatCannotBeWatchedIsComplainedOf(t *testing.T) {
	f := newFollowed(t, filepath.Join(t.TempDir(), "gone", "my.yaml"))
	go f.start(t, true)
	f.expect(t, "fakeentra: warning: changes of "+f.file.name+" go unnoticed: no such file or directory")
	f.expect(t, "hint: start again after a change, or pass --no-watch")
	f.expect(t, "fakeentra: warning: the cloud stays as it was: cannot read the scenario "+f.file.name+": no such file or directory")
}

func TestHangingUpEitherEndsServeOrReloads(t *testing.T) {
	for _, s := range reloadSignals() {
		if slices.Contains(endingSignals(), s) {
			t.Errorf("%v does both", s)
		}
	}
}
