//go:build !linux

package sandbox

import (
	"context"
	"fmt"
)

// Child does nothing on this system.
func Child() {}

// Netns needs Linux.
func Netns(context.Context, World, Command) (Result, error) {
	return Result{}, fmt.Errorf("network namespaces need Linux: %w", ErrUnavailable)
}

// A Trusted is nothing on this system.
type Trusted struct{}

// ReadTrusted does nothing on this system.
func ReadTrusted([]string) *Trusted { return nil }
