//go:build !linux || !(amd64 || arm64)

package sandbox

import (
	"context"
	"fmt"
)

// Notify needs Linux on amd64 or arm64.
func Notify(context.Context, World, Command) (Result, error) {
	return Result{}, fmt.Errorf("seccomp user notification needs Linux on amd64 or arm64: %w", ErrUnavailable)
}
