// Package bash tests the example.
package bash

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
)

func TestMain(m *testing.M) {
	exampletest.Main(m,
		exampletest.Command("bash", "bash", "install it with the system's packages"),
		exampletest.Command("curl", "curl", "install it with the system's packages"),
		exampletest.Command("jq", "jq", "install it with the system's packages"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "./list-blobs.sh")
}
