package exampletest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Workloads are hosts of the embedded scenarios on which SDKs get their
// assertions from a cluster or from Azure Pipelines, as scenario/host.
var Workloads = []string{"aks/exporter-pod", "aks/agent-pod", "azure-pipelines/agent", "azure-pipelines/legacy-agent"}

// BoundPod is the one with an identity binding, for SDKs that can use one.
const BoundPod = "aks/bound-pod"

// SignsIn runs a command under "fakeentra run" on hosts, in each of modes that
// this machine permits, and expects it to print "signed in".
func SignsIn(t *testing.T, modes, hosts []string, command ...string) {
	t.Helper()
	fakeentra := Build(t, "cmd/fakeentra")
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			Permitted(t, fakeentra, mode)
			for _, at := range hosts {
				scenario, host, _ := strings.Cut(at, "/")
				cmd := exec.CommandContext(t.Context(), fakeentra, append([]string{"run", "--mode", mode, "--scenario", scenario, "--host", host, "--"}, command...)...)
				cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
				out, err := cmd.Output()
				if err != nil || string(out) != "signed in\n" {
					t.Errorf("%s: %q, %v", at, out, err)
				}
			}
		})
	}
}
