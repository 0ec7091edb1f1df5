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
	covers, hidden := map[string]map[string]bool{}, map[string]map[string][]byte{}
	for _, m := range mounts {
		if m.Over == "" {
			continue
		}
		place, rest, err := nearest(filepath.Dir(m.Over))
		if err == nil && rest == "" {
			hidden[place] = map[string][]byte{filepath.Base(m.Over): nil}
		}
	}
	for _, m := range mounts {
		if err := p.show(m, covers, hidden); err != nil {
			return &setupError{"show a folder at " + m.SeenAs, err}
		}
	}
	return nil
}

// show shows one. covers are the folders of this machine that a file system in
// memory lies over, and what was made in there: it holds folders that this
// machine does not have. hidden are names in such folders that are not seen.
func (p *plan) show(m Mount, covers map[string]map[string]bool, hidden map[string]map[string][]byte) error {
	purpose := "show a folder at " + m.SeenAs
	source, err := p.hold(purpose, m.Folder) // before anything is over it
	if err != nil {
		return err
	}
	place, rest, err := m.place()
	if err != nil {
		return err
	}
	if rest != "" {
		if covers[place] == nil {
			if err := p.cover(purpose, place, hidden[place]); err != nil {
				return err
			}
			covers[place] = map[string]bool{".": true}
		}
		p.mkdirAll(place, rest, covers[place])
	}
	p.mount(purpose, source, filepath.Join(place, rest), "", unix.MS_BIND, "")
	return nil
}

// place returns a folder of this machine, and the path below it that is to be made.
func (m Mount) place() (place, rest string, err error) {
	if m.Over == "" {
		return nearest(m.SeenAs)
	}
	parent := filepath.Dir(m.Over)
	below, err := filepath.Rel(parent, m.SeenAs)
	if err != nil {
		return "", "", err
	}
	place, rest, err = nearest(parent)
	return place, filepath.Join(rest, below), err
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
// is mounted there again, with what is mounted below, but for what is hidden.
func (p *plan) cover(purpose, folder string, hidden map[string][]byte) error {
	if folder == "/" { // a process keeps the root that it has
		return unix.ENOENT
	}
	real, err := p.hold(purpose, folder)
	if err != nil {
		return err
	}
	p.mount(purpose, "tmpfs", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
	return p.mountBeside(folder, real, folder, ".", nil, hidden)
}
