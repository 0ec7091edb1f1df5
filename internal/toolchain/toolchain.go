// Package toolchain is how tests do without what a machine lacks: they say what
// that is and how to get it or, where nothing may be left out, they fail.
package toolchain

import (
	"fmt"
	"os"
	"os/exec"
)

// RequireAll is the variable under which what is missing is a failure.
const RequireAll = "FAKEENTRA_REQUIRE_ALL"

// Required reports whether nothing may be left out.
func Required() bool { return os.Getenv(RequireAll) != "" }

// A TB is what [Without] needs of a [testing.TB]. Scripts have it, too.
type TB interface {
	Fatal(args ...any)
	Skip(args ...any)
}

// Without leaves a test out for want of something that install provides. Under
// [RequireAll] the test fails.
func Without(t TB, what, install string) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	leaveOut(t, what, install, Required())
}

// packages are those of Debian that have a program, where they are not called as
// it is.
var packages = map[string]string{
	"awk":      "mawk or gawk",
	"cut":      "coreutils",
	"find":     "findutils",
	"gcc":      "gcc and libc6-dev",
	"javac":    "default-jdk-headless",
	"keytool":  "default-jre-headless",
	"musl-gcc": "musl-tools",
	"node":     "nodejs",
	"paste":    "coreutils",
	"setsid":   "util-linux",
	"sort":     "coreutils",
	"umount":   "mount",
	"unshare":  "util-linux",
	"xmllint":  "libxml2-utils",
}

// elsewhere is where to get what no package of Debian has.
var elsewhere = map[string]string{
	"dotenv": "pip install 'python-dotenv[cli]'",
	"pwsh":   "see https://learn.microsoft.com/powershell",
}

// notInCI are the programs that .ci/run does not install, so that not even
// [RequireAll] requires them.
var notInCI = map[string]bool{"pwsh": true}

// Program returns the path of a program, or leaves the test out if it is not in
// PATH.
func Program(t TB, name string) string {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	path, err := exec.LookPath(name)
	if err != nil {
		leaveOut(t, name, howToGet(name), Required() && !notInCI[name])
	}
	return path
}

// howToGet says what provides a program.
func howToGet(name string) string {
	if how := elsewhere[name]; how != "" {
		return how
	}
	pkg := packages[name]
	if pkg == "" {
		pkg = name
	}
	return "install " + pkg + " with the system's packages"
}

func leaveOut(t TB, what, install string, required bool) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	reason := fmt.Sprintf("did without %s; to have it: %s", what, install)
	if !required {
		t.Skip(reason)
		return
	}
	t.Fatal(reason + "\n" + RequireAll + " is set, so this is a failure")
}
