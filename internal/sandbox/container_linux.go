package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A container is one that runs, seen from outside.
type container struct {
	owner  *Containers
	name   string
	folder string // of this machine, for its files
	line   line
	once   bool // it is made for one command
	cli    *client
	looks  int
}

// A Room is a container that waits for a command.
type Room struct {
	*container
	over bool
}

// Room returns a container for a command in a world, which the caller must leave.
// Errors are as [ErrUnavailable] says.
func (c *Containers) Room(ctx context.Context, w World) (*Room, error) {
	if err := c.Look(ctx); err != nil {
		return nil, err
	}
	once := len(w.Mounts) > 0 || len(w.IPv6) > 0
	if !once {
		if k, ok := c.idle.Take(); ok {
			return &Room{container: k}, nil
		}
	}
	k, err := c.start(ctx, w)
	if err != nil {
		return nil, err
	}
	k.once = once
	return &Room{container: k}, nil
}

// Leave ends the container, unless it goes on with another command. It may be called
// several times.
func (r *Room) Leave() {
	if !r.over {
		r.over = true
		r.end()
	}
}

// Return leaves the container to the next command.
func (r *Room) Return() {
	if !r.over && !r.once {
		r.over = true
		r.owner.idle.Give(r.container)
	}
	r.Leave()
}

// end ends a container and removes its files.
func (k *container) end() {
	if k.line.UnixConn != nil {
		_ = k.line.Close()
	}
	k.cli.wait(endLimit)
	_ = os.RemoveAll(k.folder) // what is in there is this process's
}

// endLimit is how long an engine has to remove a container that has ended.
const endLimit = 10 * time.Second

// Run runs a command in the container, as [Netns] does with Command.Signals, which
// must be set, and with three files. It is called once.
func (r *Room) Run(ctx context.Context, w World, c Command) (Result, error) {
	if r.over {
		return Result{}, errors.New("the container was left already")
	}
	kept := false
	defer func() {
		if kept {
			r.Return()
		}
		r.Leave()
	}()
	if err := r.fill(w.CA, c.trusted()); err != nil {
		return Result{}, fmt.Errorf("cannot write the files of the container: %w", err)
	}
	env := slices.Clone(c.Env)
	if c.Environ != nil {
		env = append(env, c.Environ(caFile, bundleFile)...)
	}
	if r.owner.Image != "" {
		env = append(env, javaTrust(env, cacertsFile)...)
	} else {
		// Containers share /tmp, where every Java has a file by its number: in two of
		// them that may be the same, and Java says so on standard output.
		env = append(env, "JAVA_TOOL_OPTIONS="+strings.TrimSpace(variable(env, "JAVA_TOOL_OPTIONS")+" -XX:-UsePerfData"))
		env = append(env, javaOptions(c.Trusted.javaFolder(), env, cacertsFile)...)
	}
	order := errand{Start: &start{Path: c.Path, Args: c.Args, Env: unambiguous(env), MaxMemory: c.MaxMemory, Metadata: w.Metadata, TLS: w.MetadataTLS, IPv6: len(w.IPv6) > 0}}
	for _, e := range w.Endpoints {
		order.Start.Endpoints = append(order.Start.Endpoints, e.Port)
	}
	n, told, err := r.begin(order, c)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = unix.Close(n.parent) }()
	defer n.shut()
	undo := context.AfterFunc(ctx, func() { _ = r.line.send(errand{Signal: int(unix.SIGKILL)}) })
	defer undo()
	var asked []request
	if told.Fresh {
		asked = newPlan().askKernel(w)
	}
	if err := n.takeOver(w, c, asked); err != nil {
		return Result{}, r.refused(err)
	}
	done, cancel := context.WithCancel(ctx)
	defer n.group.Wait()
	defer cancel()
	if err := n.serve(done, w, c, nil); err != nil {
		return Result{}, err
	}
	if err := n.execute(told.Path); err != nil {
		return Result{}, err
	}
	result, err := r.accompany(ctx, c)
	if err != nil {
		return Result{}, err
	}
	cancel()
	n.group.Wait()
	n.shut()
	kept = ctx.Err() == nil
	result.Leaks = n.leaks.list()
	return result, n.served
}

