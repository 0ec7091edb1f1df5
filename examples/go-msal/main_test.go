package main

import (
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
)

func TestListsBlobsUnderRun(t *testing.T) {
	exampletest.ListsBlobs(t, exampletest.Modes, exampletest.Build(t, "examples/go-msal"))
}
