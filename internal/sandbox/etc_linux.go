package sandbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// replaceEtc puts the files of the sandbox into /etc, for the processes in this
// mount namespace only. They live in memory, in a file system over the real
// /etc, and are overlaid on what was there. Where a container's own overlay
// forbids that, every other file of the real /etc is mounted beside them.
func replaceEtc(s settings) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return &setupError{"keep mounts to the sandbox", err}
	}
	fd, err := unix.Open("/etc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &setupError{"open /etc", err}
	}
	defer func() { _ = unix.Close(fd) }()
	defer unix.Umask(unix.Umask(0o022)) // every user inside may read what is written
	real := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := unix.Mount("tmpfs", "/etc", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return &setupError{"mount a file system in memory", err}
	}
	if err := restore(s.Etc); err != nil {
		return &setupError{"write to a file system in memory", err}
	}
	if err := unix.Mount("overlay", "/etc", "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "lowerdir=/etc:"+real); err != nil {
		if err := mountBeside(real, "/etc"); err != nil {
			return &setupError{"mount the files of /etc", err}
		}
	}
	return hideNameServices()
}

// An etcFile is a file of the sandbox. The parent writes the contents of all of
// them into one file in memory, which the child inherits.
type etcFile struct {
	Name string // below /etc
	Size int
}

// parentContents is the file in memory, in the child.
const parentContents = parentSocket + 1

// newMemory makes an empty file in memory.
func newMemory(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// store writes contents one after the other.
func store(w io.Writer, files map[string][]byte) ([]etcFile, error) {
	var index []etcFile
	for name, content := range files {
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
		index = append(index, etcFile{name, len(content)})
	}
	return index, nil
}

// restore writes the files to /etc.
func restore(index []etcFile) error {
	unix.CloseOnExec(parentContents)
	var offset int64
	for _, f := range index {
		content := make([]byte, f.Size)
		if n, err := unix.Pread(parentContents, content, offset); err != nil || n != f.Size {
			return cmp.Or(err, io.ErrUnexpectedEOF)
		}
		offset += int64(f.Size)
		name := filepath.Join("/etc", f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mountBeside makes what is in a folder visible in another one too, except for
// what is there already.
func mountBeside(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		there, err := os.Lstat(target)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = mirror(e, source, target)
		case err == nil && there.IsDir():
			err = mountBeside(source, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mirror makes one entry of a folder visible under another name.
func mirror(e fs.DirEntry, source, target string) error {
	flags := uintptr(unix.MS_BIND)
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		text, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(text, target)
	case e.IsDir():
		if err := os.Mkdir(target, 0o755); err != nil {
			return err
		}
		flags |= unix.MS_REC
	default:
		if err := os.WriteFile(target, nil, 0o644); err != nil {
			return err
		}
	}
	err := unix.Mount(source, target, "", flags, "")
	if errors.Is(err, fs.ErrNotExist) { // it is gone by now, as files in /run may be
		return os.Remove(target)
	}
	return err
}

// hideNameServices hides the daemons that would answer for names by a socket in
// the file system, from the network of the machine: nscd(8), systemd-resolved(8).
func hideNameServices() error {
	for _, folder := range []string{"/run/nscd", "/var/run/nscd", "/run/systemd/resolve"} {
		if _, err := os.Stat(folder); err != nil {
			continue
		}
		if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "size=4k"); err != nil {
			return &setupError{"hide " + folder, err}
		}
	}
	return nil
}

// etcFiles are the files of the sandbox, by name below /etc.
func etcFiles(ca []byte, java bool) (map[string][]byte, error) {
	files, err := trustFiles(ca, java)
	if err != nil {
		return nil, err
	}
	hostname, _ := os.Hostname()
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if hostname != "" {
		hosts += "127.0.0.1\t" + hostname + "\n"
	}
	files["hosts"] = []byte(hosts)
	files["resolv.conf"] = []byte("nameserver " + loopback.String() + "\noptions timeout:1 attempts:1\n")
	switches, _ := os.ReadFile("/etc/nsswitch.conf") // where there is none, the C library knows what to do
	files["nsswitch.conf"] = hostsByDNS(switches)
	return files, nil
}

// hostsByDNS makes host names a matter of the hosts file and of DNS
// (nsswitch.conf(5)).
func hostsByDNS(switches []byte) []byte {
	lines := slices.Collect(bytes.Lines(switches))
	lines = slices.DeleteFunc(lines, func(line []byte) bool { return strings.HasPrefix(string(bytes.TrimSpace(line)), "hosts:") })
	return slices.Concat(bytes.TrimRight(bytes.Join(lines, nil), "\n"), []byte("\nhosts:\tfiles dns\n"))
}
