package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An image is what an engine says of one.
type image struct {
	name   string
	own    bool // it was made for these containers, of nothing
	Config struct {
		Env, Entrypoint, Cmd []string
	}
}

// labelRun is the label of the containers of one [Containers].
const labelRun = "fakeentra.sandbox"

// engine is the program to talk to the engine with.
func (c *Containers) engine() string { return cmp.Or(c.Engine, "docker") }

// engineLimit is how long an engine has to answer.
const engineLimit = 60 * time.Second

// command is one of the engine's. What is typed at the terminal, such as Ctrl-C,
// does not reach it: this process ends what it has begun.
func (c *Containers) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.engine(), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// ask returns what the engine answers.
func (c *Containers) ask(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, engineLimit)
	defer cancel()
	cmd := c.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ended := errors.AsType[*exec.ExitError](err); ended && stderr.Len() > 0 {
			err = errors.New(lastLine(stderr.String()))
		}
		return "", err
	}
	return stdout.String(), nil
}

// lastLine is what a program had to say in the end.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// Look looks for the engine and the image, once. Errors are as [ErrUnavailable] says.
func (c *Containers) Look(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != nil {
		return nil
	}
	if _, err := exec.LookPath(c.engine()); err != nil {
		return fmt.Errorf("there is no program %s: %w; install Docker Engine, or take another wiring", c.engine(), ErrUnavailable)
	}
	found := &image{name: c.Image}
	if c.Image == "" {
		empty := make([]byte, 1024) // the end of an archive (tar(5))
		// It has no name, so that one which is left behind when this process is killed
		// is removed by whoever tidies up.
		id, err := c.ask(ctx, bytes.NewReader(empty), "import", "--change", "LABEL "+labelRun+"="+c.id(), "-")
		if err != nil {
			return c.silent(err)
		}
		found.name, found.own = strings.TrimSpace(id), true
		c.found = found
		return nil
	}
	text, err := c.ask(ctx, nil, "image", "inspect", "--format", "{{json .}}", c.Image)
	if err != nil {
		if _, silent := c.ask(ctx, nil, "ps", "--quiet"); silent != nil {
			return c.silent(silent)
		}
		return fmt.Errorf("the engine has no image %s: %w (%w); build or pull it first", c.Image, err, ErrUnavailable)
	}
	if err := json.Unmarshal([]byte(text), found); err != nil {
		return fmt.Errorf("%s says of the image %s what cannot be read: %w", c.engine(), c.Image, err)
	}
	c.found = found
	return nil
}

// silent says that there is no engine.
func (c *Containers) silent(err error) error {
	return fmt.Errorf("no engine answers %s: %w (%w); start one, or set DOCKER_HOST to its address on this machine", c.engine(), err, ErrUnavailable)
}

// Command returns what is executed in a container of the image for a command line,
// which may be empty, and in which environment: its entry point goes before, and its
// command is taken where there is none. Without an image, the environment is nil,
// which stands for that of this process. [Containers.Look] must have succeeded.
func (c *Containers) Command(args []string) (all, env []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found.own {
		return args, nil
	}
	config := c.found.Config
	if len(args) == 0 {
		args = config.Cmd
	}
	return slices.Concat(config.Entrypoint, args), append([]string{}, config.Env...)
}

// ofImage says what containers are of.
func (c *Containers) ofImage() string {
	if c.Image == "" {
		return ""
	}
	return " of the image " + c.Image
}

// id identifies the containers.
func (c *Containers) id() string {
	h := fnvOf(c.Folder)
	return fmt.Sprintf("%016x", h)
}

// sweep removes what there is of the containers, and their image.
func (c *Containers) sweep() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx := context.Background()
	var err error
	for round := 0; c.started && round < maxSweeps; round++ { // the engine may be about to remove them itself
		var text string
		if text, err = c.ask(ctx, nil, "ps", "--all", "--quiet", "--filter", "label="+labelRun+"="+c.id()); err != nil {
			return fmt.Errorf("cannot tell whether the engine has removed the containers: %w", err)
		}
		left := strings.Fields(text)
		if len(left) == 0 {
			break
		}
		_, err = c.ask(ctx, nil, append([]string{"rm", "--force", "--volumes"}, left...)...)
	}
	if c.found != nil && c.found.own {
		_, removal := c.ask(ctx, nil, "image", "rm", "--force", c.found.name)
		err = errors.Join(err, removal)
	}
	c.started, c.found = false, nil
	return err
}

const maxSweeps = 20

// A client is a program that stays as long as a container does.
type client struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed
	output said
}

// run starts one.
func (c *Containers) run(args []string) (*client, error) {
	k := &client{ended: make(chan struct{})}
	k.cmd = c.command(context.Background(), args...)
	k.cmd.Stdout, k.cmd.Stderr = &k.output, &k.output
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", c.engine(), err)
	}
	go func() {
		_ = k.cmd.Wait() // how it ended is seen from what it said
		close(k.ended)
	}()
	return k, nil
}

// wait waits for its end, and brings it about when that takes too long.
func (k *client) wait(limit time.Duration) {
	patience := time.NewTimer(limit)
	defer patience.Stop()
	select {
	case <-k.ended:
	case <-patience.C:
		_ = k.cmd.Process.Kill()
		<-k.ended
	}
}

// said keeps the beginning of what a program says. It may be used by several
// goroutines.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (s *said) Write(p []byte) (int, error) {
	const most = 64 << 10
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := most - s.text.Len(); room > 0 {
		s.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// String returns it.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
