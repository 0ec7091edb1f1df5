package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// A server of this machine, under a name in a file of hosts that only run sees,
// stands for a real one. Its TLS is its own, at the port that was named, and at
// no other.
func TestEgressReachesARealServer(t *testing.T) {
	needNamespaces(t)
	for _, program := range []string{"unshare", "mount", "umount"} {
		toolchain.Program(t, program)
	}
	serve := func() string {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != r.TLS.ServerName+":"+r.URL.Query().Get("port") {
				t.Errorf("the real server is asked for %s with the name %s", r.Host, r.TLS.ServerName)
			}
			w.WriteHeader(http.StatusTeapot)
		}))
		t.Cleanup(s.Close)
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		// Its certificate is for example.com, and it trusts itself.
		t.Setenv("SSL_CERT_FILE", filepath.Join(t.TempDir(), "trusted.pem"))
		certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		if err := os.WriteFile(os.Getenv("SSL_CERT_FILE"), certificate, 0o600); err != nil {
			t.Fatal(err)
		}
		return u.Port()
	}
	named, other := serve(), serve()
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind "$0" /etc/hosts && exec "$@"`
	// In mode notify, the command would see the file, too.
	withoutHosts := []string{"unshare", "--mount", "sh", "-c", `umount /etc/hosts && exec "$0" "$@"`}
	for mode, prefix := range map[string][]string{"netns": nil, "notify": withoutHosts, "proxy": nil} {
		t.Run(mode, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", t.TempDir())
			ask := func(port string) (out string, code int) {
				words := []string{"--user", "--map-root-user", "--mount", "sh", "-c", script, hosts, "fakeentra", "run", "--mode", mode, "--fresh-keys", "--egress", "example.com:" + named, "--"}
				words = slices.Concat(words, prefix, []string{"client", "get", fmt.Sprintf("https://example.com:%s/?port=%s", port, port)})
				cmd := exec.CommandContext(t.Context(), "unshare", words...)
				stdout, _ := cmd.Output() // how it ended says the code
				return string(stdout), cmd.ProcessState.ExitCode()
			}
			out, code := ask(named)
			if diff := cmp.Diff("418\n", out); diff != "" || code != 0 {
				t.Errorf("at the port that was named: exit code %d (-want +got):\n%s", code, diff)
			}
			if mode == "proxy" {
				return // which keeps nothing from the command
			}
			if out, code := ask(other); out != "" || code != 3 {
				t.Errorf("at another port: %q, exit code %d; want nothing, and 3", out, code)
			}
		})
	}
}
