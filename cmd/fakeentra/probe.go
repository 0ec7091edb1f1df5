package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// A prober runs this program, for its version, in the modes of run.
type prober struct {
	cloud   *fakeentra.Cloud
	program string
	null    *os.File
}

// newProber starts a cloud that keeps nothing. The caller must call close.
func newProber() (*prober, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, failed("", "cannot find this program: %v", cause(err))
	}
	file, err := readScenario(defaultScenario)
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, failed("", "cannot open %s: %v", os.DevNull, cause(err))
	}
	cloud, err := fakeentra.New(fakeentra.WithScenarioFile(file.name, file.data))
	if err != nil {
		return nil, errors.Join(err, null.Close())
	}
	return &prober{cloud, program, null}, nil
}

func (p *prober) close() error { return errors.Join(p.cloud.Close(), p.null.Close()) }

// probe fails if a mode does not work. What it runs asks for nothing: in a mode
// that is broken, it would ask other machines.
func (p *prober) probe(ctx context.Context, mode string) error {
	s := sandboxed{mode: mode}
	c := sandbox.Command{Path: p.program, Args: []string{"fakeentra", "version"}, Stdin: p.null, Stdout: p.null, Stderr: p.null}
	result, err := s.enter(ctx, io.Discard, placeIn(p.cloud, p.cloud.Hosts()[0]), c)
	if err == nil && result.Status != 0 {
		return fmt.Errorf("a command that should have succeeded ended with the code %d", result.Status)
	}
	return err
}

// hasMusl looks for the loader of programs that are linked with musl.
func hasMusl() bool {
	loaders, _ := filepath.Glob("/lib/ld-musl-*.so.1")
	return len(loaders) > 0
}

// obstacle takes apart why a mode does not work. Sandboxes say last, after a
// semicolon, what mends it.
func obstacle(err error) (why, mend string) {
	f := explain(err)
	text := f.text
	if f.hint != "" {
		text += "; " + f.hint
	}
	unavailable := sandbox.ErrUnavailable.Error()
	text = strings.NewReplacer(" ("+unavailable+")", "", ": "+unavailable, "").Replace(text)
	if i := strings.LastIndex(text, "; "); i >= 0 {
		return text[:i], text[i+2:]
	}
	return text, ""
}
