package main

import (
	"testing"

	"github.com/fakeentra/fakeentra/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, sdk{})
}
