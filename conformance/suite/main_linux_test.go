package suite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/suite"
	"github.com/fakeentra/fakeentra/internal/sandbox"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

// The first argument with which this test binary is a driver, and not a test.
const (
	asReference = "reference" // the right client, or one with the bug that is the next argument
	asHostile   = "hostile"   // one that misbehaves as the next argument says
	asScript    = "script"    // one that is called anew for each request, likewise
	asChild     = "child"     // no driver: what one leaves running
	asHolder    = "holder"    // likewise, until nobody reads what it could write
)

// TestMain makes this test binary the drivers that the tests need.
func TestMain(m *testing.M) {
	sandbox.Child()
	next := ""
	if len(os.Args) > 2 {
		next = os.Args[2]
	}
	switch args := append(os.Args, ""); args[1] {
	case asReference:
		driver.Main(reference.New(reference.FindBug(next)))
	case asHostile:
		serveHostile(next)
	case asScript:
		answerOnce(next)
	case asChild:
		stay()
	case asHolder:
		hold()
	}
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil { // every driver would sleep for a second
		panic(err)
	}
	os.Exit(tidily(m.Run))
}

// tidily has tests fail that leave folders of drivers behind.
func tidily(tests func() int) int {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.Setenv("TMPDIR", folder); err != nil {
		panic(err)
	}
	code := tests()
	if left, err := filepath.Glob(filepath.Join(folder, "fakeentra-*")); err != nil || len(left) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: folders of drivers are left: %q %v\n", left, err)
		return 1
	}
	return code
}

// program returns this test binary as a driver.
func program(args ...string) suite.Command {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return suite.Command{Path: path, Args: append([]string{os.Args[0]}, args...), Scale: 4}
}

// run runs checks against a driver. It leaves the test out where there are no
// sandboxes.
func run(t *testing.T, c suite.Command, o suite.Options) (*suite.Report, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return runUntil(t, ctx, c, o)
}

// runUntil is run that ends with ctx.
func runUntil(t *testing.T, ctx context.Context, c suite.Command, o suite.Options) (*suite.Report, error) {
	t.Helper()
	report, err := suite.Run(ctx, suite.Process(c), o)
	if c.Wiring != suite.Docker && errors.Is(err, sandbox.ErrUnavailable) {
		toolchain.Without(t, "namespaces", "fakeentra doctor says what forbids them ("+err.Error()+")")
	}
	return report, err
}

// selected returns checks.
func selected(t *testing.T, s suite.Selection) []*suite.Check {
	t.Helper()
	checks, err := suite.Select(s)
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

// verdicts are what a report says, by check.
func verdicts(r *suite.Report) map[string]suite.Verdict {
	all := map[string]suite.Verdict{}
	for _, result := range r.Results {
		all[result.ID] = result.Verdict
	}
	return all
}

// withoutReset is a driver each of whose processes serves one case.
type withoutReset struct{ driver.Driver }

func (d withoutReset) Hello() driver.Hello {
	h := d.Driver.Hello()
	h.Capabilities = slices.DeleteFunc(h.Capabilities, func(c driver.Capability) bool { return c == driver.Reset })
	return h
}
