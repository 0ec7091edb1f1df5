package stage

import (
	"slices"
	"sync"

	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// programs are those of a driver, which is followed from its start. Its methods may
// be called from several goroutines.
type programs struct {
	mu   sync.Mutex
	list func() []sandbox.Program // of this moment; nil if it is not known yet
	seen []Program
}

// follow says how to look at them.
func (p *programs) follow(list func() []sandbox.Program) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
}

// look notes the programs that there are.
func (p *programs) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		return
	}
	for _, program := range p.list() {
		same := func(other Program) bool {
			return slices.Equal(other.Args, program.Args) && slices.Equal(other.Environ, program.Environ)
		}
		if !slices.ContainsFunc(p.seen, same) {
			p.seen = append(p.seen, Program(program))
		}
	}
}

func (p *programs) all() []Program {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}
