// Package python tests the example.
package python

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m, toolchain.File(".venv/bin/python", "Python with the packages of examples/python-azure-identity", "examples/install"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, ".venv/bin/python", "main.py")
}

func TestSignsInFromPodsAndPipelines(t *testing.T) {
	exampletest.SignsIn(t, exampletest.Modes, append([]string{exampletest.BoundPod}, exampletest.Workloads...), ".venv/bin/python", "workload.py")
}
