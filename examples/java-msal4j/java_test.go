// Package java tests the example.
package java

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestMain(m *testing.M) {
	toolchain.Main(m,
		toolchain.Command("java", "Java 17 or later", "install it with the system's packages"),
		toolchain.File("target/classes/ListBlobs.class", "Maven and the program of examples/java-msal4j", "examples/install"))
}

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, "java", "-cp", "target/classes:target/lib/*", "ListBlobs")
}
