package toolchain

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// An outcome is what became of a test that is left out.
type outcome struct{ skipped, failed string }

func (o *outcome) Skip(args ...any)  { o.skipped = fmt.Sprint(args...) }
func (o *outcome) Fatal(args ...any) { o.failed = fmt.Sprint(args...) }

func TestWhatIsMissingIsNamedWithHowToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, want := range map[string]string{
		"curl":   "did without curl; to have it: install curl with the system's packages",
		"setsid": "did without setsid; to have it: install util-linux with the system's packages",
		"dotenv": "did without dotenv; to have it: pip install 'python-dotenv[cli]'",
		"pwsh":   "did without pwsh; to have it: see https://learn.microsoft.com/powershell",
	} {
		t.Setenv(RequireAll, "")
		var left outcome
		Program(&left, name)
		if left != (outcome{skipped: want}) {
			t.Errorf("%s: %+v, want it skipped: %s", name, left, want)
		}
		t.Setenv(RequireAll, "1")
		var required outcome
		Program(&required, name)
		if name == "pwsh" && required != left {
			t.Errorf("%s: %+v, want it skipped: CI has none", name, required)
		}
		if name != "pwsh" && required != (outcome{failed: want + "\nFAKEENTRA_REQUIRE_ALL is set, so this is a failure"}) {
			t.Errorf("%s: %+v, want a failure", name, required)
		}
	}
}

func TestWhatIsThereIsUsed(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "curl")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	var left outcome
	if got := Program(&left, "curl"); got != program || left != (outcome{}) {
		t.Errorf("%s, %+v; want %s", got, left, program)
	}
}
