package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// meet waits for the first process of a container at a socket.
func (k *container) meet(ctx context.Context, accept func() (net.Conn, error), setDeadline func(time.Time) error) error {
	ctx, cancel := context.WithTimeout(ctx, engineLimit)
	defer cancel()
	come := make(chan net.Conn, 1)
	go func() {
		defer close(come)
		if conn, err := accept(); err == nil {
			come <- conn
		}
	}()
	var conn net.Conn
	select {
	case conn = <-come:
	case <-k.cli.ended:
	case <-ctx.Done():
	}
	if conn == nil {
		_ = setDeadline(time.Unix(1, 0)) // whoever comes now comes too late
		if late := <-come; late != nil {
			_ = late.Close()
		}
	}
	switch unix, ok := conn.(*net.UnixConn); {
	case ok:
		k.line = line{unix}
		return nil
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case ctx.Err() != nil:
		return fmt.Errorf("the engine started no container within %v (%w)", engineLimit, ErrUnavailable)
	}
	return k.unstarted()
}

// unstarted says why a container did not come to be, by the last words of the
// engine's program.
func (k *container) unstarted() error {
	text := k.cli.output.String()
	const elsewhere = "fakeentra needs an engine that runs on this machine itself, and not in a virtual machine, as with Docker Desktop, or at another address of DOCKER_HOST; run fakeentra in a container there, or take --wiring explicit"
	switch {
	case strings.Contains(text, unreached), strings.Contains(text, "bind source path does not exist"), strings.Contains(text, "statfs "):
		return fmt.Errorf("the engine does not see this machine's files: %s (%w); %s", worth(text), ErrUnavailable, elsewhere)
	}
	return fmt.Errorf("the engine starts no container%s: %s (%w); see whether it starts any: %s run", k.owner.ofImage(), worth(text), ErrUnavailable, k.owner.engine())
}

// worth is the line of a program's output that says most: what comes after is advice.
func worth(text string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "docker: "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return cmp.Or(lastLine(text), "it says nothing")
}
