package blob

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// memory is a store without a file behind it. It is its own transaction; its
// lock is held while one runs.
type memory struct {
	mu     sync.RWMutex
	places map[place]*shelf // by account and container
	jitter uint64           // of the cloud, added to the time in ETags
	last   uint64           // ETag handed out last
}

// A shelf is a container and what is in it.
type shelf struct {
	container
	names  []string // of blobs, sorted
	blobs  map[string]blob
	staged map[string]map[string][]byte // by blob and block identifier
}

func newMemory(seed string) *memory {
	sum := sha256.Sum256([]byte("etag\x00" + seed))
	return &memory{places: map[place]*shelf{}, jitter: binary.BigEndian.Uint64(sum[:]) % ticksPerMillisecond}
}

func (m *memory) view(f func(transaction)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f(m)
}

func (m *memory) update(f func(transaction)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *memory) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.places)
	m.last = 0
}

func (m *memory) shelf(at place) *shelf {
	return m.places[place{account: at.account, container: at.container}]
}

func (m *memory) container(at place) (container, bool) {
	if sh := m.shelf(at); sh != nil {
		return sh.container, true
	}
	return container{}, false
}

func (m *memory) containers(account, from string) iter.Seq[container] {
	var names []string
	for at := range maps.Keys(m.places) {
		if at.account == account && at.container >= from {
			names = append(names, at.container)
		}
	}
	slices.Sort(names)
	return func(yield func(container) bool) {
		for _, name := range names {
			if !yield(m.places[place{account: account, container: name}].container) {
				return
			}
		}
	}
}

func (m *memory) putContainer(at place, c container) {
	if sh := m.shelf(at); sh != nil {
		sh.container = c
		return
	}
	m.places[place{account: at.account, container: at.container}] = &shelf{
		container: c, blobs: map[string]blob{}, staged: map[string]map[string][]byte{},
	}
}

func (m *memory) deleteContainer(at place) {
	delete(m.places, place{account: at.account, container: at.container})
}

func (m *memory) blob(at place) (blob, bool) {
	sh := m.shelf(at)
	if sh == nil {
		return blob{}, false
	}
	b, ok := sh.blobs[at.blob]
	return b, ok
}

func (m *memory) blobs(in place, from string) iter.Seq[blob] {
	return func(yield func(blob) bool) {
		sh := m.shelf(in)
		if sh == nil {
			return
		}
		first, _ := slices.BinarySearch(sh.names, from)
		for _, name := range sh.names[first:] {
			if !yield(sh.blobs[name]) {
				return
			}
		}
	}
}

func (m *memory) putBlob(at place, b blob) {
	sh := m.shelf(at)
	if i, known := slices.BinarySearchFunc(sh.names, at.blob, strings.Compare); !known {
		sh.names = slices.Insert(sh.names, i, at.blob)
	}
	sh.blobs[at.blob] = b
}

func (m *memory) deleteBlob(at place) {
	sh := m.shelf(at)
	if i, known := slices.BinarySearch(sh.names, at.blob); known {
		sh.names = slices.Delete(sh.names, i, i+1)
	}
	delete(sh.blobs, at.blob)
	delete(sh.staged, at.blob)
}

func (m *memory) staged(at place) map[string][]byte {
	if sh := m.shelf(at); sh != nil {
		return sh.staged[at.blob]
	}
	return nil
}

func (m *memory) stage(at place, b block) {
	sh := m.shelf(at)
	if sh.staged[at.blob] == nil {
		sh.staged[at.blob] = map[string][]byte{}
	}
	sh.staged[at.blob][b.id] = b.content
}

func (m *memory) unstage(at place) { delete(m.shelf(at).staged, at.blob) }

// ETags of the real service are times: the number of 100 ns ticks since the
// year 1, as .NET counts them, in hexadecimal. Those of 2013 to 2027 begin with
// 0x8D.
const (
	ticksPerMillisecond = 10_000
	ticksPerSecond      = 1000 * ticksPerMillisecond
	ticksAt1970         = 62_135_596_800 * ticksPerSecond
)

// etag returns the time in ticks, to the millisecond and with the cloud's
// jitter, or the successor of the last tag where that is not larger. So tags
// are unique, also when the clock stands still or is set back.
func (m *memory) etag(now time.Time) string {
	ticks := uint64(now.UnixMilli()*ticksPerMillisecond+ticksAt1970) + m.jitter
	m.last = max(m.last+1, ticks)
	return fmt.Sprintf(`"0x%X"`, m.last)
}
