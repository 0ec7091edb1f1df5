package suite_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// contained is a driver in containers with this machine's files.
func contained(t *testing.T, args ...string) suite.Command {
	t.Helper()
	toolchain.DockerEngine().In(t)
	c := program(args...)
	c.Wiring = suite.Docker
	return c
}

// places are checks each of which needs something else of the machine that a driver
// is on: files, addresses of IPv6, a proxy, ports of loopback, a network that is
// watched, a home, and programs.
var places = []string{"IMDS-01", "IMDS-11", "SRC-08", "SRC-17", "NET-01", "NET-09", "NET-10", "NET-15", "SEC-05", "SEC-06"}

func TestTheReferenceClientPassesInContainers(t *testing.T) {
	t.Parallel()
	want := map[string]suite.Verdict{}
	for _, id := range places {
		want[id] = suite.Pass
	}
	report, err := run(t, contained(t, asReference), suite.Options{Checks: selected(t, suite.Selection{IDs: places}), Jobs: 4, Scale: 4})
	if err != nil {
		t.Fatal(err)
	}
	if report.Wiring != "docker" || len(report.Uncovered) > 0 {
		t.Errorf("the wiring is %s, and cannot have %q", report.Wiring, report.Uncovered)
	}
	if diff := cmp.Diff(want, verdicts(report)); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
		for _, r := range report.Results {
			t.Logf("%s: %s", r.ID, r.Why)
		}
	}
}

func TestBugsAreSeenInContainers(t *testing.T) {
	t.Parallel()
	for _, id := range places {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			report, err := run(t, contained(t, asReference, id), suite.Options{Checks: selected(t, suite.Selection{IDs: []string{id}}), Jobs: 1, Scale: 4})
			if err != nil {
				t.Fatal(err)
			}
			if got := report.Results[0]; got.Verdict != suite.Fail && got.Verdict != suite.Warn && got.Verdict != suite.Info {
				t.Errorf("the verdict is %s: %s", got.Verdict, got.Why)
			}
		})
	}
}

func TestADriverThatMisbehavesInAContainerFailsItsCheckAlone(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"crash at open", "killed", "hang", "deaf", "no end of line", "no end of lines", "noise", "memory", "child"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			misbehave(t, contained(t, asHostile, mode), mode, misbehaviours[mode])
		})
	}
}

func TestADriverInAContainerThatIsCalledAnewForEachRequest(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]suite.Verdict{"": suite.Pass, "crash": suite.Error} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			report, err := run(t, contained(t, asScript, mode), suite.Options{Checks: selected(t, suite.Selection{IDs: []string{victim}}), Scale: 4})
			if err != nil {
				t.Fatal(err)
			}
			if got := report.Results[0]; got.Verdict != want {
				t.Errorf("the verdict is %s: %s", got.Verdict, got.Why)
			}
		})
	}
}

// buildImage builds the image that the page describes, of a folder.
func buildImage(t *testing.T, name, folder string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n```dockerfile\n")
	file, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("the page has no Dockerfile")
	}
	if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "build", "--quiet", "--tag", name, folder).CombinedOutput(); err != nil {
		t.Fatalf("docker build: %v\n%s", err, out)
	}
	removeImage(t, name)
}

func removeImage(t *testing.T, name string) {
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "image", "rm", "--force", name).CombinedOutput(); err != nil {
			t.Errorf("docker image rm: %v\n%s", err, out)
		}
	})
}

// importImage makes an image of files, with instructions of a Dockerfile.
func importImage(t *testing.T, name string, files map[string]string, instructions ...string) {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	args := []string{"import"}
	for _, i := range instructions {
		args = append(args, "--change", i)
	}
	cmd := exec.CommandContext(t.Context(), "docker", append(args, "-", name)...)
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
	removeImage(t, name)
}

// The image has nothing but the driver: no file of the trust store, no /etc, and no
// library that this program may need.
func TestADriverInAnImageOfItsOwn(t *testing.T) {
	t.Parallel()
	toolchain.DockerEngine().In(t)
	driver := filepath.Join(t.TempDir(), "driver")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", driver, "../clients/reference")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	image := fmt.Sprintf("fakeentra-driver:%d", os.Getpid())
	buildImage(t, image, filepath.Dir(driver))
	bare := fmt.Sprintf("fakeentra-bare:%d", os.Getpid())
	importImage(t, bare, map[string]string{"bin/same": driver}, "ENV PATH=/bin")
	want := map[string]suite.Verdict{"IMDS-01": suite.Pass, "SRC-17": suite.Pass, "SEC-05": suite.Pass}
	for _, c := range []struct {
		name, image string
		args        []string
	}{
		{"by its entry point", image, nil},
		{"by a name", bare, []string{"same"}},
		{"by a path", bare, []string{"/bin/same"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := suite.Command{Args: c.args, Wiring: suite.Docker, Image: c.image, Scale: 4}
			report, err := run(t, command, suite.Options{Checks: selected(t, suite.Selection{IDs: []string{"IMDS-01", "SRC-17", "SEC-05"}}), Jobs: 2, Scale: 4})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, verdicts(report)); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
	for _, c := range []struct {
		image       string
		args        []string
		unavailable bool
		want        string
	}{
		{bare, nil, false, "the image " + bare + " has no command"},
		{bare, []string{"other"}, false, "the image " + bare + " has no program other"},
		{bare, []string{"/other"}, false, "the image " + bare + " has no program /other"},
		{"fakeentra-none:1", []string{"x"}, true, "the engine has no image fakeentra-none:1"},
	} {
		_, err := run(t, suite.Command{Args: c.args, Wiring: suite.Docker, Image: c.image}, suite.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || suite.IsUnavailable(err) != c.unavailable || errors.Is(err, exec.ErrNotFound) == c.unavailable {
			t.Errorf("%s %q: %v; want %s", c.image, c.args, err, c.want)
		}
	}
}
