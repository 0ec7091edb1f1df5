//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

const everySource = "../../fixtures/scenarios/every-source.yaml"

// places are hosts of that scenario, with their endpoints in Azure.
var places = []struct{ host, scheme, authority, path string }{
	{"web", "http", "127.0.0.1:41741", "/msi/token"},
	{"container", "http", "localhost:42356", "/msi/token"},
	{"server", "http", "localhost:40342", "/metadata/identity/oauth2/token"},
	{"service", "https", "localhost:2377", "/metadata/identity/oauth2/token"},
	{"shell", "http", "localhost:50342", "/oauth2/token"},
	{"notebook", "http", "127.0.0.1:46808", "/MSI/auth/"},
}

// runClient runs the client in a cloud, and fails unless it leaves nothing in the
// folder for temporary files.
func runClient(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "fakeentra", append([]string{"run"}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "TMPDIR="+folder)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if left, globErr := filepath.Glob(folder + "/*"); globErr != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, globErr)
	}
	return out.String(), errs.String(), err
}

// inArcFolder says what is to come of a run that needs /var/opt/azcmagent/tokens:
// without a file system of its own, it takes root.
func inArcFolder(mode string) bool {
	return os.Geteuid() == 0 || mode == "netns" || mode == "auto" && toolchain.Namespaces() == nil
}

// The endpoints are where they are in Azure, except for mode proxy, in which the
// network is that of the machine.
func TestRunLeadsToTheEndpointOfItsHost(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		for _, p := range places {
			out, errs, err := runClient(t, "--mode", mode, "--scenario", everySource, "--host", p.host, "--fail-on-leak", "--", "client", "endpoint")
			if p.host == "server" && !inArcFolder(mode) {
				if want := "which is not to be had: mkdir /var/opt/azcmagent: permission denied; make it writable, or take a mode that gives programs a folder of their own: fakeentra run --mode netns\n"; err == nil || !strings.Contains(errs, want) {
					t.Errorf("%s: %v, standard error %q, want %q in it", p.host, err, errs, want)
				}
				continue
			}
			at, who, _ := strings.Cut(strings.TrimSuffix(out, "\n"), " ")
			if mode == "proxy" {
				name, _, _ := strings.Cut(p.authority, ":")
				if strings.HasPrefix(at, p.scheme+"://"+name+":") && strings.HasSuffix(at, p.path) {
					at = p.scheme + "://" + p.authority + p.path
				}
			}
			if want := p.scheme + "://" + p.authority + p.path; at != want || who != "33333333-3333-3333-3333-333333333333" || err != nil {
				t.Errorf("%s: %q (%v), want the identity's token from %s\n%s", p.host, out, err, want, errs)
			}
		}
	})
}

// What fakeentra serve tells in its ready file leads to it from every sandbox.
func TestRunAttachesToTheEndpointOfAHost(t *testing.T) {
	for _, host := range []string{"web", "service"} {
		s := startServe(t, "--scenario", everySource, "--host", host)
		inEachMode(t, func(t *testing.T, mode string) {
			out, errs, err := runClient(t, "--mode", mode, "--attach", s.readyFile, "--fail-on-leak", "--", "client", "endpoint")
			if want := s.Environ["IDENTITY_ENDPOINT"] + " 33333333-3333-3333-3333-333333333333\n"; out != want || err != nil {
				t.Errorf("%s: %q, %v, want %q\n%s", host, out, err, want, errs)
			}
		})
	}
}

// One cloud has doors for each of its hosts, and its control plane tells all that
// there is to know of them.
func TestRunAttachesToAnyHostOfACloud(t *testing.T) {
	s := startServe(t, "--scenario", everySource)
	for _, host := range []string{"web", "service", "notebook"} {
		inEachMode(t, func(t *testing.T, mode string) {
			for _, to := range []string{s.readyFile, s.Control} {
				out, errs, err := runClient(t, "--mode", mode, "--attach", to, "--host", host, "--fail-on-leak", "--", "client", "endpoint")
				if !strings.HasSuffix(out, " 33333333-3333-3333-3333-333333333333\n") || err != nil {
					t.Errorf("%s of %s: %q, %v\n%s", host, to, out, err, errs)
				}
			}
		})
	}
}

func TestRunDoesNotAttachWithoutTheVariablesOfAHost(t *testing.T) {
	s := startServe(t, "--scenario", everySource, "--host", "web")
	_, errs, err := runClient(t, "--attach", s.Control, "--", "client", "endpoint")
	want := "fakeentra: the host web of the cloud at " + s.Control + " has variables of its own, which the control plane does not tell\nhint: name its ready file instead, as in --attach up, or say --host web\n"
	if diff := cmp.Diff(want, errs); diff != "" || err == nil {
		t.Errorf("%v, standard error (-want +got):\n%s", err, diff)
	}
}

func TestRunKeepsThePortOfAnEndpoint(t *testing.T) {
	for _, flag := range []string{"--forward", "--publish"} {
		_, errs, err := runClient(t, flag, "8080,41741", "--scenario", everySource, "--host", "web", "--", "client", "endpoint")
		want := "fakeentra: " + flag + " has 41741, at which the host has its managed identity endpoint\nhint: take another port\n"
		if diff := cmp.Diff(want, errs); diff != "" || err == nil {
			t.Errorf("%s: %v, standard error (-want +got):\n%s", flag, err, diff)
		}
	}
}
