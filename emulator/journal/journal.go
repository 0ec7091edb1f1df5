// Package journal records what was asked of an emulator and why it answered as
// it did.
package journal

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"time"
)

// An Op names an operation, such as "imds.token" or "sts.token". Fault rules,
// conformance checks and documentation use the same names.
type Op string

// An Entry is one request and its answer.
type Entry struct {
	Seq      int // 1, 2, 3 ... within the cloud, in order of arrival
	Time     time.Time
	Op       Op
	Host     string // the emulated host the request came from; empty if unknown
	Request  Request
	Response Response
	Decision Decision
	Facts    []Fact // what the request was about, in the order of the transcript
	Fault    string // name of the fault rule that fired, if any
	Used     []int  // entries that issued the tokens this request carried
}

// A Request is what the client sent. Body is cut at the journal's limit.
type Request struct {
	Method string
	URL    string // absolute, as the client meant it
	Header http.Header
	Body   []byte
	Size   int64 // length of the whole body
}

// A Response is what the client was told. Body is cut at the journal's limit.
type Response struct {
	Status int // 0 when the connection was closed without an answer
	Header http.Header
	Body   []byte
	Size   int64 // length of the whole body
}

// A Decision is the emulator's reasoning. It is never sent to the client.
type Decision struct {
	Code string // wire code, such as "AADSTS700213"; empty if granted
	Why  string // one sentence for the person who reads the test log
}

// A Fact is something worth a word in the transcript, such as the tenant or the
// scope of a request. Key is empty where the value speaks for itself.
type Fact struct {
	Key   string `json:"key,omitempty"`
	Value string `json:"value"`
}

// Limits bound what a Journal keeps. When either is passed, the oldest entries
// are dropped.
type Limits struct {
	Entries int // number of entries
	Bytes   int // bodies and headers of all entries, estimated
}

// DefaultLimits keep some thousand exchanges in at most 16 MiB.
var DefaultLimits = Limits{Entries: 10000, Bytes: 16 << 20}

// A Journal collects entries. Its methods may be called from several
// goroutines. Use [New].
type Journal struct {
	mu      sync.Mutex
	limits  Limits
	next    int
	entries []stored // a ring: the oldest is at head
	head    int
	bytes   int
	dropped Dropped
	issued  map[[sha256.Size]byte]int // digest of a token to the entry that handed it out last
}

type stored struct {
	Entry
	tokens [][sha256.Size]byte
	size   int
}

// Dropped says how much a journal no longer has.
type Dropped struct {
	Entries int
	Bytes   int
}

// New returns an empty Journal. Limits that are zero are taken from
// [DefaultLimits].
func New(l Limits) *Journal {
	if l.Entries <= 0 {
		l.Entries = DefaultLimits.Entries
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	return &Journal{limits: l, issued: map[[sha256.Size]byte]int{}}
}

// Open returns the number of the next entry.
func (j *Journal) Open() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next++
	return j.next
}

// Opened returns the number of the newest entry, also if it is still open or was
// dropped, or 0.
func (j *Journal) Opened() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

// IssuedBy returns the entry that handed token out, or 0 if none did or if it
// has been dropped.
func (j *Journal) IssuedBy(token string) int {
	digest := sha256.Sum256([]byte(token))
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.issued[digest]
}

// Issued notes that entry seq hands out token. Operations call it before they
// answer, so that no client can use a token that the journal does not know.
func (j *Journal) Issued(seq int, token string) [sha256.Size]byte {
	digest := sha256.Sum256([]byte(token))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.issued[digest] = seq
	return digest
}

// Close adds an entry that was opened before. tokens are the digests that
// [Journal.Issued] returned for it.
func (j *Journal) Close(e Entry, tokens ...[sha256.Size]byte) {
	s := stored{Entry: e, tokens: tokens, size: weigh(e)}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, s)
	j.bytes += s.size
	for len(j.entries)-j.head > j.limits.Entries || (j.bytes > j.limits.Bytes && len(j.entries)-j.head > 1) {
		j.dropOldest()
	}
	if j.head > len(j.entries)/2 && j.head > 64 {
		j.entries, j.head = slices.Delete(j.entries, 0, j.head), 0
	}
}

func (j *Journal) dropOldest() {
	old := j.entries[j.head]
	for _, digest := range old.tokens {
		if j.issued[digest] == old.Seq {
			delete(j.issued, digest)
		}
	}
	j.entries[j.head] = stored{}
	j.head++
	j.bytes -= old.size
	j.dropped.Entries++
	j.dropped.Bytes += old.size
}

// weigh estimates the memory that an entry keeps alive.
func weigh(e Entry) int {
	size := 512 + len(e.Request.URL) + len(e.Request.Body) + len(e.Response.Body) + len(e.Decision.Why)
	for _, h := range []http.Header{e.Request.Header, e.Response.Header} {
		for name, values := range h {
			size += len(name) + 32
			for _, v := range values {
				size += len(v)
			}
		}
	}
	return size
}

// Snapshot returns what happened so far, in order of arrival. Requests that
// are still being answered are not in it.
func (j *Journal) Snapshot() Log {
	j.mu.Lock()
	defer j.mu.Unlock()
	log := Log{Entries: make([]Entry, 0, len(j.entries)-j.head), Dropped: j.dropped}
	for _, s := range j.entries[j.head:] {
		log.Entries = append(log.Entries, s.Entry)
	}
	slices.SortFunc(log.Entries, func(a, b Entry) int { return a.Seq - b.Seq })
	return log
}

// Reset forgets everything, and numbers from 1 again.
func (j *Journal) Reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next, j.entries, j.head, j.bytes, j.dropped = 0, nil, 0, 0, Dropped{}
	clear(j.issued)
}
