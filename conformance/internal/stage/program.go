package stage

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// programs are those of a driver, which is followed from its start. Its methods may
// be called from several goroutines.
type programs struct {
	mu     sync.Mutex
	driver int // number of its process
	seen   []Program
}

// follow says which process the driver is.
func (p *programs) follow(driver int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.driver = driver
}

// look notes the programs that there are in the network of the driver, which is
// its own.
func (p *programs) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	network, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", p.driver))
	entries, unreadable := os.ReadDir("/proc")
	if err != nil || unreadable != nil {
		return // it has ended, or has not begun
	}
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		if err != nil || number == p.driver {
			continue
		}
		if in, err := os.Readlink("/proc/" + e.Name() + "/ns/net"); err != nil || in != network {
			continue
		}
		program := Program{Args: words(e.Name(), "cmdline"), Environ: words(e.Name(), "environ")}
		same := func(other Program) bool {
			return slices.Equal(other.Args, program.Args) && slices.Equal(other.Environ, program.Environ)
		}
		if !slices.ContainsFunc(p.seen, same) {
			p.seen = append(p.seen, program)
		}
	}
}

func (p *programs) list() []Program {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// words are the ones of a file of a process, each of which ends with a zero
// (proc(5)).
func words(process, file string) []string {
	text, err := os.ReadFile("/proc/" + process + "/" + file)
	if err != nil {
		return nil // it has ended
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}
