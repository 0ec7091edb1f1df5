// Package terraform tests the example, which is a module of its own: what it
// needs is no concern of this one.
package terraform

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m, toolchain.File("bin/signin", "the program of examples/go-azure-sdk", "examples/install"))
}

func TestSignsInFromCIJobs(t *testing.T) {
	exampletest.SignsIn(t, exampletest.Modes, []string{"azure-pipelines/agent", "azure-pipelines/legacy-agent", "github-actions/runner", "github-actions/release-runner"}, "bin/signin")
}
