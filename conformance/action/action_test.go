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
		driver, flags, at, reports string
		status                     int
		says                       string
	}{
		"met":         {reference, "--only IMDS-02", ".", "reports", 0, "IMDS-02"},
		"not met":     {reference + " -bug IMDS-02", "--only 'IMDS-0[12]'", ".", "it's $HOME", 1, "::error "},
		"known":       {reference + " -bug IMDS-02", "--only 'IMDS-0[12]'", "my driver", "reports", 0, "xfail "},
		"no driver":   {"", "", ".", "reports", 1, "the input driver is empty"},
		"no folder":   {reference, "", "elsewhere", "reports", 1, "there is no folder elsewhere, which the input working-directory names"},
		"two folders": {reference, "", ".", "one,two", 1, "the input reports is one,two; expected a folder without a comma in its name"},
	} {
		t.Run(name, func(t *testing.T) {
			work := t.TempDir()
			if err := os.Mkdir(filepath.Join(work, "my driver"), 0o755); err != nil {
				t.Fatal(err)
			}
			known := "[[expect]]\ncheck = \"IMDS-02\"\nreason = \"it is a test\"\n"
			if err := os.WriteFile(filepath.Join(work, "my driver", "xfail.toml"), []byte(known), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), toolchain.Program(t, "bash"), trial.Absolute(t, "run"))
			cmd.Dir = work
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "GITHUB_ACTIONS=true",
				"GITHUB_OUTPUT="+filepath.Join(work, "output"), "GITHUB_STEP_SUMMARY="+filepath.Join(work, "summary"),
				"INPUT_DRIVER="+test.driver, "INPUT_FLAGS="+test.flags, "INPUT_REPORTS="+test.reports, "INPUT_WORKING_DIRECTORY="+test.at, "XDG_STATE_HOME="+work)
			out, _ := cmd.CombinedOutput() // its status is looked at
			if code := cmd.ProcessState.ExitCode(); code != test.status || !strings.Contains(string(out), test.says) {
				t.Fatalf("exit code %d, want %d and %q:\n%s", code, test.status, test.says, out)
			}
			if strings.HasPrefix(test.says, "the") {
				return
			}
			for _, report := range []string{"report.json", "report.html", "junit.xml", "report.sarif"} {
				if info, err := os.Stat(filepath.Join(work, test.reports, report)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", report, err)
				}
			}
			if summary, err := os.ReadFile(filepath.Join(work, "summary")); err != nil || !strings.Contains(string(summary), "Conformance of reference") {
				t.Errorf("summary %q, %v", summary, err)
			}
		})
	}
}
