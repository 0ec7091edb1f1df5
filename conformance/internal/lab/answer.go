package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// An Answer is what goes over the wire, and how.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	Delay   time.Duration // before the header
	Drip    time.Duration // between the pieces of the body, which go one by one
	Pieces  int           // how many those are
	Cut     int           // close the connection after this many bytes of the body, if Broken
	Broken  bool          // the body ends before its length says
	Endless int64         // so many bytes of filling before the body

	Hang   bool // never answer
	Hangup bool // close the connection without an answer
	Reset  bool // break it with a TCP reset; within the body, if Broken
}

// silent reports whether nothing is sent.
func (a *Answer) silent() bool { return a.Hang || a.Hangup || a.Reset && !a.Broken }

// JSON returns an answer with a value as its body.
func JSON(status int, value any) *Answer {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // a check's own literal
	}
	return Text(status, "application/json; charset=utf-8", string(body))
}

// Text returns an answer with a body of some type.
func Text(status int, contentType, body string) *Answer {
	return &Answer{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}
}

// With returns the answer with one more header. It leaves a as it is, which several
// runs at once may have.
func (a *Answer) With(name, value string) *Answer {
	more := a.copied()
	more.Header.Set(name, value)
	return more
}

// copied returns the answer with headers of its own.
func (a *Answer) copied() *Answer {
	same := *a
	same.Header = a.Header.Clone()
	return &same
}

// Always returns an act that gives one answer, whatever the request.
func Always(a *Answer) Act {
	return func(*Exchange, func() *Answer) *Answer { return a.copied() }
}

// Redirect returns an act that sends the client elsewhere.
func Redirect(status int, location string) Act {
	return Always(&Answer{Status: status, Header: http.Header{"Location": {location}}})
}

// Edit returns an act that changes the usual answer.
func Edit(change func(*Answer)) Act {
	return func(_ *Exchange, next func() *Answer) *Answer {
		a := next()
		change(a)
		return a
	}
}

// Members returns an act that sets members of the usual answer, which is JSON.
// One that is set to [Absent] is left out.
func Members(set map[string]any) Act {
	return Edit(func(a *Answer) { a.Body = edited(a.Body, set) })
}

// Absent stands for a member that is not there.
var Absent = new(struct{ byte })

func edited(body []byte, set map[string]any) []byte {
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		panic(fmt.Sprintf("the usual answer is not JSON: %v\n%s", err, body)) // the emulator's own
	}
	maps.Copy(members, set)
	maps.DeleteFunc(members, func(_ string, v any) bool { return v == any(Absent) })
	out, err := json.Marshal(members)
	if err != nil {
		panic(err) // a check's own literal
	}
	return out
}

// Slow returns an act that gives the usual answer after a while.
func Slow(d time.Duration) Act { return Edit(func(a *Answer) { a.Delay = d }) }

// write sends an answer. It returns false when the connection was broken.
func (a *Answer) write(ctx context.Context, w http.ResponseWriter, sent func(int)) bool {
	if a.Delay > 0 && !wait(ctx, a.Delay) {
		return false
	}
	switch {
	case a.Hang:
		<-ctx.Done()
		return false
	case a.silent():
		disconnect(w, a.Reset)
		return false
	}
	maps.Copy(w.Header(), a.Header)
	if a.Header.Get("Content-Length") == "" && a.Endless == 0 && a.Header.Get("Transfer-Encoding") == "" && hasBody(a.Status) {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	if !a.fill(ctx, w, sent) {
		return false
	}
	body := a.Body
	if a.Broken {
		body = body[:min(a.Cut, len(body))]
	}
	if !a.send(ctx, w, body, sent) {
		return false
	}
	if a.Broken {
		flush(w)
		disconnect(w, a.Reset)
		return false
	}
	return true
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// fill sends a great deal of blanks, which JSON and XML permit.
func (a *Answer) fill(ctx context.Context, w http.ResponseWriter, sent func(int)) bool {
	blanks := make([]byte, 64<<10)
	for i := range blanks {
		blanks[i] = ' '
	}
	for left := a.Endless; left > 0; left -= int64(len(blanks)) {
		if ctx.Err() != nil {
			return false
		}
		n, err := w.Write(blanks[:min(left, int64(len(blanks)))])
		sent(n)
		if err != nil {
			return false
		}
	}
	return true
}

func (a *Answer) send(ctx context.Context, w http.ResponseWriter, body []byte, sent func(int)) bool {
	step := len(body)
	if a.Drip > 0 {
		step = max(1, (len(body)+a.Pieces-1)/max(1, a.Pieces))
	}
	for len(body) > 0 {
		step = min(step, len(body))
		n, err := w.Write(body[:step])
		sent(n)
		if err != nil {
			return false
		}
		body = body[step:]
		if a.Drip > 0 {
			flush(w)
			if !wait(ctx, a.Drip) {
				return false
			}
		}
	}
	return true
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// disconnect ends the connection of a request; a stream of HTTP/2 is ended alone.
func disconnect(w http.ResponseWriter, reset bool) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if reset {
		breakOff(conn)
	}
	_ = conn.Close()
}

// breakOff has a connection end with a TCP reset when it is closed.
func breakOff(conn net.Conn) {
	for {
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }: // TLS, and the numbered ones of this package
			conn = c.NetConn()
			continue
		case interface{ SetLinger(int) error }:
			_ = c.SetLinger(0) // it fails when the connection has ended
			_ = conn.Close()   // before TLS says good-bye
		}
		return
	}
}
