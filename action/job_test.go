//go:build unix

package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	const install = "install it with the system's packages"
	toolchain.Main(m,
		toolchain.Command("bash", "bash", install),
		toolchain.Command("curl", "curl", install),
		toolchain.Command("jq", "jq", install))
}

// deadline ends a step whose output something in the background holds.
const deadline = 20 * time.Second

// An action is what action.yml says, as far as the tests do as it says.
type action struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []step
	}
}

type step struct {
	ID, Shell, Run string
	Env            map[string]string
}

// A job does what a runner does for the steps of a job.
type job struct {
	t     *testing.T
	tree  string // of the action
	temp  string // RUNNER_TEMP
	env   map[string]string
	path  []string
	alive *os.File // is held by all processes of the job
	steps []int    // process groups, one for each step
}

// newJob returns a job on a runner of this machine's kind. When the test ends,
// so do its processes.
func newJob(t *testing.T) *job {
	t.Helper()
	tree, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	gone, alive, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	j := &job{t: t, tree: tree, temp: t.TempDir(), alive: alive, env: map[string]string{
		"HOME": t.TempDir(), "TMPDIR": t.TempDir(), "GOCACHE": goEnv(t, "GOCACHE"), "GOMODCACHE": goEnv(t, "GOMODCACHE"),
		"RUNNER_OS":   map[string]string{"linux": "Linux", "darwin": "macOS"}[goEnv(t, "GOOS")],
		"RUNNER_ARCH": map[string]string{"amd64": "X64", "arm64": "ARM64"}[goEnv(t, "GOARCH")],
	}}
	j.env["RUNNER_TEMP"] = j.temp
	t.Cleanup(func() { j.end(gone) })
	return j
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// end terminates what still runs, and waits for it.
func (j *job) end(gone *os.File) {
	if err := j.alive.Close(); err != nil {
		j.t.Error(err)
	}
	for _, group := range j.steps {
		if err := syscall.Kill(-group, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			j.t.Error(err)
		}
	}
	if _, err := io.Copy(io.Discard, gone); err != nil { // until the last one that could write is gone
		j.t.Error(err)
	}
	if err := gone.Close(); err != nil {
		j.t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(j.env["TMPDIR"], "*")); err != nil || len(left) > 0 {
		j.t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

// step runs a script as "shell: bash" does, and returns what it prints.
func (j *job) step(script string, env map[string]string) (string, error) {
	cmd := exec.CommandContext(j.t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Env = []string{"PATH=" + strings.Join(append(slices.Clone(j.path), os.Getenv("PATH")), ":")}
	for _, vars := range []map[string]string{j.env, env} {
		for name, value := range vars {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.ExtraFiles = []*os.File{j.alive}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = deadline
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		j.steps = append(j.steps, cmd.Process.Pid)
	}
	return string(out), err
}

// must runs a step that is expected to succeed.
func (j *job) must(script string) string {
	j.t.Helper()
	out, err := j.step(script, nil)
	if err != nil {
		j.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// uses runs the steps of the action, until one fails. It returns the outputs of
// the action, and all that the steps print.
func (j *job) uses(inputs map[string]string) (outputs map[string]string, log string, err error) {
	j.t.Helper()
	a := j.action()
	context := map[string]string{}
	for name, input := range a.Inputs {
		context["inputs."+name] = input.Default
	}
	for name, value := range inputs {
		if _, ok := a.Inputs[name]; !ok {
			j.t.Fatalf("the action has no input %q", name)
		}
		context["inputs."+name] = value
	}
	for _, s := range a.Runs.Steps {
		var out string
		out, err = j.actionStep(s, context)
		log += out
		if err != nil {
			break
		}
	}
	outputs = map[string]string{}
	for name, output := range a.Outputs {
		outputs[name] = j.evaluate(output.Value, context)
	}
	return outputs, log, err
}

func (j *job) action() action {
	j.t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "action.yml"))
	if err != nil {
		j.t.Fatal(err)
	}
	var a action
	if err := yaml.Load(content, &a); err != nil {
		j.t.Fatal(err)
	}
	if a.Runs.Using != "composite" || len(a.Runs.Steps) == 0 {
		j.t.Fatalf("action.yml has %+v", a.Runs)
	}
	return a
}

// actionStep runs a step with files of its own for what it tells the runner,
// which hold for the steps that follow.
func (j *job) actionStep(s step, context map[string]string) (string, error) {
	j.t.Helper()
	if s.Shell != "bash" {
		j.t.Fatalf("the step %s has the shell %q, want bash", s.ID, s.Shell)
	}
	files := j.t.TempDir()
	env := map[string]string{"GITHUB_ACTION_PATH": j.tree}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH"} {
		env[name] = filepath.Join(files, name)
		if err := os.WriteFile(env[name], nil, 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
	for name, value := range s.Env {
		env[name] = j.evaluate(value, context)
	}
	out, err := j.step(s.Run, env)
	maps.Copy(j.env, j.variables(env["GITHUB_ENV"]))
	for name, value := range j.variables(env["GITHUB_OUTPUT"]) {
		context["steps."+s.ID+".outputs."+name] = value
	}
	j.path = append(strings.Fields(j.read(env["GITHUB_PATH"])), j.path...)
	return out, err
}

// evaluate replaces expressions, of which the action has the simplest kind only.
func (j *job) evaluate(text string, context map[string]string) string {
	return regexp.MustCompile(`\$\{\{ (\S+) \}\}`).ReplaceAllStringFunc(text, func(expression string) string {
		return context[strings.Fields(expression)[1]]
	})
}

func (j *job) read(file string) string {
	j.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		j.t.Fatal(err)
	}
	return string(content)
}

// variables parses lines with a name and a value, and the form for values of
// several lines.
func (j *job) variables(file string) map[string]string {
	j.t.Helper()
	vars := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(j.read(file), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if name, delimiter, ok := strings.Cut(lines[i], "<<"); ok {
			end := slices.Index(lines[i:], delimiter)
			if end < 0 {
				j.t.Fatalf("%s has no end of %s", file, name)
			}
			vars[name] = strings.Join(lines[i+1:i+end], "\n")
			i += end
		} else if name, value, ok := strings.Cut(lines[i], "="); ok {
			vars[name] = value
		} else if lines[i] != "" {
			j.t.Fatalf("%s has the line %q", file, lines[i])
		}
	}
	return vars
}

// up is what a ready file says.
type up struct{ HTTPS, IMDS, Proxy, Control, Host, Scenario string }

func (j *job) ready() (r up) {
	j.t.Helper()
	if err := json.Unmarshal([]byte(j.read(j.env["FAKEENTRA_READY_FILE"])), &r); err != nil {
		j.t.Fatal(err)
	}
	return r
}

// given returns the names of the variables that steps were given, but not of
// those of the runner.
func (j *job) given() string {
	given := slices.DeleteFunc(slices.Sorted(maps.Keys(j.env)), func(name string) bool {
		return slices.Contains([]string{"HOME", "TMPDIR", "GOCACHE", "GOMODCACHE", "RUNNER_OS", "RUNNER_ARCH", "RUNNER_TEMP", "CURL_CA_BUNDLE", "NO_PROXY"}, name)
	})
	return fmt.Sprint(given)
}
