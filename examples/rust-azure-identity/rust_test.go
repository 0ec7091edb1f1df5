// Package rust tests the example.
package rust

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
)

func TestMain(m *testing.M) {
	exampletest.Main(m, exampletest.File("target/release/list-blobs", "Rust and the program of examples/rust-azure-identity", "examples/install"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "target/release/list-blobs")
}
