package sandbox

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// showFolders makes folders of this machine visible where its programs look for
// them, for the processes in this mount namespace only.
func (p *plan) showFolders(mounts []Mount) error {
	covers := map[string]map[string]bool{}
	for _, m := range mounts {
		if err := p.show(m, covers); err != nil {
			return &setupError{"show a folder at " + m.SeenAs, err}
		}
	}
	return nil
}

// show shows one. covers are the folders of this machine that a file system in
// memory lies over, and what was made in there: it holds folders that this
// machine does not have.
func (p *plan) show(m Mount, covers map[string]map[string]bool) error {
	purpose := "show a folder at " + m.SeenAs
	source, err := p.hold(purpose, m.Folder) // before anything is over it
	if err != nil {
		return err
	}
	place, rest, err := nearest(m.SeenAs)
	if err != nil {
		return err
	}
	if rest != "" {
		if covers[place] == nil {
			if err := p.cover(purpose, place); err != nil {
				return err
			}
			covers[place] = map[string]bool{".": true}
		}
		p.mkdirAll(place, rest, covers[place])
	}
	p.mount(purpose, source, filepath.Join(place, rest), "", unix.MS_BIND, "")
	return nil
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

// cover mounts a file system in memory over a folder. All that is in the folder
// is mounted there again, with what is mounted below.
func (p *plan) cover(purpose, folder string) error {
	if folder == "/" { // a process keeps the root that it has
		return unix.ENOENT
	}
	real, err := p.hold(purpose, folder)
	if err != nil {
		return err
	}
	p.mount(purpose, "tmpfs", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
	return p.mountBeside(folder, real, folder, ".", nil, nil)
}
