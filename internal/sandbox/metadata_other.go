//go:build !linux

package sandbox

import "errors"

// TakeMetadataAddress needs Linux.
func TakeMetadataAddress() error { return errors.New("this needs Linux") }
