package edge

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/journal"
)

// A Request is what an operation gets to see.
type Request struct {
	Method string
	URL    *url.URL // absolute, as the client meant it
	Header http.Header
	Body   io.Reader // the body, on routes that stream
	Data   []byte    // the whole body, on all other routes
	Vars   Vars      // {tenant} and friends
	Op     journal.Op
	Seq    int       // number of the journal entry
	ID     string    // the request identifier that the answer carries
	Now    time.Time // in UTC; read once, so that one request sees one time
	Caller Caller

	journal  *journal.Journal
	body     *recorder
	decision journal.Decision
	facts    []journal.Fact
	used     []int
	tokens   [][sha256.Size]byte
	finally  []func()
}

// Vars are the variable parts of a route's path.
type Vars map[string]string

// Explain records why the request is about to be answered as it is. code is the
// wire code of a refusal, or empty.
func (r *Request) Explain(code, why string) {
	r.decision = journal.Decision{Code: code, Why: why}
}

func (r *Request) explain(resp Response, code, format string, args ...any) Response {
	r.Explain(code, fmt.Sprintf(format, args...))
	return resp
}

// Note adds a fact to the request's line of the transcript. An empty value is
// left out.
func (r *Request) Note(key, value string) {
	if value != "" {
		r.facts = append(r.facts, journal.Fact{Key: key, Value: value})
	}
}

// Finally has the edge call do when the request has been answered, or will never
// be.
func (r *Request) Finally(do func()) { r.finally = append(r.finally, do) }

func (r *Request) finish() {
	for _, do := range r.finally {
		do()
	}
}

// Issued records that the answer hands out token.
func (r *Request) Issued(token string) {
	r.tokens = append(r.tokens, r.journal.Issued(r.Seq, token))
}

// Presented records that the request carries token, and notes under key which
// entry it came from.
func (r *Request) Presented(key, token string) {
	seq := r.journal.IssuedBy(token)
	if seq == 0 {
		r.Note(key, "unknown")
		return
	}
	r.used = append(r.used, seq)
	r.Note(key, fmt.Sprintf("#%d", seq))
}

// Recorded returns the request as the journal keeps it.
func (r *Request) Recorded() journal.Request {
	out := journal.Request{Method: r.Method, URL: r.URL.String(), Header: r.Header}
	if r.body != nil {
		out.Body, out.Size = r.body.head, r.body.n
	}
	return out
}

// read fetches the whole body. It reports false when there is more of it than
// MaxBody.
func (r *Request) read() (whole bool, err error) {
	if r.body == nil {
		return true, nil
	}
	r.Data, err = io.ReadAll(io.LimitReader(r.body, MaxBody+1))
	return len(r.Data) <= MaxBody, err
}

// A recorder keeps the beginning of what passes through it.
type recorder struct {
	from io.Reader
	head []byte
	n    int64
}

func (rec *recorder) Read(p []byte) (int, error) {
	n, err := rec.from.Read(p)
	rec.n += int64(n)
	if room := MaxKept - len(rec.head); room > 0 {
		rec.head = append(rec.head, p[:min(n, room)]...)
	}
	return n, err
}

// Loopback reports whether a host name or address is one of this machine's
// loopback interface.
func Loopback(hostname string) bool {
	if hostname == "localhost" || strings.HasSuffix(hostname, ".localhost") {
		return true
	}
	ip := net.ParseIP(hostname)
	return ip != nil && ip.IsLoopback()
}
