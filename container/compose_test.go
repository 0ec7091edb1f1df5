package container

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compose returns a command of Docker Compose for a project of this test.
func compose(args ...string) []string {
	return append([]string{"docker", "compose", "--progress", "quiet", "--project-name", "fakeentra-" + tag}, args...)
}

func TestTheImage(t *testing.T) {
	buildImages(t)
	t.Run("is small and without root", isSmallAndWithoutRoot)
	t.Run("is made for other processors, too", isMadeForOtherProcessors)
	t.Run("leads a program to the cloud and leaves the machine alone, by Compose", leadsAProgramToTheCloud)
	t.Run("needs no bridge, by Compose", needsNoBridge)
	t.Run("runs programs without privileges, by seccomp user notification", runsProgramsInAContainer)
	t.Run("never takes the metadata address of a machine", neverTakesTheMetadataAddressOfAMachine)
}

func isSmallAndWithoutRoot(t *testing.T) {
	const format = "{{.Config.User}} {{.Os}} {{len .RootFS.Layers}} {{.Config.Healthcheck.Test}}"
	if diff := cmp.Diff("65532:65532 linux 2 [CMD /fakeentra health]\n", output(t, "docker", "image", "inspect", "--format", format, "fakeentra:"+tag)); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	if size := output(t, "docker", "image", "inspect", "--format", "{{if lt .Size 20000000}}small{{else}}{{.Size}}{{end}}", "fakeentra:"+tag); size != "small\n" {
		t.Errorf("the image has %s bytes, want less than 20 MB", strings.TrimSpace(size))
	}
	if version := output(t, "docker", "run", "--rm", "--network", "none", "fakeentra:"+tag, "version"); !strings.HasPrefix(version, "fakeentra ") {
		t.Errorf("its version is %q", version)
	}
}

func isMadeForOtherProcessors(t *testing.T) {
	for architecture, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		other := tag + "-" + architecture
		output(t, "container/build", other, architecture)
		afterwards(t, "docker", "image", "rm", "fakeentra:"+other, "fakeentra-example:"+other)
		const format = "{{.Architecture}} {{if lt .Size 20000000}}small{{else}}{{.Size}}{{end}}"
		if got := output(t, "docker", "image", "inspect", "--format", format, "fakeentra:"+other); got != architecture+" small\n" {
			t.Errorf("the image is %s, want %s and less than 20 MB", strings.TrimSpace(got), architecture)
		}
		id := strings.TrimSpace(output(t, "docker", "create", "--platform", "linux/"+architecture, "fakeentra:"+other))
		afterwards(t, "docker", "rm", id)
		program := filepath.Join(t.TempDir(), "fakeentra")
		output(t, "docker", "cp", id+":/fakeentra", program)
		file, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		if file.Machine != machine {
			t.Errorf("the program in the image for %s is for %v", architecture, file.Machine)
		}
		_ = file.Close()
	}
}

func leadsAProgramToTheCloud(t *testing.T) {
	machine := addresses(t)
	before, networks := machine(), output(t, "docker", "network", "ls", "--format", "{{.ID}} {{.Name}}")
	afterwards(t, compose("down", "--volumes")...)
	output(t, compose("up", "--detach", "--wait", "fakeentra")...)
	if diff := cmp.Diff(blobs, output(t, compose("run", "--rm", "-T", "client")...)); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if journal := output(t, compose("exec", "-T", "fakeentra", "/fakeentra", "journal")...); !strings.Contains(journal, " imds.token 200 vm1 build-agent ") || !strings.Contains(journal, " blob.list-blobs 200 ") {
		t.Errorf("the journal has no token of the managed identity, or no list of blobs:\n%s", journal)
	}
	t.Run("from any language", joinsProgramsToCompose)
	if diff := cmp.Diff(before, machine()); diff != "" {
		t.Errorf("routes and addresses of the machine while the cloud is up (-want +got):\n%s", diff)
	}
	output(t, compose("down", "--volumes")...)
	if diff := cmp.Diff(before, machine()); diff != "" {
		t.Errorf("routes and addresses of the machine afterwards (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(networks, output(t, "docker", "network", "ls", "--format", "{{.ID}} {{.Name}}")); diff != "" {
		t.Errorf("networks afterwards (-want +got):\n%s", diff)
	}
}

func needsNoBridge(t *testing.T) {
	networks := output(t, "docker", "network", "ls", "--quiet")
	afterwards(t, compose("--profile", "no-bridge", "down", "--volumes")...)
	if diff := cmp.Diff(blobs, output(t, compose("run", "--rm", "-T", "client-without-bridge")...)); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(networks, output(t, "docker", "network", "ls", "--quiet")); diff != "" {
		t.Errorf("networks while the cloud is up (-want +got):\n%s", diff)
	}
}

func neverTakesTheMetadataAddressOfAMachine(t *testing.T) {
	const hint = "\nhint: --take-metadata-address is for containers and pods, as of docker run --user 0 --cap-add NET_ADMIN, but not with the network of the machine\n"
	for _, c := range []struct{ network, user, capability, want string }{
		{"host", "0", "NET_ADMIN", "this network has the interface docker0, so it may be that of a machine"},
		{"bridge", "0", "NET_BIND_SERVICE", "cannot add the address 169.254.169.254/32: operation not permitted"},
		{"none", "0", "NET_BIND_SERVICE", "cannot add the address 169.254.169.254/32: operation not permitted"},
		{"none", "65532", "NET_ADMIN", "cannot add the address 169.254.169.254/32: operation not permitted"},
	} {
		serve := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--network", c.network, "--user", c.user, "--cap-drop", "ALL", "--cap-add", c.capability,
			"fakeentra:"+tag, "serve", "--fresh-keys", "--take-metadata-address", "--https", "169.254.169.254:443")
		out, err := serve.CombinedOutput()
		if diff := cmp.Diff("fakeentra: cannot take the address 169.254.169.254: "+c.want+hint, string(out)); diff != "" || serve.ProcessState.ExitCode() != 1 {
			t.Errorf("on %s as %s with %s: %v (-want +got):\n%s", c.network, c.user, c.capability, err, diff)
		}
	}
}
