package stage

import (
	"bytes"
	"io"
	"os"
	"slices"
	"testing"
	"time"
)

// outletOf returns an outlet of a driver that has ended, and the end that it wrote to,
// which this process holds.
func outletOf(t *testing.T) (*outlet, *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll([]*os.File{read, write}) })
	over := make(chan struct{})
	close(over)
	o := newOutlet(read, over)
	o.limit, o.patience = 10*time.Millisecond, 10*time.Millisecond
	return o, write
}

var unseen = []string{"some that cannot be named"}

func TestAnOutletEndsSoonAfterItsDriver(t *testing.T) {
	o, write := outletOf(t)
	if _, err := write.WriteString("words"); err != nil {
		t.Fatal(err)
	}
	o.expire()
	if got, err := io.ReadAll(o); err != nil || string(got) != "words" || !slices.Equal(o.holders, unseen) {
		t.Errorf("%q, %v, held by %q", got, err, o.holders)
	}
}

func TestAnOutletThatIsClosedIsHeldByNobody(t *testing.T) {
	o, write := outletOf(t)
	if _, err := write.WriteString("words"); err != nil {
		t.Fatal(err)
	}
	closeAll([]*os.File{write})
	_ = o.file.SetReadDeadline(time.Unix(1, 0)) // the reader comes late
	if got, err := io.ReadAll(o); err != nil || string(got) != "words" || len(o.holders) > 0 {
		t.Errorf("%q, %v, held by %q", got, err, o.holders)
	}
}

func TestAnOutletEndsHoweverMuchIsWritten(t *testing.T) {
	o, write := outletOf(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for line := bytes.Repeat([]byte("x"), 1<<16); ; {
			if _, err := write.Write(line); err != nil {
				return // it was closed
			}
		}
	}()
	o.expire()
	got, err := io.Copy(io.Discard, o)
	if most := int64(heldTries+1) * mostHeld; err != nil || got > most || !slices.Equal(o.holders, unseen) {
		t.Errorf("%d bytes, %v, held by %q; want no more than %d bytes", got, err, o.holders, most)
	}
	closeAll([]*os.File{o.file, write})
	<-ended
}
