package container

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// A program is an example that runs in a container with the interpreters and
// libraries of this machine, as if they were those of its image.
type program struct {
	example string
	command []string
	needs   string // file of the example that has to be there
}

var java = []string{"java", "-cp", "target/classes:target/lib/*", "ListBlobs"}

var programs = []program{
	{"bash-curl", []string{"bash", "./list-blobs.sh"}, "list-blobs.sh"},
	{"node-azure-identity", []string{"node", "index.mjs"}, "node_modules/@azure/identity/package.json"},
	{"node-msal", []string{"node", "index.mjs"}, "node_modules/@azure/msal-node/package.json"},
	{"python-azure-identity", []string{".venv/bin/python", "main.py"}, ".venv/bin/python"},
	{"python-msal", []string{".venv/bin/python", "main.py"}, ".venv/bin/python"},
	{"java-azure-identity", java, "target/classes/ListBlobs.class"},
	{"java-msal4j", java, "target/classes/ListBlobs.class"},
	{"rust-azure-identity", []string{"target/release/list-blobs"}, "target/release/list-blobs"},
}

// listBlobs runs each program that is there by a command of Docker, which is
// told the mounts, the folder and the program, and expects it to list the blobs.
func listBlobs(t *testing.T, docker func(mounts []string, folder string, command []string) []string) {
	for _, p := range programs {
		t.Run(p.example, func(t *testing.T) {
			folder := p.folder(t)
			var mounts []string
			for _, path := range p.paths(t) {
				mounts = append(mounts, "--volume", path+":"+path+":ro")
			}
			if diff := cmp.Diff(blobs, output(t, docker(mounts, folder, p.command)...)); diff != "" {
				t.Errorf("blobs (-want +got):\n%s", diff)
			}
		})
	}
}

// folder is where the program is, unless it is not.
func (p program) folder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("../examples", p.example))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, p.needs)); err != nil || runtime.GOOS != "linux" {
		toolchain.Without(t, "the packages of examples/"+p.example, "examples/install, on Linux")
	}
	return folder
}

// paths are what a container must see of this machine.
func (p program) paths(t *testing.T) []string {
	t.Helper()
	folder := p.folder(t)
	paths := []string{"/usr", "/etc", folder}
	for _, link := range []string{"/bin", "/lib", "/lib64"} {
		if _, err := os.Stat(link); err == nil {
			paths = append(paths, link)
		}
	}
	interpreter, err := filepath.EvalSymlinks(filepath.Join(folder, p.needs)) // of a virtual environment, it is elsewhere
	if err != nil {
		t.Fatal(err)
	}
	if prefix := filepath.Dir(filepath.Dir(interpreter)); !strings.HasPrefix(prefix, "/usr") && !strings.HasPrefix(prefix, folder) {
		paths = append(paths, prefix)
	}
	return paths
}

// confined are the arguments of "docker run" for a container without privileges
// and without a network.
var confined = []string{"docker", "run", "--rm", "--network", "none", "--user", "65532:65532", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}

// notify runs a command under "fakeentra run", in the image of fakeentra.
var notify = []string{"fakeentra:" + tag, "run", "--mode", "notify", "--fresh-keys", "--"}

func join(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func runsProgramsInAContainer(t *testing.T) {
	t.Run("a static program", func(t *testing.T) {
		t.Setenv("CGO_ENABLED", "0")
		program := exampletest.Build(t, "examples/go-msal")
		got := output(t, join(confined, []string{"--volume", program + ":/program:ro"}, notify, []string{"/program"})...)
		if diff := cmp.Diff(blobs, got); diff != "" {
			t.Errorf("blobs (-want +got):\n%s", diff)
		}
	})
	listBlobs(t, func(mounts []string, folder string, command []string) []string {
		return join(confined, mounts, []string{"--workdir", folder}, notify, command)
	})
}

// joinsProgramsToCompose runs the programs as the service of a client.
func joinsProgramsToCompose(t *testing.T) {
	listBlobs(t, func(mounts []string, folder string, command []string) []string {
		return join(compose("run", "--rm", "-T", "--workdir", folder, "--entrypoint", command[0]), mounts, []string{"client"}, command[1:])
	})
}
