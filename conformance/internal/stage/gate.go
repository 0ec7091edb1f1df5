package stage

import (
	"runtime"
	"sync"
	"time"
)

// A gate lets few drivers begin at a time. Most of what they do later is to wait,
// but to begin takes a virtual machine's worth of computing: if all did so at once,
// each would take so long that clients seem to hang. Its zero value is ready.
type gate struct {
	once  sync.Once
	slots chan struct{}
}

// enter waits for a place.
func (g *gate) enter() *beginning {
	g.once.Do(func() { g.slots = make(chan struct{}, 2*runtime.NumCPU()) })
	g.slots <- struct{}{}
	return &beginning{gate: g, began: time.Now()}
}

// A beginning is a driver that begins. It does until it has given its second answer,
// since there is much that is only loaded when a client is used; but not for much
// longer than it took to give the first, since that answer may take minutes.
type beginning struct {
	gate    *gate
	began   time.Time
	answers int
	once    sync.Once
}

// answered notes an answer. It is called from one goroutine at a time.
func (b *beginning) answered() {
	switch b.answers++; b.answers {
	case 1:
		time.AfterFunc(2*time.Since(b.began), b.end)
	case 2:
		b.end()
	}
}

// end gives the place to the next one, if that was not done before.
func (b *beginning) end() { b.once.Do(func() { <-b.gate.slots }) }
