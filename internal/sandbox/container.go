package sandbox

import (
	"sync"

	"github.com/fakeentra/fakeentra/internal/idle"
)

// Containers are where commands run as under [Netns], but each alone in a container
// of a Docker engine, which has the capabilities that this takes: for machines on
// which users cannot make namespaces, and for programs that come in an image. The
// engine has to run on this machine, and to see its files.
//
// The containers have no network but a loopback interface of their own, and nothing
// of this machine's network is touched. The command runs as the user that this
// process is, without capabilities. In a container from an image it sees that;
// without one, the folders of this machine, but for /etc, /run and what is mounted.
// It sees Folder under the same name as this process does.
//
// A container serves one command after the other, each of which starts anew. It
// ends with this process, however that ends. Its methods may be called from several
// goroutines.
type Containers struct {
	Engine string // program to talk to the engine with; docker if empty
	Image  string // of the containers; this machine's own files if empty
	Folder string // of this machine, for the files of commands and of containers; absolute

	mu      sync.Mutex
	found   *image // nil if it was not looked for
	idle    idle.Pool[*container]
	started bool // there was a container
}
