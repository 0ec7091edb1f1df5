package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// It runs in a process of its own, as MSAL keeps tokens for the whole process, and its
// identities are those of every demo.
func TestDemoFailsWhenItCannotBeRead(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this system has no device that is full: %v", err)
	}
	defer func() { _ = full.Close() }()
	cmd := exec.CommandContext(t.Context(), "fakeentra", "demo")
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = full, &stderr
	if err := cmd.Run(); err == nil || stderr.String() != "fakeentra: cannot print the demo: no space left on device\n" {
		t.Errorf("the demo ended with %v: %s", err, stderr.String())
	}
}
