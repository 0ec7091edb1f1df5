package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Netns runs a command in a network and a file system of its own: 169.254.169.254
// and one address for all emulated names are on its loopback interface, every
// other address refuses connections and is a leak, and its /etc has another resolver and the
// certificate of the world in every trust store. Nothing is written to the disk.
// The kernel removes it all with the last process inside.
//
// The command runs as the same user as this process. It has no capabilities, or,
// if the user is root, all but those that could undo the sandbox. If it
// listens on all addresses, as on 0.0.0.0, it reaches itself at those outside.
//
// When ctx is done the command is killed. It must be called by a program that
// calls [Child]. Errors are as [ErrUnavailable] says.
func Netns(ctx context.Context, w World, c Command) (Result, error) {
	// The parent's death kills the child (prctl(2), PR_SET_PDEATHSIG), but the
	// parent is this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var s *supervisor
	if c.Signals == nil {
		s = newSupervisor()
		defer s.stop()
	}
	published, err := listenPublished(c.Publish)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(published)
	n, err := startNetns(w, c)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer n.end(cancel)
	undo := context.AfterFunc(ctx, n.kill)
	defer undo()
	if err := n.serve(ctx, w, c, published); err != nil {
		return Result{}, err
	}
	if err := n.execute(c.Path); err != nil {
		return Result{}, err
	}
	if c.Began != nil {
		c.Began(n.child.Process.Pid)
	}
	var result Result
	if s != nil {
		result.Status = s.wait(n.child)
	} else {
		result = n.guide(c)
	}
	n.end(cancel)
	result.Leaks = n.leaks.list()
	return result, n.served
}

// A netns is a child in its namespaces, seen from outside.
type netns struct {
	child  *exec.Cmd
	parent int // end of the socket to the child
	inside sockets
	leaks  leaks
	group  sync.WaitGroup // what answers for the child
	served error          // why the world answered no more
	ended  bool
}

// sockets are made by the child in its network, for the parent to serve on: in
// this order, behind those of openWatches.
type sockets struct {
	dns                 net.PacketConn
	dnsTCP, https, http net.Listener
	relayed             []net.Listener // one for each address that is relayed
	endpoints           []net.Listener
	watched             []*os.File
	maker               *socketMaker // nil if nothing is published
}

// settings is what the child is told.
type settings struct {
	NetNS, MntNS string // of the parent: the child's must differ
	Metadata     bool
	IPv6         bool // some names have nothing else
	Etc          []etcFile
	Mounts       []Mount
	Relays       []netip.AddrPort
	Endpoints    []int // ports
	Publish      bool
}

// A setupReport is what the child says: that it is ready, or what went wrong.
type setupReport struct {
	Failed string        `json:",omitempty"` // as in "cannot ..."
	Errno  syscall.Errno `json:",omitempty"`
	Maker  int           `json:",omitempty"` // process that makes sockets
	// Watches is how many of the files that come with it are for a watch.
	Watches int `json:",omitempty"`
}

func startNetns(w World, c Command) (*netns, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket for the sandbox: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "sandbox")
	defer func() { _ = theirs.Close() }()
	n := &netns{parent: pair[0]}
	contents, err := newMemory("etc")
	if err != nil {
		_ = unix.Close(n.parent)
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	defer func() { _ = contents.Close() }()
	n.child = childCommand(c, theirs, contents)
	n.child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings:                sameIDs("/proc/self/uid_map", os.Geteuid()),
		GidMappings:                sameIDs("/proc/self/gid_map", os.Getegid()),
		GidMappingsEnableSetgroups: os.Geteuid() == 0 && kernelSays("/proc/self/setgroups", "allow"),
		AmbientCaps:                []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW},
		Pdeathsig:                  syscall.SIGKILL,
		Setpgid:                    c.Signals != nil,
	}
	if err := n.child.Start(); err != nil {
		_ = unix.Close(n.parent)
		return nil, unavailable("make a user namespace", err)
	}
	_ = theirs.Close() // only the child holds it now: its end is the end of the socket
	if err := n.setUp(w, c, contents); err != nil {
		return nil, n.giveUp(err)
	}
	return n, nil
}

// errEnded is what a child says that says nothing.
var errEnded = errors.New("it ended")

// giveUp ends a child that could not be set up. One that was killed says nothing
// of what is available.
func (n *netns) giveUp(err error) error {
	defer func() { _ = unix.Close(n.parent) }()
	if !errors.Is(err, errEnded) {
		n.kill()
	}
	_ = n.child.Wait()
	if w, ok := n.child.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() && errors.Is(err, errEnded) {
		return fmt.Errorf("the sandbox was killed while it was set up: %v", w.Signal())
	}
	return err
}

// childCommand is this program anew, which will become c. Variables that depend
// on the sandbox are set.
func childCommand(c Command, files ...*os.File) *exec.Cmd {
	env := slices.Clone(c.Env)
	if c.Environ != nil {
		env = append(env, c.Environ(caFile, bundleFile)...)
	}
	return &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{"fakeentra", childWord, "netns", c.Path}, c.Args...),
		Env: append(env, javaOptions(env, cacertsFile)...), Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr, ExtraFiles: files,
	}
}

