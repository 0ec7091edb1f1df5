package blob

import (
	"iter"
	"time"
)

// A store keeps containers and blobs. The one in memory is [memory]; a database
// would stand behind the same interface.
type store interface {
	// view calls f with a state that does not change meanwhile.
	view(f func(transaction))
	// update calls f while no other transaction runs. There is no way back: f
	// must decide before it writes.
	update(f func(transaction))
	// reset forgets everything.
	reset()
}

// A transaction reads and writes a store. What it returns is shared: content
// and maps must not be changed, and staged blocks must not be kept.
type transaction interface {
	container(place) (container, bool)
	// containers returns those of an account from a name on, in the order of
	// their names.
	containers(account, from string) iter.Seq[container]
	putContainer(place, container)
	// deleteContainer deletes the blobs in it too.
	deleteContainer(place)

	blob(place) (blob, bool)
	// blobs returns those of a container from a name on, in the order of their
	// names.
	blobs(in place, from string) iter.Seq[blob]
	putBlob(place, blob)
	// deleteBlob deletes the staged blocks too.
	deleteBlob(place)

	// staged returns the blocks that were put for a blob and not committed, by
	// identifier.
	staged(place) map[string][]byte
	stage(place, block)
	unstage(place)

	// etag returns a new entity tag, in quotes.
	etag(now time.Time) string
}

// A place is the address of an account, a container or a blob.
type place struct{ account, container, blob string }

// String returns the place as the transcript has it.
func (p place) String() string {
	s := p.account
	if p.container != "" {
		s += "/" + p.container
	}
	if p.blob != "" {
		s += "/" + p.blob
	}
	return s
}

// A container is a set of blobs.
type container struct {
	name     string
	access   string // public access: "", "container" or "blob"
	metadata metadata
	etag     string
	modified time.Time
}

// A blob is a committed block blob.
type blob struct {
	name              string
	content           []byte
	blocks            []block // parts of content; empty after Put Blob
	properties        contentHeaders
	metadata          metadata
	etag              string
	created, modified time.Time
}

// A block is a part of a blob.
type block struct {
	id      string // in base64, as the client wrote it
	content []byte
}
