package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mod "golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

const module = "github.com/fakeentra/fakeentra"

// proxy returns the URL of a folder that has the last commit as v1.2.3 of this
// module, as the module proxy would.
func proxy(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	versions := filepath.Join(folder, module, "@v")
	if err := os.MkdirAll(versions, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"list":        "v1.2.3\n",
		"v1.2.3.info": `{"Version":"v1.2.3","Time":"2027-01-31T00:00:00Z"}`,
		"v1.2.3.mod":  output(t, "git", "show", "HEAD:go.mod") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(versions, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := os.Create(filepath.Join(versions, "v1.2.3.zip"))
	if err != nil {
		t.Fatal(err)
	}
	// It leaves out modules of their own, such as that of an example.
	if err := zip.CreateFromVCS(archive, mod.Version{Path: module, Version: "v1.2.3"}, output(t, "git", "rev-parse", "--show-toplevel"), "HEAD", ""); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return "file://" + filepath.ToSlash(folder)
}

// The command of the README, without a network: the modules that this one needs
// are in the cache.
func TestGoInstallMakesAProgramThatKnowsItsVersion(t *testing.T) {
	made(t) // or it takes a minute to compile
	cache := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", "-trimpath", "-modcacherw", module+"/cmd/fakeentra@latest")
	install.Env = append(os.Environ(), "GOBIN="+cache, "GOMODCACHE="+filepath.Join(cache, "mod"), "GOSUMDB=off", "GOFLAGS=", "CGO_ENABLED=0",
		"GOPROXY="+proxy(t)+",file://"+filepath.ToSlash(output(t, "go", "env", "GOMODCACHE"))+"/cache/download")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := output(t, filepath.Join(cache, "fakeentra"), "version"); !strings.HasPrefix(got, "fakeentra v1.2.3 go1.") {
		t.Errorf("it says %q, want fakeentra v1.2.3", got)
	}
}

// notes runs release/notes beside a CHANGELOG.md of its own.
func notes(t *testing.T, changelog, version string) (string, error) {
	t.Helper()
	script, err := os.ReadFile("notes")
	if err != nil {
		t.Fatal(err)
	}
	tree := t.TempDir()
	if err := os.Mkdir(filepath.Join(tree, "release"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"release/notes": string(script), "CHANGELOG.md": changelog} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", filepath.Join(tree, "release", "notes"), version).CombinedOutput()
	return string(out), err
}

func TestNotesAreTheSectionOfTheRelease(t *testing.T) {
	toolchain.Program(t, "awk")
	const changelog = "# Changelog\n\n## Unreleased\n\n- Soon.\n\n## 1.2.30 (2027-02-28)\n\n- Later.\n\n## 1.2.3 (2027-01-31)\n\n- More.\n\nBefore: less.\n\n## 1.2.2 (2027-01-30)\n\n- First.\n"
	got, err := notes(t, changelog, "v1.2.3")
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	if diff := cmp.Diff("\n- More.\n\nBefore: less.\n", got); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	got, err = notes(t, changelog, "v1.3.0")
	const want = "release/notes: CHANGELOG.md says nothing of 1.3.0; expected a section \"## 1.3.0 (2027-01-31)\"\n"
	if err == nil || got != want {
		t.Errorf("%v, it says %q, want %q", err, got, want)
	}
}
