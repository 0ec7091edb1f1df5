package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An occupant is the first process of a container. It does what takes capabilities,
// and starts commands, which have none.
type occupant struct {
	line     line
	starts   chan func() // commands to run, one after the other
	uid, gid int         // of commands
	settled  bool        // the network was set up

	mu      sync.Mutex
	running *running // nil if no command is
}

// A running is a command with what can be asked of it.
type running struct {
	child   *child
	signals chan os.Signal
	asked   chan func()
	ended   chan struct{} // closed
}

// occupy serves at the other end of a socket, until that is closed: then the
// container ends, and with it all that runs in there.
func occupy(args []string) {
	if len(args) != 1 {
		return
	}
	var owner unix.Stat_t
	err := unix.Stat(filepath.Dir(args[0]), &owner)
	var conn *net.UnixConn
	if err == nil {
		conn, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: args[0], Net: "unixpacket"})
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, unreached, cause(err))
		return
	}
	o := &occupant{line: line{conn}, starts: make(chan func()), uid: int(owner.Uid), gid: int(owner.Gid)}
	go o.listen()
	for do := range o.starts {
		do()
	}
}

// unreached is what a container says when its socket leads nowhere, as across the
// border of a virtual machine.
const unreached = "cannot reach the program that started the container:"

// listen hears errands.
func (o *occupant) listen() {
	for {
		var e errand
		files, err := o.line.receive(&e)
		switch {
		case err != nil:
			os.Exit(0)
		case e.Start != nil && len(files) == 3:
			o.starts <- func() { o.start(e.Start, files) }
			continue
		case e.Signal > 0:
			o.signal(syscall.Signal(e.Signal))
		case e.Look != 0:
			o.look(e.Look)
		}
		closeFiles(files)
	}
}

func (o *occupant) now() *running {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.running
}

func (o *occupant) signal(s os.Signal) {
	if r := o.now(); r != nil {
		if s == unix.SIGKILL { // it may have left its group
			r.child.kill()
		}
		select {
		case r.signals <- s:
		case <-r.ended:
		}
	}
}

// look tells which programs there are. The thread that has forked does it.
func (o *occupant) look(number int) {
	if r := o.now(); r != nil {
		select {
		case r.asked <- func() { o.say(word{Look: number, Programs: o.programs(r.child.pid)}) }:
			return
		case <-r.ended:
		}
	}
	o.say(word{Look: number})
}

// start has one command run to its end.
func (o *occupant) start(s *start, files []*os.File) {
	child, told, err := o.fork(s, files)
	closeFiles(files)
	if err != nil {
		o.say(word{Failed: err.Error()})
		return
	}
	if child == nil {
		o.say(word{Missing: s.Args[0]})
		return
	}
	r := &running{child, make(chan os.Signal), make(chan func()), make(chan struct{})}
	o.become(r)
	o.say(word{Started: &told.started}, told.socket)
	_ = told.socket.Close() // it is the partner's
	result := child.guide(Command{Signals: r.signals, MaxMemory: s.MaxMemory}, r.asked, func() []string {
		child.wait()
		return clearOut()
	})
	o.become(nil)
	close(r.ended)
	o.say(word{Ended: &result})
}

func (o *occupant) become(r *running) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = r
}

// say answers. Nobody has to hear it: then the end comes next.
func (o *occupant) say(w word, files ...*os.File) { _ = o.line.send(w, files...) }

// A forked is what the partner of this process gets of a fork.
type forked struct {
	started
	socket *os.File
}

// fork starts what becomes a command when this process's partner has made the world
// around it. It returns nil if there is no such program.
func (o *occupant) fork(s *start, files []*os.File) (*child, *forked, error) {
	path := s.Path
	if path == "" {
		o.asUser(func() { path = lookPath(s.Args[0], s.Env) })
	}
	if path == "" {
		return nil, nil, nil
	}
	w := World{Metadata: s.Metadata, MetadataTLS: s.TLS}
	if s.IPv6 {
		w.IPv6 = []string{""}
	}
	for _, port := range s.Endpoints {
		w.Endpoints = append(w.Endpoints, Endpoint{Port: port})
	}
	c := Command{Path: path, Args: s.Args, Env: s.Env, Stdin: files[0], Stdout: files[1], Stderr: files[2]}
	p := newPlan()
	ours, theirs, err := p.connect()
	if err != nil {
		return nil, nil, err
	}
	told := &forked{socket: os.NewFile(uintptr(ours), "of the fork")}
	p.socket = theirs
	fresh := !o.settled
	err = o.prepare(p, w, c, fresh, ours)
	var child *child
	if err == nil {
		child, err = p.fork(0)
	}
	p.release()
	if err != nil {
		return nil, nil, errors.Join(err, told.socket.Close())
	}
	o.settled = true
	told.started = started{Path: path, Socket: p.socket, Gifts: p.gifts.count, Fresh: fresh}
	for _, m := range p.moves {
		told.Moves = append(told.Moves, m.purpose)
	}
	return child, told, nil
}

