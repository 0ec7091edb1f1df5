// Package powershell tests the example.
package powershell

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m, toolchain.Command("pwsh", "PowerShell 7.2 or later", "see https://learn.microsoft.com/powershell").NotInCI())
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "pwsh", "-NoProfile", "-NonInteractive", "-File", "list-blobs.ps1")
}
