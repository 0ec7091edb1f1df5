package main

import (
	"testing"

	"github.com/fakeentra/fakeentra/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, sdk{},
		conformance.Expect("ERR-10", "MSAL Go does not look at token_type"),
	)
}
