//go:build linux

// Package action does what action.yml says, as a runner of GitHub Actions would.
package action

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/internal/trial"
	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestTheStepPutsADriverToTheSuite(t *testing.T) {
	if err := toolchain.Namespaces(); err != nil {
		toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
	}
	program, reference := exampletest.Build(t, "cmd/fakeentra"), exampletest.Build(t, "conformance/clients/reference")
	for name, test := range map[string]struct {
		driver, flags string
		status        int
		says          string
	}{
		"met":       {reference, "--only IMDS-02", 0, "IMDS-02"},
		"not met":   {reference + " -bug IMDS-02", "--only 'IMDS-0[12]'", 1, "::error "},
		"no driver": {"", "", 1, "the input driver is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			cmd := exec.CommandContext(t.Context(), toolchain.Program(t, "bash"), trial.Absolute(t, "run"))
			cmd.Dir = work
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "GITHUB_ACTIONS=true",
				"GITHUB_OUTPUT="+filepath.Join(work, "output"), "GITHUB_STEP_SUMMARY="+filepath.Join(work, "summary"),
				"INPUT_DRIVER="+test.driver, "INPUT_FLAGS="+test.flags, "INPUT_REPORTS=reports", "XDG_STATE_HOME="+work)
			out, _ := cmd.CombinedOutput() // its status is looked at
			if code := cmd.ProcessState.ExitCode(); code != test.status || !strings.Contains(string(out), test.says) {
				t.Fatalf("exit code %d, want %d and %q:\n%s", code, test.status, test.says, out)
			}
			if test.driver == "" {
				return
			}
			for _, report := range []string{"report.json", "report.html", "junit.xml", "report.sarif"} {
				if info, err := os.Stat(filepath.Join(work, "reports", report)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", report, err)
				}
			}
			if summary, err := os.ReadFile(filepath.Join(work, "summary")); err != nil || !strings.Contains(string(summary), "Conformance of reference") {
				t.Errorf("summary %q, %v", summary, err)
			}
		})
	}
}
