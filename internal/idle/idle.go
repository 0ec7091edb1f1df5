// Package idle keeps things that have nothing to do for whoever needs one next.
package idle

import "sync"

// A Pool has things that have nothing to do. Its zero value is empty. Its methods may
// be called from several goroutines.
type Pool[T any] struct {
	mu  sync.Mutex
	all []T
}

// Take returns the thing that was given last, and whether there was one.
func (p *Pool[T]) Take() (thing T, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.all) - 1
	if last < 0 {
		return thing, false
	}
	thing = p.all[last]
	p.all = p.all[:last]
	return thing, true
}

// Give gives a thing that has nothing to do any more.
func (p *Pool[T]) Give(thing T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, thing)
}

// Len returns how many things have nothing to do.
func (p *Pool[T]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}
