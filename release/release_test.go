// Package release holds what GoReleaser makes of this tree to what its users
// need of it.
package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// platforms are those that there are archives for.
var platforms = []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64", "windows_amd64", "windows_arm64"}

// A snapshot is what GoReleaser made of the last commit.
type snapshot struct{ Version, Commit string }

// made returns the snapshot in dist, or skips the test if there is none.
func made(t *testing.T) snapshot {
	t.Helper()
	var s snapshot
	content, err := os.ReadFile("../dist/metadata.json")
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err == nil && s.Commit == output(t, "git", "rev-parse", "HEAD") {
		return s
	}
	toolchain.Without(t, "an archive of this commit", "goreleaser release --snapshot --clean")
	return s
}

// output runs a command at the root of the tree, and returns what it prints.
func output(t *testing.T, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// archive returns the name of the archive for a platform.
func (s snapshot) archive(platform string) string {
	if strings.HasPrefix(platform, "windows") {
		return fmt.Sprintf("fakeentra_%s_%s.zip", s.Version, platform)
	}
	return fmt.Sprintf("fakeentra_%s_%s.tar.gz", s.Version, platform)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../dist", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// unpack returns the files of an archive, with their modes before their names.
func unpack(t *testing.T, name string) map[string][]byte {
	t.Helper()
	files, err := map[string][]byte{}, error(nil)
	if content := read(t, name); strings.HasSuffix(name, ".zip") {
		err = unzip(content, files)
	} else {
		err = untar(content, files)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return files
}

func unzip(content []byte, files map[string][]byte) error {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		if files[f.Mode().String()+" "+f.Name], err = io.ReadAll(r); err != nil {
			return err
		}
	}
	return nil
}

func untar(content []byte, files map[string][]byte) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if files[header.FileInfo().Mode().String()+" "+header.Name], err = io.ReadAll(archive); err != nil {
			return err
		}
	}
}

// program returns the program of a platform, and what Go says it is made of.
func (s snapshot) program(t *testing.T, platform string) ([]byte, *buildinfo.BuildInfo) {
	t.Helper()
	name := "-rwxr-xr-x fakeentra"
	if strings.HasPrefix(platform, "windows") {
		name += ".exe"
	}
	program := unpack(t, s.archive(platform))[name]
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatalf("%s: %v", platform, err)
	}
	return program, info
}

func TestArchivesHoldTheProgramAndWhatItsLicenseAsksFor(t *testing.T) {
	s := made(t)
	for _, platform := range platforms {
		_, info := s.program(t, platform)
		got := map[string]string{}
		for _, setting := range info.Settings {
			got[setting.Key] = setting.Value
		}
		for name, want := range map[string]string{"vcs.revision": s.Commit, "CGO_ENABLED": "0", "-trimpath": "true", "GOOS": platform[:strings.Index(platform, "_")]} {
			if got[name] != want {
				t.Errorf("%s was built with %s=%s, want %s", platform, name, got[name], want)
			}
		}
		files := unpack(t, s.archive(platform))
		for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
			want, err := os.ReadFile(filepath.Join("..", name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(files["-rw-r--r-- "+name])); diff != "" {
				t.Errorf("%s of %s (-tree +archive):\n%s", name, platform, diff)
			}
		}
		if len(files) != 4 {
			t.Errorf("%s has %d files, want 4", platform, len(files))
		}
	}
}

func TestChecksumsAreThoseOfTheFiles(t *testing.T) {
	s := made(t)
	var want strings.Builder
	for _, platform := range platforms {
		for _, name := range []string{s.archive(platform), s.archive(platform) + ".sbom.json"} {
			fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256(read(t, name)), name)
		}
	}
	if diff := cmp.Diff(want.String(), string(read(t, "checksums.txt"))); diff != "" {
		t.Errorf("checksums.txt (-want +got):\n%s", diff)
	}
}

func TestBillsOfMaterialsNameEveryModule(t *testing.T) {
	s := made(t)
	for _, platform := range platforms {
		var bill struct {
			SPDXVersion string
			Packages    []struct{ Name, VersionInfo string }
		}
		if err := json.Unmarshal(read(t, s.archive(platform)+".sbom.json"), &bill); err != nil {
			t.Fatal(err)
		}
		listed := map[string]string{}
		for _, p := range bill.Packages {
			listed[p.Name] = p.VersionInfo
		}
		_, info := s.program(t, platform)
		for _, module := range append(info.Deps, &info.Main) {
			if listed[module.Path] != module.Version {
				t.Errorf("%s of %s: %q is listed, want %q", module.Path, platform, listed[module.Path], module.Version)
			}
		}
		if bill.SPDXVersion != "SPDX-2.3" {
			t.Errorf("%s: the format is %q", platform, bill.SPDXVersion)
		}
	}
}

func TestTheProgramOfTheArchiveRuns(t *testing.T) {
	s := made(t)
	content, info := s.program(t, runtime.GOOS+"_"+runtime.GOARCH)
	program := filepath.Join(t.TempDir(), "fakeentra.exe")
	if err := os.WriteFile(program, content, 0o700); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("fakeentra %s (%s", info.Main.Version, s.Commit) // and "+dirty" where something is in flight
	if got := output(t, program, "version"); !strings.HasPrefix(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got := output(t, program, "demo"); !strings.Contains(got, "AADSTS700213") {
		t.Errorf("the demo has no refusal:\n%s", got)
	}
}

func TestImagesAreOfEveryPlatform(t *testing.T) {
	s := made(t)
	for _, architecture := range []string{"amd64", "arm64"} {
		image := "ghcr.io/fakeentra/fakeentra:" + s.Version + "-" + architecture
		format := "{{.Os}}/{{.Architecture}} {{.Config.User}} {{.Config.Entrypoint}} {{index .Config.Labels \"org.opencontainers.image.revision\"}}"
		want := "linux/" + architecture + " 65532:65532 [/fakeentra] " + s.Commit
		if got := output(t, "docker", "image", "inspect", "--format", format, image); got != want {
			t.Errorf("%s is %s, want %s", image, got, want)
		}
	}
	_, info := s.program(t, "linux_"+runtime.GOARCH)
	want := "fakeentra " + info.Main.Version + " "
	if got := output(t, "docker", "run", "--rm", "--network", "none", "ghcr.io/fakeentra/fakeentra:"+s.Version+"-"+runtime.GOARCH, "version"); !strings.HasPrefix(got, want) {
		t.Errorf("the image says %q, want %q", got, want)
	}
}
