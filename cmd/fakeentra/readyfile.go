package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/fakeentra/fakeentra/emulator/control"
)

// A readyFile is the name of the file that says where a cloud is served, which
// is there only while everything listens. It is empty if none was asked for.
type readyFile string

// claim removes what an earlier start left that was killed, so that nobody takes
// it for the file of this one. That of a cloud that still answers stays, and so
// does what was something else and is named by mistake.
func (f readyFile) claim(ctx context.Context) error {
	if f == "" {
		return nil
	}
	const hint = "name another file, or delete it"
	info, err := os.Lstat(string(f))
	switch {
	case err != nil:
		return nil // if it is more than missing, write says so
	case info.IsDir():
		return failed("name a file in it", "the ready file %s is a folder", string(f))
	case !info.Mode().IsRegular():
		return failed(hint, "cannot replace %s by a ready file: it is a link or a device", string(f))
	}
	content, err := readFile(string(f))
	if err != nil {
		return failed(hint, "cannot replace the ready file %s: %v", string(f), cause(err))
	}
	var r ready
	if err := json.Unmarshal(content, &r); len(content) > 0 && (err != nil || r.Environ == nil) {
		return failed(hint, "cannot replace %s, which is not a ready file", string(f))
	}
	if r.served(ctx) {
		return failed("stop it, or name another file", "the ready file %s is that of a cloud that is served at %s", string(f), r.Control)
	}
	return f.remove()
}

// served reports whether a control plane answers where one did when r was
// written.
func (r ready) served(ctx context.Context) bool {
	if r.Control == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := control.NewClient(r.Control, nil).Info(ctx)
	return err == nil
}

// remove leaves no ready file.
func (f readyFile) remove() error {
	if f == "" {
		return nil
	}
	if err := os.Remove(string(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("", "cannot remove the ready file %s: %v", string(f), cause(err))
	}
	return nil
}

// write says where everything listens, at one moment.
func (f readyFile) write(r ready) error {
	if f == "" {
		return nil
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = replaceFile(string(f), append(content, '\n'))
	}
	if err != nil {
		return failed("name a file in a folder that can be written", "cannot write the ready file %s: %v", string(f), cause(err))
	}
	return nil
}
