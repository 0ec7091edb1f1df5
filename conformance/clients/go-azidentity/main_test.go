package main

import (
	"testing"

	"github.com/fakeentra/fakeentra/conformance"
)

// What is known of the SDK is in the file; what is not fails.
func TestConformance(t *testing.T) {
	conformance.Run(t, sdk{}, conformance.ExpectFile("xfail.toml"))
}