// sameIDs maps identities to themselves, so that nothing looks different inside:
// for root all that there are, and for others, who may not, their own.
func sameIDs(file string, id int) []syscall.SysProcIDMap {
	own := []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
	table, err := os.ReadFile(file)
	if os.Geteuid() != 0 || err != nil {
		return own
	}
	var all []syscall.SysProcIDMap
	for line := range strings.Lines(string(table)) {
		columns := strings.Fields(line) // first inside, first outside, how many
		if len(columns) != 3 {
			return own
		}
		first, _ := strconv.Atoi(columns[0])
		size, _ := strconv.Atoi(columns[2]) // the greatest int if it is greater
		all = append(all, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: size})
	}
	return all
}

// setUp tells the child what to do and takes over its sockets.
func (n *netns) setUp(w World, c Command, contents *os.File) error {
	s, err := settingsFor(w, c, contents)
	if err != nil {
		return err
	}
	order, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := unix.Write(n.parent, order); err != nil {
		return unavailable("reach the sandbox", err)
	}
	report, files, err := n.receive()
	if err != nil {
		return unavailable("set up the sandbox", err)
	}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if report.Failed != "" {
		return unavailable(report.Failed, report.Errno)
	}
	return n.inside.adopt(files, report, s)
}

// settingsFor writes the files of the sandbox to contents and returns what the
// child is told. It is called while the child starts, because it takes time.
func settingsFor(w World, c Command, contents *os.File) (settings, error) {
	netNS, mntNS, err := namespaces()
	if err != nil {
		return settings{}, unavailable("look at the namespaces of this process", err)
	}
	files, err := etcFiles(w.CA, hasJava(c.Env))
	if err != nil {
		return settings{}, err
	}
	etc, err := store(contents, files)
	if err != nil {
		return settings{}, fmt.Errorf("cannot write to a file in memory: %w", err)
	}
	s := settings{NetNS: netNS, MntNS: mntNS, Metadata: w.Metadata, IPv6: len(w.IPv6) > 0, Etc: etc, Mounts: w.Mounts, Publish: len(c.Publish) > 0}
	for _, r := range c.relays() {
		s.Relays = append(s.Relays, r.at)
	}
	for _, e := range w.Endpoints {
		s.Endpoints = append(s.Endpoints, e.Port)
	}
	return s, nil
}

// receive reads one message of the child.
func (n *netns) receive() (setupReport, []*os.File, error) {
	var report setupReport
	text, files, err := receiveFiles(n.parent)
	if err != nil {
		return report, nil, err
	}
	if len(text) == 0 {
		return report, nil, errEnded
	}
	return report, files, json.Unmarshal(text, &report)
}

// serve begins to answer for the child.
func (n *netns) serve(ctx context.Context, w World, c Command, published []net.Listener) error {
	resolver := newResolver(w.Knows, &n.leaks)
	resolver.six = w.IPv6
	resolver.real = hostAddresses(outlets(c.Egress))
	n.group.Go(func() { (&watch{n.inside.watched, &n.leaks}).run(ctx) })
	n.group.Go(func() { resolver.serve(ctx, n.inside.dns, n.inside.dnsTCP) })
	n.group.Go(func() {
		n.served = w.serve(ctx, n.inside.https, n.inside.http, n.inside.endpoints)
	})
	for i, r := range c.relays() {
		n.group.Go(func() { Relay(ctx, n.inside.relayed[i], r.dial) })
	}
	for _, l := range published {
		n.group.Go(func() { Relay(ctx, l, n.inside.maker.to(l.Addr())) })
	}
	return ctx.Err()
}

// execute lets the child become the command.
func (n *netns) execute(path string) error {
	if _, err := unix.Write(n.parent, []byte("go")); err != nil {
		return fmt.Errorf("cannot reach the sandbox: %w", err)
	}
	text, _, err := receiveFiles(n.parent)
	if err != nil || len(text) == 0 { // the socket was closed by a successful execve
		return err
	}
	var report setupReport
	if err := json.Unmarshal(text, &report); err != nil {
		return err
	}
	return &os.PathError{Op: "exec", Path: path, Err: report.Errno}
}

func (n *netns) kill() { _ = n.child.Process.Kill() } // it fails when it has ended

// end waits for all that belongs to the child, which has ended or is killed.
func (n *netns) end(cancel func()) {
	if n.ended {
		return
	}
	n.ended = true
	if n.child.ProcessState == nil {
		n.kill()
		_ = n.child.Wait()
	}
	cancel()
	n.group.Wait()
	n.inside.maker.close()
	_ = unix.Close(n.parent)
}

// namespaces names the network and the mount namespace of this process.
func namespaces() (network, mount string, err error) {
	network, err = os.Readlink("/proc/self/ns/net")
	if err != nil {
		return "", "", err
	}
	mount, err = os.Readlink("/proc/self/ns/mnt")
	return network, mount, err
}
