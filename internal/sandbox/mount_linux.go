package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// showFolders makes folders of this machine visible where its programs look for
// them, for the processes in this mount namespace only.
func showFolders(mounts []Mount) error {
	defer unix.Umask(unix.Umask(0o022))
	var c covers
	for _, m := range mounts {
		if err := c.show(m); err != nil {
			return &setupError{"show a folder at " + m.SeenAs, err}
		}
	}
	return nil
}

// covers are the file systems in memory, by device, that hold folders which this
// machine does not have.
type covers []uint64

func (c *covers) show(m Mount) error {
	fd, err := unix.Open(m.Folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // before anything is over it
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	place, rest, err := nearest(m.SeenAs)
	if err != nil {
		return err
	}
	if rest != "" {
		if place, err = c.provide(place, rest); err != nil {
			return err
		}
	}
	return unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), place, "", unix.MS_BIND, "")
}

// nearest returns the nearest folder above a path that is there, without symbolic
// links, and the rest of the path, which is not.
func nearest(path string) (place, rest string, err error) {
	for ; ; path = filepath.Dir(path) {
		place, err = filepath.EvalSymlinks(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return place, rest, err
		}
		rest = filepath.Join(filepath.Base(path), rest)
	}
}

// provide makes folders below a place of this machine that does not get them.
func (c *covers) provide(place, rest string) (string, error) {
	if device, err := deviceOf(place); err != nil || !slices.Contains(*c, device) {
		if err := errors.Join(err, cover(place)); err != nil {
			return "", err
		}
		if device, err = deviceOf(place); err != nil {
			return "", err
		}
		*c = append(*c, device)
	}
	folder := filepath.Join(place, rest)
	return folder, os.MkdirAll(folder, 0o755)
}

// cover mounts a file system in memory over a folder. All that is in the folder
// is mounted there again, with what is mounted below.
func cover(folder string) error {
	if folder == "/" { // a process keeps the root that it has
		return unix.ENOENT
	}
	fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	return mountBeside(fmt.Sprintf("/proc/self/fd/%d", fd), folder)
}

func deviceOf(folder string) (uint64, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, err
	}
	return uint64(info.Sys().(*syscall.Stat_t).Dev), nil
}
