// Package sandbox runs unmodified programs in a world of their own: production
// host names and 169.254.169.254 lead to this process, and to no other machine.
//
// There are two ways. [Netns] gives the program a network and a file system of
// its own, and is the complete one. [Notify] answers for the kernel when the
// program connects, and works where namespaces are not permitted, such as in
// containers. Both need Linux and no privileges. Neither is a security
// boundary: a program that means to get out may find a way.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
)

// A World is what answers inside a sandbox.
type World struct {
	// Knows reports whether a host name is emulated: it gets an address in the
	// sandbox. It is called from several goroutines, with names in lower case
	// and without a dot at the end.
	Knows func(hostname string) bool
	// Serve answers on two listeners until ctx is done, and closes them: connections
	// to port 443 and to port 80 of emulated names and of 169.254.169.254.
	Serve func(ctx context.Context, https, http net.Listener) error
	// CA is the certificate in PEM form that programs must trust.
	CA []byte
	// Metadata says whether 169.254.169.254 answers. Where it does not, as on a
	// laptop, connections to it fail at once.
	Metadata bool
	// MetadataTLS opens port 443 of that address, too, where nobody listens in
	// Azure, to see who tries. [Notify] does not know it.
	MetadataTLS bool
	// IPv6 are names, of those that it knows, which have an address of IPv6 in
	// place of the one of IPv4. Only [Netns] knows it.
	IPv6 []string
	// Endpoints are ports of loopback at which it answers, too.
	Endpoints []Endpoint
	// Mounts are folders of this machine that programs find elsewhere. [Notify]
	// cannot show them.
	Mounts []Mount
}

// A Mount is a folder of this machine that programs find elsewhere. Where the
// machine has no such place, a file system in memory lies over the nearest
// folder above that it has: everything in there stays as it is, but what a
// program adds beside it is gone with the sandbox.
type Mount struct {
	Folder string // on this machine
	SeenAs string // absolute path in the sandbox
	// Over, if it is not empty, is a folder above SeenAs, or SeenAs itself, of which
	// nothing else is seen. It may come and go on the machine meanwhile, which
	// would take a mount below it away.
	Over string
}

// A Command is a program to run inside.
type Command struct {
	Path                  string   // file to execute
	Args                  []string // including the name that the program was called by
	Env                   []string // in the form of [os.Environ]
	Stdin, Stdout, Stderr *os.File

	// Temporary are folders that are removed when this process is killed, on Linux.
	// It removes them itself when it is not.
	Temporary []string

	// Trusted is what [ReadTrusted] returned, for this command alone, if it was
	// called.
	Trusted *Trusted

	// Environ returns more variables, given two files in PEM form under the
	// names that they have for the program: the certificate of the World, and
	// the certificates of this machine with it. It may be nil.
	Environ func(ca, bundle string) []string

	// Signals, if it is not nil, are passed on to the command in place of those to
	// this process. The command then leads a process group of its own, which gets
	// them, and what it leaves running in the sandbox is killed when it has ended.
	// Only [Netns] knows it.
	Signals <-chan os.Signal
	// Began, if it is not nil, is called when there is the command, with a function
	// that lists the other programs in its sandbox at that moment. It returns nil
	// when the command has ended, and may be called from several goroutines. Only
	// [Netns] and [Containers] know it.
	Began func(programs func() []Program)
	// MaxMemory, if it is not 0, is how many bytes of memory the command may have
	// with Signals, before it is killed.
	MaxMemory int64

	Forward []int // ports of this machine's loopback that the program reaches under the same number
	Publish []int // ports of the program's loopback that this machine reaches under the same number

	Egress []Egress // real hosts that the program reaches
	// Dial connects to one of Egress, for the program. It must be set if there is
	// one, and is called from several goroutines. When it fails, the program sees
	// that its connection is reset.
	Dial func(context.Context, Egress) (net.Conn, error)
}

// A Program is a process that a command started, as others on its machine see it.
type Program struct{ Args, Environ []string }

// A Result says how a command ended.
type Result struct {
	Status int      // exit code, or 128 and the number of the signal that killed it
	Leaks  []Leak   // by kind and name
	Left   []string // names of the programs that it left running, with Command.Signals
	TooBig bool     // it was killed for Command.MaxMemory
}

// A Leak is something outside the emulated set that a program asked for. It did
// not get it.
type Leak struct {
	Kind  string // "dns" or "connect"
	Name  string // a host name, or an address and port
	Count int    // how often; resolvers ask twice for each name, for IPv4 and IPv6
}

// ErrUnavailable is wrapped by errors that say why one way to make a sandbox is
// closed on this machine. Another one may be open. Nothing was run.
//
// A command that cannot be executed is an [os.PathError] instead.
var ErrUnavailable = errors.New("not available on this machine")

// leaks counts what programs ask for in vain. The zero value is ready. It may
// be used by several goroutines.
type leaks struct {
	mu    sync.Mutex
	count map[Leak]int // by kind and name
}

// The kinds of leaks.
const (
	leakDNS     = "dns"
	leakConnect = "connect"
)

func (l *leaks) add(kind, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == nil {
		l.count = map[Leak]int{}
	}
	l.count[Leak{Kind: kind, Name: name}]++
}

// list returns what was counted, connections first.
func (l *leaks) list() []Leak {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Leak
	for leak, n := range l.count {
		leak.Count = n
		all = append(all, leak)
	}
	slices.SortFunc(all, func(a, b Leak) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return all
}