// begin has a command forked, and returns what this process has of it.
func (r *Room) begin(order errand, c Command) (*netns, *started, error) {
	if err := r.line.send(order, c.Stdin, c.Stdout, c.Stderr); err != nil {
		return nil, nil, r.lost(err)
	}
	var w word
	files, err := r.line.receive(&w)
	for w.Look != 0 && err == nil { // it is late
		w = word{}
		files, err = r.line.receive(&w)
	}
	defer closeFiles(files)
	switch {
	case err != nil:
		return nil, nil, r.lost(err)
	case w.Missing != "":
		return nil, nil, fmt.Errorf("the image %s has no program %s: %w", r.owner.found.name, w.Missing, exec.ErrNotFound)
	case w.Started == nil || len(files) != 1:
		return nil, nil, r.refused(errors.New(w.Failed))
	}
	parent, err := unix.FcntlInt(files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	p := newPlan()
	p.socket, p.gifts.count = w.Started.Socket, w.Started.Gifts
	for _, purpose := range w.Started.Moves {
		p.moves = append(p.moves, move{purpose: purpose})
	}
	return &netns{plan: p, parent: parent, lasting: true}, w.Started, nil
}

// refused says that a container cannot be what it is to be.
func (r *Room) refused(err error) error {
	return fmt.Errorf("the container does not become a sandbox: %w (%w)", err, ErrUnavailable)
}

// lost says that a container ended.
func (r *Room) lost(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("it ended")
	}
	return fmt.Errorf("the container %s is lost: %w", r.name, err)
}

// accompany passes signals on to the command until it has ended.
func (r *Room) accompany(ctx context.Context, c Command) (Result, error) {
	var mu sync.Mutex
	waiting := map[int]chan []Program{}
	ended := make(chan struct{})
	look := func() []Program {
		mu.Lock()
		r.looks++
		number, answer := r.looks, make(chan []Program, 1)
		waiting[number] = answer
		mu.Unlock()
		if r.line.send(errand{Look: number}) != nil {
			return nil
		}
		select {
		case all := <-answer:
			return all
		case <-ended:
			return nil
		}
	}
	if c.Began != nil {
		c.Began(look)
	}
	var group sync.WaitGroup
	defer group.Wait()
	defer close(ended)
	group.Go(func() {
		for {
			select {
			case s := <-c.Signals:
				_ = r.line.send(errand{Signal: int(s.(syscall.Signal))}) // it fails when the container has ended
			case <-ended:
				return
			}
		}
	})
	defer context.AfterFunc(ctx, func() { // one that is killed ends at once
		_ = r.line.SetReadDeadline(time.Now().Add(endLimit))
	})()
	for {
		var w word
		files, err := r.line.receive(&w)
		closeFiles(files)
		switch {
		case err != nil:
			return Result{}, r.lost(err)
		case w.Ended != nil:
			return *w.Ended, r.line.SetReadDeadline(time.Time{})
		case w.Look != 0:
			mu.Lock()
			answer := waiting[w.Look]
			delete(waiting, w.Look)
			mu.Unlock()
			if answer != nil {
				answer <- w.Programs
			}
		}
	}
}

// Close ends the containers, and makes sure that the engine has none of them any
// more.
func (c *Containers) Close() error {
	var group sync.WaitGroup
	for k, ok := c.idle.Take(); ok; k, ok = c.idle.Take() {
		group.Go(k.end)
	}
	group.Wait()
	return c.sweep()
}

// listenAt listens at a socket in a folder. The path of a socket must not be long
// (unix(7)), so that it goes by the number of the folder.
func listenAt(folder, name string) (*net.UnixListener, error) {
	dir, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name), Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	return l, nil
}
