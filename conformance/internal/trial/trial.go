// Package trial puts clients to checks for tests, in memory and in no real time.
package trial

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// Run returns what a run of checks finds of a client, and fails the test if there is
// no report.
func Run(t *testing.T, d driver.Driver, o suite.Options) *suite.Report {
	t.Helper()
	return In(t, suite.InProcess(d, t.TempDir()), o)
}

// In is Run for a target in the process of the test.
func In(t *testing.T, target suite.Target, o suite.Options) *suite.Report {
	t.Helper()
	var report *suite.Report
	synctest.Test(t, func(t *testing.T) {
		var err error
		report, err = suite.Run(t.Context(), target, o)
		if report == nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute) // for what comes too late, such as answers of a driver
	})
	return report
}

// Checks returns the checks whose IDs match one of patterns.
func Checks(t *testing.T, patterns ...string) []*suite.Check {
	t.Helper()
	checks, err := suite.Select(suite.Selection{IDs: patterns})
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

// Absolute returns a path from the root of a file that tests find beside them.
func Absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
