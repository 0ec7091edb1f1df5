package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/conformance"
	"github.com/fakeentra/fakeentra/conformance/expect"
	"github.com/fakeentra/fakeentra/conformance/reference"
)

// The variables with which TestOfAUser runs, as the test of a user of the package.
const (
	userBug  = "FAKEENTRA_TEST_BUG"
	userFile = "FAKEENTRA_TEST_XFAIL"
)

func TestOfAUser(t *testing.T) {
	file := os.Getenv(userFile)
	if file == "" {
		t.Skip("other tests run it, in processes of their own")
	}
	conformance.Run(t, reference.New(reference.FindBug(os.Getenv(userBug))),
		conformance.Only("IMDS-02", "IMDS-10"), conformance.Strict(), conformance.ExpectFile(file))
}

// userTest runs TestOfAUser and returns what it said.
func userTest(t *testing.T, bug, expectations string) (string, bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), expect.FileName)
	if err := os.WriteFile(file, []byte(expectations), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestOfAUser$", "-test.v")
	cmd.Env = append(os.Environ(), userBug+"="+bug, userFile+"="+file)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestTestsInGoAreHeldToAFileOfExpectations(t *testing.T) {
	t.Parallel()
	const known = "[[expect]]\ncheck = \"IMDS-10\"\nreason = \"it follows them\"\n"
	for name, c := range map[string]struct {
		bug, file string
		ok        bool
		says      string
	}{
		"nothing is known":          {"IMDS-10", "", false, "--- FAIL: TestOfAUser/IMDS-10"},
		"it is known to fail":       {"IMDS-10", known, true, "--- SKIP: TestOfAUser/IMDS-10"},
		"it is met after all":       {"", known, false, "take the expectation away"},
		"another one fails":         {"IMDS-02", known, false, "--- FAIL: TestOfAUser/IMDS-02"},
		"the wiring is another one": {"IMDS-10", known + "when = {wiring = \"netns\"}\n", false, "--- FAIL: TestOfAUser/IMDS-10"},
		"it comes to nothing":       {"", known + "assert = \"IMDS-10.nothing\"\n", false, "the run did not come to the condition IMDS-10.nothing"},
		"there is no reason":        {"IMDS-10", "[[expect]]\ncheck = \"IMDS-10\"\n", false, "xfail.toml:1: the reason is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, ok := userTest(t, c.bug, c.file)
			if ok != c.ok || !strings.Contains(out, c.says) {
				t.Errorf("it passed: %v, want %v, and %q:\n%s", ok, c.ok, c.says, out)
			}
		})
	}
}
