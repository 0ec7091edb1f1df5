//go:build linux

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// Each mode has variables of its own besides those of the host.
func TestRunGivesPodsAndJobsTheirVariables(t *testing.T) {
	for _, mode := range []string{"netns", "notify", "proxy"} {
		for _, tc := range []struct{ scenario, host, script, want string }{
			{"aks", "exporter-pod", `head -c 3 "$AZURE_FEDERATED_TOKEN_FILE"; echo " $AZURE_CLIENT_ID"`, "eyJ 22222222-2222-2222-2222-222222222222\n"},
			{"aks", "bound-pod", `head -1 "$AZURE_KUBERNETES_CA_FILE"; echo "${AZURE_KUBERNETES_SNI_NAME#*.}"`, "-----BEGIN CERTIFICATE-----\nests.aks\n"},
			{"github-actions", "runner", `echo "${ACTIONS_ID_TOKEN_REQUEST_URL%%/1//*}"`, "https://run-actions-1-azure-eastus.actions.githubusercontent.com\n"},
			{"azure-pipelines", "agent", `echo "${SYSTEM_OIDCREQUESTURI%%/contoso*}"`, "https://dev.azure.com\n"},
		} {
			cmd := exec.CommandContext(t.Context(), "fakeentra", "run", "--mode", mode, "--scenario", tc.scenario, "--host", tc.host, "--", "sh", "-c", tc.script)
			cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
			out, err := cmd.Output()
			if failed, ok := err.(*exec.ExitError); ok && strings.Contains(string(failed.Stderr), "not available") {
				withoutMode(t, mode, failed.Stderr)
			}
			if err != nil || string(out) != tc.want {
				t.Errorf("%s, %s: %q, %v; want %q", mode, tc.host, out, err, tc.want)
			}
		}
	}
}

// A pod has its token where the webhook mounts it.
func TestRunMountsTheTokenOfAPod(t *testing.T) {
	needNamespaces(t)
	out, errs, err := runClient(t, "--mode", "netns", "--scenario", "aks", "--host", "bound-pod", "--", "sh", "-c", `echo "$AZURE_FEDERATED_TOKEN_FILE"; head -c 3 "$AZURE_FEDERATED_TOKEN_FILE"; echo; head -1 /var/run/secrets/azure/wi/ca-cert/ca.crt`)
	if want := "/var/run/secrets/azure/wi/token/azure-identity-token\neyJ\n-----BEGIN CERTIFICATE-----\n"; out != want || err != nil {
		t.Errorf("%q, %v, want %q\n%s", out, err, want, errs)
	}
}

// A folder that is not there is no reason to panic.
func TestRunSaysThatPodsNeedATemporaryFolder(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		for what, args := range map[string][]string{"the token of the pod": {"--scenario", "aks", "--host", "exporter-pod"}, "the key files of Azure Arc": {"--scenario", everySource, "--host", "server"}} {
			cmd := exec.CommandContext(t.Context(), "fakeentra", append(append([]string{"run", "--mode", mode}, args...), "--", "true")...)
			cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "TMPDIR=/nope")
			out, err := cmd.CombinedOutput()
			if mode == "proxy" {
				what = "the certificates"
			}
			want := "fakeentra: cannot make a temporary folder for " + what + ": stat /nope: no such file or directory\nhint: set TMPDIR to one that can be written\n"
			if mode == "notify" && what == "the key files of Azure Arc" || mode == "auto" && toolchain.Namespaces() != nil {
				continue // it makes none
			}
			if string(out) != want || err == nil {
				t.Errorf("%s: %q, %v, want %q", what, out, err, want)
			}
		}
	})
}

func TestServeSaysThatPodsNeedATemporaryFolder(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "fakeentra", "serve", "--scenario", "aks", "--host", "exporter-pod")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "TMPDIR=/nope")
	out, err := cmd.CombinedOutput()
	want := "fakeentra: cannot make a temporary folder for the token of the pod: stat /nope: no such file or directory\nhint: set TMPDIR to one that can be written\n"
	if !strings.HasSuffix(string(out), want) || err == nil {
		t.Errorf("%q, %v, want %q at its end", out, err, want)
	}
}
