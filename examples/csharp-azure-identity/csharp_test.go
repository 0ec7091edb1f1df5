// Package csharp tests the example.
package csharp

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m,
		toolchain.Command("dotnet", "the .NET SDK 8 or later", "see https://dotnet.microsoft.com"),
		toolchain.File("bin/Release/net8.0/ListBlobs.dll", "the program of examples/csharp-azure-identity", "examples/install"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "dotnet", "bin/Release/net8.0/ListBlobs.dll")
}
