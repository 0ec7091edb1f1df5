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
// they would also end a delay that a fault injects.
func pace(w http.ResponseWriter, in *http.Request) (http.ResponseWriter, *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // left over from the last request
	in = in.WithContext(in.Context())
	in.Body = &pacedBody{in.Body, control}
	return &pacedWriter{w, control}, in
}

// A pacedBody and a pacedWriter ignore that deadlines may not be supported,
// as when a test calls the handler without a connection.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *pacedBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(patience))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
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
