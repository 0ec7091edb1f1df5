package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// Docker is the wiring in which each process of a driver is in a container, with the
// names and addresses of production; see [sandbox.Containers].
type Docker struct {
	Engine string // program to talk to the engine with; docker if empty
	Image  string // of the containers; this machine's own files if empty

	containers *sandbox.Containers // nil before prepare
}

// Name implements [Wiring].
func (*Docker) Name() string { return "docker" }

// Lay implements [Wiring].
func (d *Docker) Lay(*lab.Front) (Way, error) { return &contained{containers: d.containers}, nil }

// prepare implements [preparer]. It starts a container, so that the driver is met
// without waiting for the engine.
func (d *Docker) prepare(ctx context.Context, p *Process) error {
	if d.containers != nil {
		return nil
	}
	folder, err := os.MkdirTemp(p.Temp, "fakeentra-")
	if err != nil {
		return fmt.Errorf("there is no place for the files of containers: %w; set TMPDIR to a folder that can be written", err)
	}
	d.containers, p.Temp = &sandbox.Containers{Engine: d.Engine, Image: d.Image, Folder: folder}, folder
	if err := d.containers.Look(ctx); err != nil {
		return err
	}
	args, env := d.containers.Command(p.Args)
	if len(args) == 0 {
		return fmt.Errorf("the image %s has no command: %w; name the driver behind --", d.Image, exec.ErrNotFound)
	}
	p.Args, p.Environ = args, env
	if d.Image != "" {
		p.Path = "" // it is found in the container
	}
	front, err := lab.NewFront()
	if err != nil {
		return err
	}
	room, err := d.containers.Room(ctx, sandbox.World{CA: front.CA(), Metadata: true})
	if err != nil {
		return err
	}
	room.Return()
	return nil
}

// close implements [preparer].
func (d *Docker) close() error {
	if d.containers == nil {
		return nil
	}
	return errors.Join(d.containers.Close(), removeAll(d.containers.Folder))
}

// contained is the way of one process in a container.
type contained struct {
	containers *sandbox.Containers
	room       *sandbox.Room
}

// Complete implements [Way]. Drivers see what they do in [Netns].
func (*contained) Complete(c *driver.Config) { (netns{}).Complete(c) }

// enter implements [entered].
func (k *contained) enter(ctx context.Context, w sandbox.World) (err error) {
	k.room, err = k.containers.Room(ctx, w)
	return err
}

// Run implements [Way].
func (k *contained) Run(ctx context.Context, w sandbox.World, c sandbox.Command) (sandbox.Result, error) {
	return k.room.Run(ctx, w, c)
}
