package fakeentra

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// replaceFile makes a file of a folder have new content at one moment, as
// kubelet does: name is a link to ..data/name, and ..data a link to a folder
// that is replaced as a whole (Kubernetes pkg/volume/util, AtomicWriter). The
// links are relative, so the folder can be mounted elsewhere. Only the owner can
// read the file. Where there are no links, the file itself is replaced.
func replaceFile(folder, name string, content []byte) error {
	fresh, err := os.MkdirTemp(folder, "..")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(fresh, name), content, 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	data := filepath.Join(folder, "..data")
	old, _ := os.Readlink(data) // there is none at first
	if err := replaceLink(filepath.Base(fresh), data); err != nil {
		return errors.Join(os.Rename(filepath.Join(fresh, name), filepath.Join(folder, name)), os.RemoveAll(fresh))
	}
	if err := os.Symlink(filepath.Join("..data", name), filepath.Join(folder, name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(folder, old))
}

// replaceLink makes a link lead to target, whether it is there or not.
func replaceLink(target, link string) error {
	if err := os.Symlink(target, link+"_tmp"); err != nil {
		return err
	}
	if err := os.Rename(link+"_tmp", link); err != nil {
		return errors.Join(err, os.Remove(link+"_tmp"))
	}
	return nil
}
