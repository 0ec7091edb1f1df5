package sandbox

import (
	"os"
	"os/signal"
)

// A supervised is a process that was started, and whose signals are kept.
type supervised interface {
	end() int // waits for it, and returns the exit code
	signal(os.Signal)
}

// A supervisor keeps the signals to this process for a child.
type supervisor struct {
	signals chan os.Signal
	caught  chan struct{} // closed as soon as all signals are
}

// newSupervisor begins to catch signals, which takes a quarter of a millisecond,
// in the background.
func newSupervisor() *supervisor {
	s := &supervisor{make(chan os.Signal, 16), make(chan struct{})}
	go func() {
		signal.Notify(s.signals, passedOn()...)
		close(s.caught)
	}()
	return s
}

// ready returns when signals are caught. It must be called before the child is
// started, so that none is lost.
func (s *supervisor) ready() { <-s.caught }

// stop does not wait until signals have their usual effect again.
func (s *supervisor) stop() {
	go func() {
		s.ready()
		signal.Stop(s.signals)
	}()
}

// wait passes signals on until the child has ended, and returns its status.
func (s *supervisor) wait(child supervised) (status int) {
	ended := make(chan struct{})
	go func() {
		status = child.end()
		close(ended)
	}()
	for {
		select {
		case sig := <-s.signals:
			if !typed(sig) {
				child.signal(sig)
			}
		case <-ended:
			return status
		}
	}
}
