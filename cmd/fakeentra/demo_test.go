package main

import (
	"errors"
	"testing"
)

// A full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestDemoFailsWhenItCannotBeRead(t *testing.T) {
	if err := demo(t.Context(), full{}); err == nil || err.Error() != "cannot print the demo: no space left on device" {
		t.Errorf("the demo ended with %v", err)
	}
}
