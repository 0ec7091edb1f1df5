package door

import (
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// What listeners put up with before they close a connection.
const (
	// patience is how long a client may take for its request headers, and for
	// every further piece of a request or an answer. It does not bound the
	// whole: uploads may be long, and delays may be injected.
	patience = 30 * time.Second
	idle     = 2 * time.Minute // between two requests
	rest     = time.Second     // for the rest of a body that nobody reads
	// maxHeaders leaves room above edge.MaxHeaders, so that it is the service
	// that refuses, in its own words, and not net/http.
	maxHeaders = 4 * edge.MaxHeaders
	piece      = 64 << 10 // bytes
)

// newServer returns a server on which no client can make a goroutine wait for
// ever. Its complaints go to say, which may be nil.
func newServer(h http.Handler, say func(string)) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: patience,
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeaders,
		HTTP2:             &http.HTTP2Config{WriteByteTimeout: patience},
		ErrorLog:          log.New(lines(say), "", 0),

		DisableGeneralOptionsHandler: true, // OPTIONS * is for a service, like any other request
	}
}

// lines sends what a logger writes to a function.
type lines func(string)

func (say lines) Write(p []byte) (int, error) {
	if say != nil {
		say(strings.TrimSuffix(string(p), "\n"))
	}
	return len(p), nil
}

// pace gives a client patience for each piece of the body that it sends or
// reads. The deadlines of http.Server cannot do that: they bound the whole, so
// they would also end a delay that a fault injects. The handler calls finish
// when it returns.
func pace(w http.ResponseWriter, in *http.Request) (_ http.ResponseWriter, _ *http.Request, finish func()) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // left over from the last request
	in = in.WithContext(in.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	body := &pacedBody{ReadCloser: in.Body, control: control}
	in.Body = body
	return &pacedWriter{w, control}, in, body.finish
}

// A pacedBody and a pacedWriter ignore that deadlines may not be supported,
// as when a test calls the handler without a connection.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	ended   bool // there is nothing more to read
}

func (b *pacedBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(patience))
	n, err := b.ReadCloser.Read(p)
	b.ended = err != nil
	if err == io.EOF { // after other errors, the connection is not worth waiting for
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// finish bounds the time for which http.Server looks for the end of a body that
// was not read. It does so before it sends a short answer, so this is well
// below the patience for that.
func (b *pacedBody) finish() {
	if !b.ended {
		_ = b.control.SetReadDeadline(time.Now().Add(rest))
	}
}

type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Unwrap lets http.ResponseController find the connection.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) WriteHeader(status int) {
	_ = w.control.SetWriteDeadline(time.Now().Add(patience))
	w.ResponseWriter.WriteHeader(status)
}

func (w *pacedWriter) Write(p []byte) (written int, err error) {
	for {
		_ = w.control.SetWriteDeadline(time.Now().Add(patience))
		n, err := w.ResponseWriter.Write(p[:min(len(p), piece)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}
