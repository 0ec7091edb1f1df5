package container

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// TestPodman runs what examples/podman/README.md says.
func TestPodman(t *testing.T) {
	needPodman(t)
	t.Setenv("DOCKER", "podman")
	t.Setenv("CGO_ENABLED", "0")
	const script = `container/build latest >&2 && examples/podman/list-blobs.sh
		podman run --rm --network none --cap-drop ALL --security-opt no-new-privileges --volume "$0:/program:ro" fakeentra run --mode notify -- /program`
	got := output(t, "container/podman", t.TempDir(), "sh", "-euc", script, exampletest.Build(t, "examples/go-msal"))
	if diff := cmp.Diff(blobs+blobs, got); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
}

// TestPodmanRunsDrivers puts a driver of the conformance suite into containers.
func TestPodmanRunsDrivers(t *testing.T) {
	needPodman(t)
	fakeentra, driver := exampletest.Build(t, "cmd/fakeentra"), exampletest.Build(t, "conformance/clients/reference")
	folder := t.TempDir()
	got := output(t, "container/podman", folder, fakeentra, "conform", "smoke", "--wiring", "docker", "--engine", "podman", "--", driver)
	if want := "\nthe driver works; next: fakeentra conform run --wiring docker --engine podman -- " + driver + "\n"; !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant at its end %s", got, want)
	}
	if left := output(t, "container/podman", folder, "sh", "-c", "podman ps --all --quiet; podman images --all --quiet"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func needPodman(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("podman"); err != nil || os.Getuid() != 0 {
		toolchain.Without(t, "Podman, as root", "apt-get install podman crun, and see container/podman")
	}
}
