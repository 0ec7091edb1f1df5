package container

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// tag is of the images that these tests build, and remove.
const tag = "tested"

func TestMain(m *testing.M) {
	enterNetworkOfEngine()
	// The image that Testcontainers removes leftovers with cannot be pulled here.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		panic(err)
	}
	toolchain.Main(m,
		toolchain.DockerEngine(),
		toolchain.Need{What: "Docker Compose", Met: answers("docker", "compose", "version"), Install: "see .ci/run"},
	)
}

func answers(command ...string) func() bool {
	return func() bool { return exec.Command(command[0], command[1:]...).Run() == nil }
}

// output runs a command at the root of the tree and returns what it prints.
func output(t *testing.T, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "FAKEENTRA_TAG="+tag)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String()
}

// afterwards runs a command when the test has ended, whatever became of it.
func afterwards(t *testing.T, command ...string) {
	t.Cleanup(func() {
		cmd := exec.Command(command[0], command[1:]...) // the context of the test is done
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "FAKEENTRA_TAG="+tag)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	})
}

// buildImages builds the images from this tree.
func buildImages(t *testing.T) {
	t.Helper()
	output(t, "container/build", tag)
	afterwards(t, "docker", "image", "rm", "fakeentra:"+tag, "fakeentra-example:"+tag)
}

// addresses returns a function that tells the IPv4 routes and addresses of the
// machine that the engine runs on.
func addresses(t *testing.T) func() string {
	t.Helper()
	context := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(context, "addresses"), "./testdata/addresses")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte("FROM scratch\nCOPY addresses /\nENTRYPOINT [\"/addresses\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const image = "fakeentra-addresses:" + tag
	output(t, "docker", "build", "--quiet", "--tag", image, context)
	afterwards(t, "docker", "image", "rm", image)
	return func() string { return output(t, "docker", "run", "--rm", "--network", "host", image) }
}
