// Package node tests the example for Node.js.
package node

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m,
		toolchain.Command("node", "Node.js 20 or later", "see https://nodejs.org"),
		toolchain.File("node_modules/@azure/identity/package.json", "the packages of examples/node-azure-identity", "examples/install"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "node", "index.mjs")
}

func TestSignsInFromPodsAndPipelines(t *testing.T) {
	exampletest.SignsIn(t, []string{"netns", "notify"}, exampletest.Workloads, "node", "workload.mjs")
}
