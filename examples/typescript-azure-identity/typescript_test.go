// Package typescript tests the example.
package typescript

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m,
		toolchain.Command("npm", "Node.js 20 or later, with npm", "see https://nodejs.org"),
		toolchain.File("dist/index.js", "the program of examples/typescript-azure-identity", "examples/install"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "npm", "start", "--silent")
}
