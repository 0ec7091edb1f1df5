// Package dotnet tests the example.
package dotnet

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m,
		toolchain.File("node_modules/@azure/mcp-linux-x64/dist/azmcp", "Azure MCP, which is large", "npm ci --prefix examples/dotnet-azure-mcp, on Linux").NotInCI(),
		toolchain.Command("bash", "bash", "install it with the system's packages"),
		toolchain.Command("curl", "curl", "install it with the system's packages"),
		toolchain.Command("jq", "jq", "install it with the system's packages"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "./list-blobs.sh")
}
