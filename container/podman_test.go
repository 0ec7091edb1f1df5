package container

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// TestPodman runs what examples/podman/README.md says.
func TestPodman(t *testing.T) {
	if _, err := exec.LookPath("podman"); err != nil || os.Getuid() != 0 {
		toolchain.Without(t, "Podman, as root", "apt-get install podman crun, and see container/podman")
	}
	t.Setenv("DOCKER", "podman")
	t.Setenv("CGO_ENABLED", "0")
	const script = `container/build latest >&2 && examples/podman/list-blobs.sh
		podman run --rm --network none --cap-drop ALL --security-opt no-new-privileges --volume "$0:/program:ro" fakeentra run --mode notify -- /program`
	got := output(t, "container/podman", t.TempDir(), "sh", "-euc", script, exampletest.Build(t, "examples/go-msal"))
	if diff := cmp.Diff(blobs+blobs, got); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
}
