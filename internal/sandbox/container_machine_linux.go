package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ownFolders are those below / that a container has itself, or that are none of its
// business. What is in /run leads to services of this machine.
var ownFolders = []string{"boot", "dev", "etc", "lost+found", "proc", "run", "sys"}

// machine shows a container the folders of this machine, so that its programs run
// there, and in which files are at targets and folders at other places. Folders of
// this machine that would have to be written to for that are shown as copies of
// links to what is in there. It returns where the folders are seen, too.
func (k *container) machine(targets map[string]string, folders []Mount) (all []bind, seen []Mount, err error) {
	entries, err := os.ReadDir("/")
	if err != nil {
		return nil, nil, err
	}
	var shown []string
	for _, e := range entries {
		path := "/" + e.Name()
		if info, err := os.Stat(path); err == nil && info.IsDir() && !slices.Contains(ownFolders, e.Name()) {
			all, shown = append(all, bind{path, path, false}), append(shown, path)
		}
	}
	copies := map[string]*linked{}
	copyOf := func(folder string) *linked {
		if copies[folder] == nil {
			copies[folder] = &linked{folder: folder, behind: "/fakeentra" + strings.ReplaceAll(folder, "/", "-"), made: map[string]bool{}}
		}
		return copies[folder]
	}
	for target := range targets {
		copyOf("/etc").made[target] = false
	}
	for _, m := range folders {
		place, rest, err := m.place()
		if err != nil {
			return nil, nil, err
		}
		m.SeenAs = filepath.Join(place, rest)
		within := func(top string) bool { return strings.HasPrefix(place+"/", top+"/") }
		if rest != "" && slices.ContainsFunc(shown, within) {
			c := copyOf(place)
			c.made[m.SeenAs] = true
			if m.Over != "" {
				c.hidden = append(c.hidden, filepath.Join(place, filepath.Base(m.Over)))
			}
		}
		seen = append(seen, m)
	}
	for folder, c := range copies {
		to := filepath.Join(k.folder, "shown", folder)
		if err := c.make(to, folder); err != nil {
			return nil, nil, err
		}
		all = append(all, bind{folder, c.behind, false}, bind{to, folder, false})
	}
	return all, seen, nil
}

// A linked is a folder of this machine, of which a container sees a copy made of
// links, with more in it.
type linked struct {
	folder string
	behind string          // where it is in the container, one step from / as relative links need it
	made   map[string]bool // what is to be there, by absolute name, and whether it is a folder
	hidden []string        // what is not seen
}

// make makes the copy of the folder, or of one below, at a place.
func (l *linked) make(to, folder string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	names := map[string]bool{} // of what was copied
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if _, mine := l.made[path]; mine || slices.Contains(l.hidden, path) {
			continue
		}
		names[e.Name()] = true
		switch {
		case l.above(path):
			err = l.make(filepath.Join(to, e.Name()), path)
		case e.Type()&fs.ModeSymlink != 0:
			var text string
			if text, err = os.Readlink(path); err == nil {
				err = os.Symlink(text, filepath.Join(to, e.Name()))
			}
		default:
			err = os.Symlink(l.behind+strings.TrimPrefix(path, l.folder), filepath.Join(to, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is gone by now
			return err
		}
	}
	for path, isFolder := range l.made {
		rest, ok := strings.CutPrefix(path, folder+"/")
		if !ok {
			continue
		}
		name, below, _ := strings.Cut(rest, "/")
		switch {
		case names[name]:
			continue
		case below != "":
			names[name] = true
			err = l.make(filepath.Join(to, name), filepath.Join(folder, name))
		case isFolder:
			err = os.Mkdir(filepath.Join(to, name), 0o755)
		default:
			err = os.WriteFile(filepath.Join(to, name), nil, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// above reports whether something is to be made below a path.
func (l *linked) above(path string) bool {
	for made := range l.made {
		if strings.HasPrefix(made, path+"/") {
			return true
		}
	}
	return false
}
