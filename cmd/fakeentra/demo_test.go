package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// It runs in a process of its own, as MSAL keeps tokens for the whole process, and its
// identities are those of every demo.
func TestDemoFailsWhenItCannotBePrinted(t *testing.T) {
	unwritable, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unwritable.Close() }()
	_, why := unwritable.WriteString("x")
	if why == nil {
		t.Fatal("a file that is open to be read can be written to")
	}
	cmd := exec.CommandContext(t.Context(), "fakeentra", "demo")
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = unwritable, &stderr
	if err := cmd.Run(); err == nil || stderr.String() != "fakeentra: cannot print the demo: "+cause(why).Error()+"\n" {
		t.Errorf("the demo ended with %v: %s", err, stderr.String())
	}
}
