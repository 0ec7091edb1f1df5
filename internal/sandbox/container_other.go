//go:build !linux

package sandbox

import (
	"context"
	"fmt"
)

// An image, a container and a Room are nothing on this system.
type (
	image     struct{}
	container struct{}
	Room      struct{}
)

func (*Containers) unavailable() error {
	return fmt.Errorf("containers as sandboxes need Linux: %w; run this program in a container, or take --wiring explicit", ErrUnavailable)
}

// Look needs Linux.
func (c *Containers) Look(context.Context) error { return c.unavailable() }

// Command returns nothing on this system.
func (*Containers) Command([]string) (args, env []string) { return nil, nil }

// Room needs Linux.
func (c *Containers) Room(context.Context, World) (*Room, error) { return nil, c.unavailable() }

// Close does nothing on this system.
func (*Containers) Close() error { return nil }

// Run needs Linux.
func (*Room) Run(context.Context, World, Command) (Result, error) { return Result{}, ErrUnavailable }

// Return does nothing on this system.
func (*Room) Return() {}

// Leave does nothing on this system.
func (*Room) Leave() {}
