// Package bash tests the example.
package bash

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m,
		toolchain.Command("bash", "bash", "install it with the system's packages"),
		toolchain.Command("curl", "curl", "install it with the system's packages"),
		toolchain.Command("jq", "jq", "install it with the system's packages"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "./list-blobs.sh")
}
