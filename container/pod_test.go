package container

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestThePod does with the Pods of examples/kubernetes what a kubelet does: it
// starts a container that owns the network, the sidecar in it, and the program
// when the sidecar is up.
func TestThePod(t *testing.T) {
	buildImages(t)
	for _, manifest := range []string{"pod", "restricted"} {
		t.Run(manifest, func(t *testing.T) {
			p := &pod{Pod: readPod(t, "../examples/kubernetes/"+manifest+".yaml"), id: "fakeentra-" + manifest + "-" + tag}
			p.sandbox(t)
			p.startSidecar(t, p.Spec.InitContainers[0])
			if diff := cmp.Diff(blobs, output(t, p.docker(t, p.Spec.Containers[0], "--rm")...)); diff != "" {
				t.Errorf("blobs (-want +got):\n%s\n%s", diff, output(t, "docker", "logs", p.id+"-sidecar"))
			}
			journal := output(t, "docker", "exec", p.id+"-sidecar", "/fakeentra", "journal")
			if !strings.Contains(journal, " imds.token 200 vm1 build-agent ") {
				t.Errorf("the journal has no token of the managed identity:\n%s", journal)
			}
		})
	}
}

// readPod reads a manifest by the types of Kubernetes, and refuses what they do
// not have.
func readPod(t *testing.T, path string) core.Pod {
	t.Helper()
	manifest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var p core.Pod
	if err := yaml.UnmarshalStrict(manifest, &p); err != nil {
		t.Fatal(err)
	}
	if p.APIVersion != "v1" || p.Kind != "Pod" || p.Spec.HostNetwork {
		t.Fatalf("%s is a %s %s, host network %t; want a Pod of v1 with its own network", path, p.APIVersion, p.Kind, p.Spec.HostNetwork)
	}
	sidecar := p.Spec.InitContainers[0]
	if sidecar.RestartPolicy == nil || *sidecar.RestartPolicy != core.ContainerRestartPolicyAlways || sidecar.StartupProbe == nil {
		t.Fatalf("%s: %s is no sidecar that the program waits for", path, sidecar.Name)
	}
	return p
}

// A pod is run by Docker, under names that begin with its id.
type pod struct {
	core.Pod
	id string
}

// sandbox starts the container that owns the network, and makes the volumes, for
// anybody to write to as an emptyDir is.
func (p *pod) sandbox(t *testing.T) {
	t.Helper()
	for _, v := range p.Spec.Volumes {
		if v.EmptyDir == nil {
			t.Fatalf("the volume %s is no emptyDir", v.Name)
		}
		output(t, "docker", "volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=mode=0777", p.id+"-"+v.Name)
		afterwards(t, "docker", "volume", "rm", p.id+"-"+v.Name)
	}
	pause := []string{"docker", "run", "--detach", "--name", p.id + "-pause"}
	if p.Spec.DNSPolicy == core.DNSNone {
		for _, n := range p.Spec.DNSConfig.Nameservers {
			pause = append(pause, "--dns", n)
		}
	}
	const nothing = "127.0.0.1:9" // a door that nobody uses: this has to last, and no more
	output(t, append(pause, "fakeentra:"+tag, "serve", "--fresh-keys", "--https=", "--imds=", "--proxy=", "--control="+nothing)...)
	afterwards(t, "docker", "rm", "--force", p.id+"-pause")
}

func (p *pod) startSidecar(t *testing.T, c core.Container) {
	t.Helper()
	name := p.id + "-sidecar"
	output(t, p.docker(t, c, "--detach", "--name", name)...)
	afterwards(t, "docker", "rm", "--force", name)
	probe := append([]string{"exec", name}, c.StartupProbe.Exec.Command...)
	const unpaced = 10 // a kubelet waits between tries
	for range unpaced * c.StartupProbe.FailureThreshold {
		if exec.CommandContext(t.Context(), "docker", probe...).Run() == nil {
			return
		}
	}
	t.Fatalf("the startup probe fails:\n%s", output(t, "docker", "logs", name))
}

// docker is the command that runs a container of the Pod.
func (p *pod) docker(t *testing.T, c core.Container, flags ...string) []string {
	t.Helper()
	image, ok := strings.CutSuffix(c.Image, ":latest")
	if !ok {
		t.Fatalf("the container %s has the image %s; want one that container/build makes", c.Name, c.Image)
	}
	command := append([]string{"docker", "run", "--network", "container:" + p.id + "-pause"}, flags...)
	command = append(command, p.security(c)...)
	for _, v := range c.Env {
		command = append(command, "--env", v.Name+"="+v.Value)
	}
	for _, m := range c.VolumeMounts {
		options := "nocopy"
		if m.ReadOnly {
			options += ",ro"
		}
		command = append(command, "--volume", p.id+"-"+m.Name+":"+m.MountPath+":"+options)
	}
	return append(append(command, image+":"+tag), append(c.Command, c.Args...)...)
}

// security are the flags for what a container is permitted.
func (p *pod) security(c core.Container) []string {
	var flags []string
	if s := p.Spec.SecurityContext; s != nil && s.RunAsUser != nil {
		flags = append(flags, "--user", fmt.Sprint(*s.RunAsUser))
	}
	s := c.SecurityContext
	if s == nil {
		return flags
	}
	if s.RunAsUser != nil {
		flags = append(flags, "--user", fmt.Sprint(*s.RunAsUser))
	}
	if s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation {
		flags = append(flags, "--security-opt", "no-new-privileges")
	}
	if s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem {
		flags = append(flags, "--read-only")
	}
	for _, capability := range s.Capabilities.Drop {
		flags = append(flags, "--cap-drop", string(capability))
	}
	for _, capability := range s.Capabilities.Add {
		flags = append(flags, "--cap-add", string(capability))
	}
	return flags
}
