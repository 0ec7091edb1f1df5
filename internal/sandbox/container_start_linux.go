package sandbox

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/csv"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fakeentra/fakeentra/internal/pki"
)

// Where a container has what belongs to its sandbox.
const (
	programFolder = "/fakeentra-sandbox/program"
	doorFolder    = "/fakeentra-sandbox/door"
	doorSocket    = "socket"
)

// fnvOf is a number for a text.
func fnvOf(text string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, text)
	return h.Sum64()
}

// start starts a container, and waits until its first process is there.
func (c *Containers) start(ctx context.Context, w World) (_ *container, err error) {
	folder, err := os.MkdirTemp(c.Folder, "container-")
	if err != nil {
		return nil, err
	}
	k := &container{owner: c, name: "fakeentra-" + c.id() + "-" + strings.TrimPrefix(filepath.Base(folder), "container-"), folder: folder}
	defer func() {
		if err != nil {
			if k.cli != nil {
				k.end()
			}
			_ = os.RemoveAll(folder)
		}
	}()
	door := filepath.Join(folder, "door")
	// Root in a container has no right to what is another user's: the folder above
	// is what keeps others out.
	for _, open := range []string{door, filepath.Join(folder, "files")} {
		if err := errors.Join(os.Mkdir(open, 0o755), os.Chmod(open, 0o755)); err != nil {
			return nil, err
		}
	}
	listener, err := listenAt(door, doorSocket)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the container: %w", err)
	}
	defer func() { _ = listener.Close() }()
	if err := os.Chmod(filepath.Join(door, doorSocket), 0o666); err != nil {
		return nil, err
	}
	if err := k.fill(w.CA, nil); err != nil {
		return nil, err
	}
	args, err := k.arguments(w)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.started = true
	c.mu.Unlock()
	if k.cli, err = c.run(args); err != nil {
		return nil, err
	}
	if err := k.meet(ctx, listener.Accept, listener.SetDeadline); err != nil {
		return nil, err
	}
	return k, os.Remove(filepath.Join(door, doorSocket))
}

// arguments are those that the engine's program takes to run the container.
func (k *container) arguments(w World) ([]string, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	args := []string{
		"run", "--rm", "--pull", "never", "--name", k.name, "--label", labelRun + "=" + k.owner.id(), "--hostname", hostname,
		"--network", "none", "--user", "0:0", "--userns", "host", "--cap-drop", "ALL",
		"--security-opt", "no-new-privileges", "--security-opt", "label=disable", "--no-healthcheck", "--log-driver", "none",
	}
	for _, capability := range []string{"NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SETUID", "SETGID", "KILL"} {
		args = append(args, "--cap-add", capability)
	}
	if len(w.IPv6) > 0 {
		args = append(args, "--sysctl", "net.ipv6.conf.all.disable_ipv6=0")
	}
	shown, err := k.mounts(w)
	if err != nil {
		return nil, err
	}
	for _, m := range shown {
		args = append(args, "--mount", m.flag())
	}
	entry, more, err := k.program()
	if err != nil {
		return nil, err
	}
	if k.owner.Image == "" {
		folder, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		args = append(args, "--workdir", folder)
	}
	args = append(args, more...)
	return append(append(args, k.owner.found.name), entry...), nil
}

// A bind is a file or folder of this machine that a container has, too.
type bind struct {
	source, target string
	readOnly       bool
}

// flag is the value of --mount, which is a line of CSV.
func (b bind) flag() string {
	fields := []string{"type=bind", "src=" + b.source, "dst=" + b.target}
	if b.readOnly {
		fields = append(fields, "readonly")
	}
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write(fields) // to memory
	w.Flush()
	return strings.TrimSuffix(text.String(), "\n")
}

