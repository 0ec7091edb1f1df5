package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// stepOverlay is what containers whose own root is an overlay forbid.
const stepOverlay = "overlay /etc"

// replaceEtc puts files into /etc, for the processes in this mount namespace only.
// They live in memory, in a file system over the real /etc, and are overlaid on
// what was there. Where that is forbidden, every other file of the real /etc
// is mounted beside them.
func (p *plan) replaceEtc(files map[string][]byte, overlaid bool) error {
	p.mount("keep mounts to the sandbox", "", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	real, err := p.hold("open /etc", "/etc")
	if err != nil {
		return err
	}
	p.mount("mount a file system in memory", "tmpfs", "/etc", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
	folders := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p.mkdirAll("/etc", filepath.Dir(name), folders)
		p.create("write to a file system in memory", filepath.Join("/etc", name), files[name])
	}
	if overlaid {
		p.mount(stepOverlay, "overlay", "/etc", "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "lowerdir=/etc:"+real)
	} else if err := p.mountBeside("/etc", real, "/etc", ".", folders, files); err != nil {
		return err
	}
	p.hideNameServices()
	return nil
}

// mkdirAll makes a folder below another one, with those above it, unless it is
// among those that were made, and adds it to them.
func (p *plan) mkdirAll(below, name string, made map[string]bool) {
	if made[name] {
		return
	}
	p.mkdirAll(below, filepath.Dir(name), made)
	p.mkdir("make a folder in a file system in memory", filepath.Join(below, name))
	made[name] = true
}

// hold opens a folder, and returns a path to it that stays when others are mounted
// over it.
func (p *plan) hold(purpose, folder string) (string, error) {
	number, err := p.reserve()
	if err != nil {
		return "", err
	}
	p.add(purpose, unix.SYS_DUP3, p.open(purpose, folder, unix.O_PATH|unix.O_DIRECTORY), number, unix.O_CLOEXEC)
	return fmt.Sprintf("/proc/self/fd/%d", number), nil
}

// mountBeside makes what is in a folder visible in another one too, below from and
// to, except for the folders and files that are there already. All of them go
// by their names below both. folder is where the parent sees what is in from.
func (p *plan) mountBeside(folder, from, to, name string, folders map[string]bool, files map[string][]byte) error {
	entries, err := os.ReadDir(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := filepath.Join(name, e.Name())
		_, there := files[below]
		switch {
		case folders[below]:
			err = p.mountBeside(folder, from, to, below, folders, files)
		case !there:
			err = p.mirror(e, filepath.Join(folder, below), filepath.Join(from, below), filepath.Join(to, below))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mirror makes one entry of a folder visible under another name.
func (p *plan) mirror(e fs.DirEntry, seen, source, target string) error {
	purpose := "show " + seen
	flags, removal := uintptr(unix.MS_BIND), 0
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		text, err := os.Readlink(seen)
		if errors.Is(err, fs.ErrNotExist) { // it is gone by now, as files in /run may be
			return nil
		}
		if err == nil {
			p.add(purpose, unix.SYS_SYMLINKAT, text, unix.AT_FDCWD, target)
		}
		return err
	case e.IsDir():
		p.mkdir(purpose, target)
		flags, removal = flags|unix.MS_REC, unix.AT_REMOVEDIR
	default:
		p.create(purpose, target, nil)
	}
	bind := p.mount(purpose, source, target, "", flags, "")
	bind.forgive[0], bind.skip = unix.ENOENT, 1
	p.add(purpose, unix.SYS_UNLINKAT, unix.AT_FDCWD, target, removal)
	return nil
}

// hideNameServices hides the daemons that would answer for names by a socket in
// the file system, from the network of the machine: nscd(8), systemd-resolved(8).
func (p *plan) hideNameServices() {
	for _, folder := range []string{"/run/nscd", "/var/run/nscd", "/run/systemd/resolve"} {
		if _, err := os.Stat(folder); err == nil {
			p.mount("hide "+folder, "tmpfs", folder, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "size=4k")
		}
	}
}

// etcFiles are the files of the sandbox, by name below /etc.
func etcFiles(ca []byte, t *Trusted) (map[string][]byte, error) {
	files, err := t.files(ca)
	if err != nil {
		return nil, err
	}
	hostname, _ := os.Hostname()
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if hostname != "" {
		hosts += "127.0.0.1\t" + hostname + "\n"
	}
	files["hosts"] = []byte(hosts)
	// There is an answer to every question, so that what is late comes from a busy
	// machine, and is waited for.
	files["resolv.conf"] = []byte("nameserver " + loopback.String() + "\noptions timeout:5 attempts:3\n")
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
