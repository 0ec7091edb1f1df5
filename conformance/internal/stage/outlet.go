package stage

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/fakeentra/fakeentra/internal/sandbox"
)

// What has a driver's output open when the driver has ended is waited for so long, and
// may write so many bytes, which is no less than a pipe has; and so often where nobody
// is seen that does.
const (
	heldLimit = time.Second
	mostHeld  = 1 << 20
	heldTries = 5
)

// An outlet is the end of a pipe that a driver writes to. It comes to its end with the
// last program that has the other end open. That may be one which the driver leaves
// behind, so that the outlet ends soon after the driver at the latest, when all was
// read that it can have written. It is read by one goroutine.
type outlet struct {
	file     *os.File        // not embedded, as io.Copy would read by its methods
	over     <-chan struct{} // closed when the driver has ended
	limit    time.Duration   // heldLimit
	tries    int             // how often there may be as much patience and rest again
	patience time.Duration   // how long it is still waited for from then on, when nothing comes
	rest     int             // how many bytes may still come
	holders  []string        // who held it when it ended too late
}

func newOutlet(f *os.File, over <-chan struct{}) *outlet {
	return &outlet{file: f, over: over, limit: heldLimit, tries: heldTries, patience: heldLimit, rest: mostHeld}
}

// expire sees to it that a read that has begun ends, too. It is called when over was
// closed.
func (o *outlet) expire() {
	if o.file.SetReadDeadline(time.Now().Add(o.limit)) != nil { // as on Windows, or when it was closed
		time.AfterFunc(o.limit, func() { _ = o.file.Close() })
	}
}

// Read implements [io.Reader].
func (o *outlet) Read(b []byte) (int, error) {
	for {
		n, err := o.read(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed) {
			return n, err
		}
		if o.isHeld() {
			return 0, io.EOF
		}
	}
}

// read waits no longer than there is patience when the driver has ended.
func (o *outlet) read(b []byte) (int, error) {
	select {
	case <-o.over:
	default:
		return o.file.Read(b)
	}
	if o.rest <= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	_ = o.file.SetReadDeadline(time.Now().Add(o.patience)) // see expire
	began := time.Now()
	n, err := o.file.Read(b)
	o.patience -= time.Since(began)
	o.rest -= n
	return n, err
}

// isHeld finds out who holds the outlet. Where nobody is seen, it may be a program that
// is about to be started, and does not hold it for long.
func (o *outlet) isHeld() bool {
	o.holders = sandbox.Holders(o.file)
	if o.tries--; len(o.holders) == 0 && o.tries > 0 && sandbox.KnowsHolders {
		o.patience, o.rest = o.limit, mostHeld
		return false
	}
	if len(o.holders) == 0 {
		o.holders = []string{"some that cannot be named"}
	}
	return true
}
