//go:build !linux

package toolchain

import "errors"

// Namespaces reports that there are none, as on every system but Linux.
func Namespaces() error { return errors.ErrUnsupported }