// prepare plans how a fork becomes a command, as [netns.prepare] does.
func (o *occupant) prepare(p *plan, w World, c Command, fresh bool, parent int) error {
	p.follow(parent)
	p.add("lead a process group", unix.SYS_SETPGID, 0, 0)
	if fresh {
		if err := p.addAddresses(w.Metadata); err != nil {
			return err
		}
		p.askKernel(w)
	} else { // for the answers to what is not asked
		p.give(p.add("make a socket", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE))
	}
	if len(w.IPv6) > 0 {
		p.awaitAddress6()
	}
	p.openWatches()
	for _, d := range doorsOf(w, c) {
		p.openDoor(d, true)
	}
	o.drop(p)
	p.handOver()
	p.await(wordServed)
	return p.become(c)
}

// drop makes a fork the user whose files it uses, and gives up its capabilities.
// The container has none to be gained anew (no_new_privs, prctl(2)).
func (o *occupant) drop(p *plan) {
	const purpose = "become the user of its files"
	p.add(purpose, unix.SYS_SETGROUPS, 0, 0)
	p.add(purpose, unix.SYS_SETRESGID, o.gid, o.gid, o.gid)
	p.add(purpose, unix.SYS_SETRESUID, o.uid, o.uid, o.uid)
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	none := new([2]unix.CapUserData)
	p.add("drop capabilities", unix.SYS_CAPSET, unsafe.Pointer(header), unsafe.Pointer(none))
}

// lookPath finds a program as execvp(3) does, in the PATH of an environment. It
// returns nothing if there is none.
func lookPath(name string, env []string) string {
	if strings.Contains(name, "/") {
		if _, err := os.Stat(name); err != nil {
			return ""
		}
		return name
	}
	path := variable(env, "PATH")
	if path == "" {
		path = "/usr/local/bin:/bin:/usr/bin"
	}
	for _, folder := range filepath.SplitList(path) {
		file := filepath.Join(folder, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// programs lists those in the container, but for this one and the command. What a
// program has in its environment is for its user to see (ptrace(2),
// PTRACE_MODE_READ_FSCREDS).
func (o *occupant) programs(command int) (all []Program) {
	o.asUser(func() {
		all = programs(func(pid int) bool { return pid != os.Getpid() && pid != command })
	})
	return all
}

// asUser looks at files as the user of commands would. It is called by the thread
// that forks.
func (o *occupant) asUser(look func()) {
	_, _ = unix.SetfsgidRetGid(o.gid) // which never fail (setfsuid(2))
	_, _ = unix.SetfsuidRetUid(o.uid)
	defer func() {
		_, _ = unix.SetfsuidRetUid(os.Geteuid())
		_, _ = unix.SetfsgidRetGid(os.Getegid())
	}()
	look()
}

// clearOut kills all that runs in the container besides this process, which is the
// parent of whatever has lost its own, and returns what it was.
func clearOut() (left []string) {
	bury(unix.WNOHANG)
	for round := range maxRounds {
		var names []string
		for _, pid := range processes() {
			if pid != os.Getpid() {
				names = append(names, nameOf(pid))
			}
		}
		if len(names) == 0 {
			break
		}
		if round == 0 {
			left = names
		}
		_ = unix.Kill(-1, unix.SIGKILL)
		bury(0)
	}
	return left
}

// bury waits for children that have ended.
func bury(options int) {
	for {
		pid, err := unix.Wait4(-1, nil, options, nil)
		if err != unix.EINTR && (err != nil || pid == 0) {
			return
		}
	}
}
