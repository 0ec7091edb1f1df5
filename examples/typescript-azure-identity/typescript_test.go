// Package typescript tests the example.
package typescript

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
)

func TestMain(m *testing.M) {
	exampletest.Main(m,
		exampletest.Command("npm", "Node.js 20 or later, with npm", "see https://nodejs.org"),
		exampletest.File("dist/index.js", "the program of examples/typescript-azure-identity", "examples/install"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "npm", "start", "--silent")
}