// mounts are all that a container sees of this machine.
func (k *container) mounts(w World) ([]bind, error) {
	all := []bind{
		{k.owner.Folder, k.owner.Folder, false},
		{filepath.Join(k.folder, "door"), doorFolder, true},
	}
	targets := map[string]string{} // files by where they are seen
	for _, name := range slices.Concat(pki.Bundles(), []string{bundleFile}) {
		targets[name] = "bundle"
	}
	for _, name := range javaStores {
		targets[name] = "store"
	}
	hashed, err := hashedName(w.CA)
	if err != nil {
		return nil, err
	}
	targets[caFile], targets["/etc/ssl/certs/"+hashed+".0"] = "ca", "ca"
	targets["/etc/resolv.conf"], targets["/etc/hosts"] = "resolv.conf", "hosts"
	folders := w.Mounts
	if k.owner.Image == "" {
		targets["/etc/nsswitch.conf"] = "nsswitch.conf"
		own, seen, err := k.machine(targets, w.Mounts)
		if err != nil {
			return nil, fmt.Errorf("cannot show this machine's folders: %w", err)
		}
		all, folders = append(all, own...), seen
	}
	for target, file := range targets {
		all = append(all, bind{filepath.Join(k.folder, "files", file), target, true})
	}
	for _, m := range folders {
		all = append(all, bind{m.Folder, m.SeenAs, false})
	}
	return all, nil
}

// fill writes the files of a container that depend on its world. Those that are
// there keep their place: it is what the container has.
func (k *container) fill(ca []byte, t *Trusted) error {
	files := map[string][]byte{"ca": ca, "bundle": ca, "store": {}}
	if t == nil { // for the time being
		etc, err := etcFiles(ca, &Trusted{})
		if err != nil {
			return err
		}
		for _, name := range []string{"hosts", "resolv.conf", "nsswitch.conf"} {
			files[name] = etc[name]
		}
	} else {
		files["bundle"], files["store"] = t.with(ca)
		if files["store"] == nil && k.owner.Image != "" { // there may be a Java
			files["store"] = t.store.With(t.bundle, time.Now()).With(ca, time.Now()).JKS()
		}
	}
	for name, content := range files {
		path := filepath.Join(k.folder, "files", name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o644); err != nil { // whatever the umask is
			return err
		}
	}
	return nil
}

// program returns the command that the first process of a container is, and the
// arguments that the engine's program takes for it. That is this program, which may
// need libraries that the image does not have.
func (k *container) program() (command, args []string, err error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return nil, nil, err
	}
	program := filepath.Join(programFolder, "fakeentra")
	show := func(source, target string) { args = append(args, "--mount", bind{source, target, true}.flag()) }
	show(self, program)
	command = []string{childWord, "occupant", filepath.Join(doorFolder, doorSocket)}
	loader, err := loaderOf(self)
	if err != nil {
		return nil, nil, err
	}
	if loader == "" {
		return command, append(args, "--entrypoint", program), nil
	}
	libraries, err := loaded()
	if err != nil {
		return nil, nil, err
	}
	for _, library := range libraries {
		if library != self {
			show(library, filepath.Join(programFolder, filepath.Base(library)))
		}
	}
	entry := filepath.Join(programFolder, "loader")
	show(loader, entry)
	return append([]string{"--library-path", programFolder, program}, command...), append(args, "--entrypoint", entry), nil
}

// loaderOf returns the program that loads another one with its libraries, or nothing
// if that has none (elf(5), PT_INTERP).
func loaderOf(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", fmt.Errorf("cannot read this program: %w", err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name, err := io.ReadAll(io.LimitReader(p.Open(), unix.PathMax))
			if err != nil {
				return "", fmt.Errorf("cannot read this program: %w", err)
			}
			return filepath.EvalSymlinks(strings.TrimRight(string(name), "\x00"))
		}
	}
	return "", nil
}

// loaded lists the files that this program runs of (proc_pid_maps(5)).
func loaded() ([]string, error) {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	var files []string
	for text := range strings.Lines(string(text)) {
		const columns = 6
		fields := strings.Fields(text)
		if len(fields) == columns && strings.Contains(fields[1], "x") && strings.HasPrefix(fields[columns-1], "/") && !slices.Contains(files, fields[columns-1]) {
			files = append(files, fields[columns-1])
		}
	}
	return files, nil
}
