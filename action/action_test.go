//go:build unix

// Package action does what action.yml says, as a runner of GitHub Actions would.
package action

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/exampletest"
)

// blobs are what the default scenario has.
const blobs = "2026/q1.csv\nq1.csv\nq2.csv\n"

// listBlobs is a script of the program in examples/bash-curl.
func listBlobs(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs("../examples/bash-curl/list-blobs.sh")
	if err != nil {
		t.Fatal(err)
	}
	return "'" + file + "'"
}

// A mirror has the archive of the release 1.2.3 for this machine.
type mirror struct {
	files   map[string][]byte // by path
	ca      string            // file
	url     string
	version string // that the program says it is
}

// versionOf returns what a program says it is: what the Go command knows of the
// tree, if it looks at all.
func versionOf(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "version").Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) < 2 {
		t.Fatalf("%s version says %q, %v", program, out, err)
	}
	return words[1]
}

// archive is the name of the file that this machine needs.
func archive(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("fakeentra_1.2.3_%s_%s.tar.gz", goEnv(t, "GOOS"), goEnv(t, "GOARCH"))
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	program := exampletest.Build(t, "cmd/fakeentra")
	out, err := exec.CommandContext(t.Context(), "tar", "-cz", "-C", filepath.Dir(program), "fakeentra").Output()
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{files: map[string][]byte{
		"/v1.2.3/" + archive(t): out,
		"/v1.2.3/checksums.txt": fmt.Appendf(nil, "%x  fakeentra_1.2.3_plan9_mips.tar.gz\n%x  %s\n", sha256.Sum256(nil), sha256.Sum256(out), archive(t)),
	}}
	server := httptest.NewTLSServer(m)
	t.Cleanup(server.Close)
	m.url, m.ca, m.version = server.URL, filepath.Join(t.TempDir(), "ca.pem"), versionOf(t, program)
	if err := os.WriteFile(m.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, ok := m.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(content) // a client that is gone finds out itself
}

// job returns a job whose runner finds the releases at the mirror.
func (m *mirror) job(t *testing.T) *job {
	t.Helper()
	j := newJob(t)
	j.env["CURL_CA_BUNDLE"], j.env["NO_PROXY"] = m.ca, "127.0.0.1"
	return j
}

// of adds the release to inputs.
func (m *mirror) of(inputs map[string]string) map[string]string {
	all := map[string]string{"version": "1.2.3", "releases": m.url}
	maps.Copy(all, inputs)
	return all
}

func TestSourceServesTheStepsThatFollow(t *testing.T) {
	j := newJob(t)
	outputs, log, err := j.uses(map[string]string{"version": "source"})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if diff := cmp.Diff(blobs, j.must(listBlobs(t))); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if got := strings.Count(j.must("fakeentra journal --host vm1"), "\n"); got != 3 {
		t.Errorf("the journal has %d requests, want 3", got)
	}
	if got, want := outputs["version"], strings.Fields(j.must("fakeentra version"))[1]; got != want {
		t.Errorf("the version is %q, want %q", got, want)
	}
}

// One release is enough, since it takes seconds to build.
func TestARelease(t *testing.T) {
	m := newMirror(t)
	t.Run("is served to the steps that follow, as the outputs say", m.outputsAreWhatTheReadyFileHolds)
	t.Run("leaves the environment to the steps, by choice", m.stepsAskForTheEnvironment)
	t.Run("serves a scenario of the user", m.scenarioAndHostAreTheUsers)
	t.Run("is only installed, by choice", m.installOnlyInstalls)
	t.Run("is that of the action by default", m.theActionKnowsItsRelease)
	t.Run("is refused for one reason each", m.refusals)
}

func (m *mirror) outputsAreWhatTheReadyFileHolds(t *testing.T) {
	j := m.job(t)
	outputs, log, err := j.uses(m.of(nil))
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	up := j.ready()
	want := map[string]string{
		"version": m.version, "ready-file": j.env["FAKEENTRA_READY_FILE"], "https": up.HTTPS, "imds": up.IMDS, "proxy": up.Proxy, "control": up.Control,
	}
	if diff := cmp.Diff(want, outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if up.Proxy != j.env["HTTPS_PROXY"] || up.Control != j.env["FAKEENTRA_CONTROL"] || up.Scenario != "msi-fic-blob" {
		t.Errorf("the ready file has %+v, and the environment %v", up, j.env)
	}
}

func (m *mirror) stepsAskForTheEnvironment(t *testing.T) {
	j := m.job(t)
	if _, log, err := j.uses(m.of(map[string]string{"environment": "none"})); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if got, want := j.given(), "[FAKEENTRA_READY_FILE]"; got != want {
		t.Errorf("the job has the variables %s, want %s", got, want)
	}
	got := j.must(`lead=$(fakeentra env --shell sh); eval "$lead"; ` + listBlobs(t))
	if diff := cmp.Diff(blobs, got); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
}

func (m *mirror) scenarioAndHostAreTheUsers(t *testing.T) {
	j := m.job(t)
	file := filepath.Join(t.TempDir(), "my cloud.yaml")
	scenario := strings.ReplaceAll(j.read("../fixtures/scenarios/msi-fic-blob.yaml"), "vm1", "my-vm")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, log, err := j.uses(m.of(map[string]string{"scenario": file, "host": "my-vm"})); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if up := j.ready(); up.Host != "my-vm" || up.Scenario != file {
		t.Errorf("it serves the host %q of %q, want my-vm of %q", up.Host, up.Scenario, file)
	}
}

func (m *mirror) installOnlyInstalls(t *testing.T) {
	j := m.job(t)
	outputs, log, err := j.uses(m.of(map[string]string{"mode": "install"}))
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	want := map[string]string{"version": m.version, "ready-file": "", "https": "", "imds": "", "proxy": "", "control": ""}
	if diff := cmp.Diff(want, outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if got := j.given(); got != "[]" {
		t.Errorf("the job has the variables %s", got)
	}
	if diff := cmp.Diff(blobs, j.must("fakeentra run --fresh-keys --mode proxy -- "+listBlobs(t))); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
}

func (m *mirror) theActionKnowsItsRelease(t *testing.T) {
	j := m.job(t)
	changes := "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2027-01-31)\n\n- More.\n\n## 1.2.2 (2027-01-30)\n"
	j.tree = t.TempDir()
	for name, content := range map[string]string{"action/install": j.read("install"), "action/serve": j.read("serve"), "CHANGELOG.md": changes} {
		file := filepath.Join(j.tree, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, log, err := j.uses(map[string]string{"releases": m.url, "mode": "install"}); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if got := j.must("command -v fakeentra"); got != filepath.Join(j.temp, "fakeentra", "fakeentra")+"\n" {
		t.Errorf("the program is %s", got)
	}
}

func (m *mirror) refusals(t *testing.T) {
	name := archive(t)
	for _, c := range []struct {
		what, why   string
		inputs, env map[string]string
		checksums   string
		installed   bool
	}{
		{what: "a wrong checksum", checksums: "0123  " + name + "\n", why: fmt.Sprintf("the SHA-256 of %s is %x; the release says 0123", name, sha256.Sum256(m.files["/v1.2.3/"+name]))},
		{what: "no checksum", checksums: "0123  other.tar.gz\n", why: fmt.Sprintf("the SHA-256 of %s is %x; the release says nothing of it", name, sha256.Sum256(m.files["/v1.2.3/"+name]))},
		{what: "no such release", inputs: map[string]string{"version": "v1.2.4"}, why: "cannot download " + m.url + "/v1.2.4/checksums.txt; is there a release 1.2.4?"},
		{what: "a word for a version", inputs: map[string]string{"version": "latest"}, why: `the version is "latest"; expected one like 1.2.3, or source`},
		{what: "a version that leads elsewhere", inputs: map[string]string{"version": "1.2.3/../../x"}, why: `the version is "1.2.3/../../x"; expected one like 1.2.3, or source`},
		{what: "another system", env: map[string]string{"RUNNER_OS": "Plan9"}, why: "there is no release for runners with Plan9; expected Linux, macOS or Windows"},
		{what: "another architecture", env: map[string]string{"RUNNER_ARCH": "X86"}, why: "there is no release for runners with X86; expected X64 or ARM64"},
		{what: "an unknown mode", installed: true, inputs: map[string]string{"mode": "run"}, why: `the mode is "run"; expected serve or install`},
		{what: "an unknown environment", installed: true, inputs: map[string]string{"environment": "true"}, why: `the environment is "true"; expected job or none`},
		{what: "no such scenario", installed: true, inputs: map[string]string{"scenario": "nope"}, why: `fakeentra: there is no scenario "nope"`},
	} {
		t.Run(c.what, func(t *testing.T) {
			if sums := "/v1.2.3/checksums.txt"; c.checksums != "" {
				right := m.files[sums]
				m.files[sums] = []byte(c.checksums)
				defer func() { m.files[sums] = right }()
			}
			j := m.job(t)
			maps.Copy(j.env, c.env)
			_, log, err := j.uses(m.of(c.inputs))
			if err == nil || !strings.HasSuffix(log, "\n::error title=fakeentra::"+c.why+"\n") && log != "::error title=fakeentra::"+c.why+"\n" {
				t.Errorf("%v, it says:\n%s\nwant %s", err, log, c.why)
			}
			if got := j.given(); got != "[]" {
				t.Errorf("the job has the variables %s", got)
			}
			if installed := len(j.path) > 0; installed != c.installed {
				t.Errorf("PATH was given %v", j.path)
			}
			if left, err := filepath.Glob(filepath.Join(j.temp, "fakeentra.*")); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

func TestSourceNeedsGo(t *testing.T) {
	j := newJob(t)
	folder := t.TempDir()
	for _, name := range []string{"bash", "dirname", "mktemp", "rm"} { // all that is needed before Go is
		program, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(program, filepath.Join(folder, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
	_, log, err := j.uses(map[string]string{"version": "source"})
	const want = "::error title=fakeentra::there is no Go to build fakeentra with; use actions/setup-go before, or name a release as version\n"
	if err == nil || log != want {
		t.Errorf("%v, it says:\n%s\nwant %s", err, log, want)
	}
}
