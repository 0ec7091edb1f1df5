package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/token"
)

// stateFolder returns the folder where this program keeps things from one start
// to the next, as the XDG Base Directory Specification says for the state of a
// program, and as is usual on macOS and Windows.
func stateFolder() (string, error) {
	const name = "fakeentra"
	if base := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(base) && runtime.GOOS != "windows" {
		return filepath.Join(base, name), nil // relative ones are to be ignored
	}
	if runtime.GOOS == "windows" {
		base, err := os.UserCacheDir() // %LocalAppData%
		return filepath.Join(base, name), err
	}
	home, err := os.UserHomeDir()
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", name), err
	}
	return filepath.Join(home, ".local", "state", name), err
}

// A keyFile is where the signing key of an earlier start is found.
type keyFile struct {
	path string // empty if nothing is to be kept
	pem  []byte // nil if there is none yet
}

// keyHint is for key files that cannot be used.
const keyHint = "delete it, and the next start makes a new one"

// openKeyFile reads the signing key of an earlier start. Without a folder to
// keep it in, there is a warning and no key. A key that somebody else may have
// read or changed is refused. What is no key is found by who uses it.
func openKeyFile(fresh bool, warnings io.Writer) (keyFile, error) {
	if fresh {
		return keyFile{}, nil
	}
	folder, err := stateFolder()
	if err != nil {
		cannotKeep(warnings, "set it, or pass --fresh-keys to do without it", err)
		return keyFile{}, nil
	}
	path := filepath.Join(folder, "signing-key.pem")
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return keyFile{path: path}, nil
	case err != nil:
		cannotKeep(warnings, writable, err)
		return keyFile{}, nil
	}
	if wide := info.Mode().Perm() &^ 0o600; wide != 0 && runtime.GOOS != "windows" {
		return keyFile{}, failed(keyHint, "the signing key %s has the mode %04o, and others may have it; expected 0600", path, info.Mode().Perm())
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return keyFile{}, failed(keyHint, "cannot read the signing key %s: %v", path, cause(err))
	}
	return keyFile{path, pem}, nil
}

// check refuses what is no key. It parses the key, which takes a third of a
// millisecond, so it is for when no cloud could be made of it.
func (k keyFile) check() error {
	if k.pem == nil {
		return nil
	}
	if _, err := token.ParsePEM(k.pem); err != nil {
		return failed(keyHint, "%s is not a signing key: %v", k.path, err)
	}
	return nil
}

// keep writes the key of a cloud for the next start, unless it is there already.
func (k keyFile) keep(cloud *fakeentra.Cloud, warnings io.Writer) error {
	if k.path == "" || k.pem != nil {
		return nil
	}
	pem, err := cloud.SigningKey()
	if err != nil {
		return err
	}
	if err := writePrivately(k.path, pem); err != nil {
		cannotKeep(warnings, writable, err)
	}
	return nil
}

const writable = "make the folder writable, or pass --fresh-keys to do without it"

func cannotKeep(warnings io.Writer, hint string, err error) {
	warn(warnings, hint, "the signing key cannot be kept for the next start: %v", err)
}

// writePrivately replaces a file at once, so that nobody reads half of it, and
// for the user alone.
func writePrivately(path string, content []byte) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return replaceFile(path, content)
}

// replaceFile writes a file of mode 0600 beside the one that it replaces.
func replaceFile(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
