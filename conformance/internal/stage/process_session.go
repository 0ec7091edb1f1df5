package stage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// A session is a driver that answers one request after the other.
type session struct {
	*process
	owner  *Process
	lines  chan []byte     // of standard output; closed at its end
	flood  bool            // there was a line without end
	read   int             // how many lines were taken
	last   json.RawMessage // what was asked
	before json.RawMessage // what was answered
	open   map[string]bool
	broken bool // it is not to be asked again
	shared bool // it can go on with another lab
	start  *beginning
}

func (p *Process) session(ctx context.Context, l *lab.Lab, place Place) (*session, error) {
	b := p.gate.enter()
	r, err := p.start(ctx, l, place, p.Args, nil)
	if err != nil {
		b.end()
		return nil, err
	}
	s := &session{process: r, owner: p, lines: make(chan []byte), open: map[string]bool{}, start: b}
	go s.receive()
	return s, nil
}

// maxLine is how long an answer may be.
const maxLine = 1 << 20

func (s *session) receive() {
	defer close(s.lines)
	lines := bufio.NewScanner(s.out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			s.lines <- bytes.Clone(line)
		}
	}
	s.flood = errors.Is(lines.Err(), bufio.ErrTooLong)
}

// Do implements [Stage].
func (s *session) Do(ctx context.Context, r driver.Request) (driver.Answer, error) {
	a, err := s.ask(ctx, r)
	s.start.answered()
	if err != nil {
		s.broken = true
		return a, err
	}
	switch r.Op {
	case driver.OpOpen:
		s.open[r.Session] = true
	case driver.OpClose:
		delete(s.open, r.Session)
	}
	return a, nil
}

func (s *session) ask(ctx context.Context, r driver.Request) (driver.Answer, error) {
	select {
	case line, more := <-s.lines:
		if more {
			return driver.Answer{}, s.unasked(line)
		}
		return driver.Answer{}, s.silence(r.Op)
	default:
	}
	if at, ok := s.way.(placed); ok {
		if r = at.locate(r); at.Err() != nil {
			return driver.Answer{}, at.Err()
		}
	}
	text, err := s.owner.message(r)
	if err != nil {
		return driver.Answer{}, err
	}
	s.last = r.ID
	if err := s.write(ctx, append(text, '\n')); err != nil && ctx.Err() != nil {
		return driver.Answer{}, ctx.Err()
	} // else it ended, which is seen next
	select {
	case line, more := <-s.lines:
		if !more {
			return driver.Answer{}, s.silence(r.Op)
		}
		return s.parse(line, r)
	case <-ctx.Done():
		return driver.Answer{}, ctx.Err()
	}
}

// write writes to standard input, which a driver may not read.
func (r *process) write(ctx context.Context, line []byte) error {
	defer context.AfterFunc(ctx, func() { _ = r.in.SetWriteDeadline(time.Now()) })()
	_, err := r.in.Write(line)
	return err
}

// parse reads an answer.
func (s *session) parse(line []byte, r driver.Request) (driver.Answer, error) {
	s.read++
	a, err := parseAnswer(line)
	if err != nil {
		_, _ = s.log.Write(append(line, '\n'))
		return a, err
	}
	if !bytes.Equal(a.ID, r.ID) {
		return a, wrongID(a, r)
	}
	s.before = r.ID
	return a, s.owner.inspect(r.Op, s.read, line)
}

// wrongID is the error for an answer to another request.
func wrongID(a driver.Answer, r driver.Request) error {
	return fmt.Errorf("the driver answered the request %s when it was asked %s, which is the request %s; every answer has the id of its request", shown(a.ID), r.Op, r.ID)
}

// parseAnswer reads an answer to any request.
func parseAnswer(line []byte) (driver.Answer, error) {
	a, why := readAnswer(line)
	if why != "" {
		return a, fmt.Errorf("the driver wrote %s to standard output, %s; nothing but answers belongs there, and logs to standard error", shown(line), why)
	}
	return a, complete(a, line)
}

// readAnswer reads an answer, or says why it is none.
func readAnswer(text []byte) (driver.Answer, string) {
	var a driver.Answer
	err := json.Unmarshal(text, &a)
	switch {
	case err == nil && string(a.OK) == "null":
		a.OK = nil
		return a, ""
	case err == nil:
		return a, ""
	case json.Valid(text):
		return a, "which is no answer: " + Misread(err)
	}
	return a, "which is no JSON"
}

// complete fails for an answer that says nothing, or several things.
func complete(a driver.Answer, line []byte) error {
	n := 0
	for _, there := range []bool{a.OK != nil, a.Error != nil, a.Skip != nil} {
		if there {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("the driver's answer %s has %d of the members ok, error and skip; expected one of them", shown(line), n)
	}
	return nil
}

// shown is the beginning of what a driver wrote.
func shown(text []byte) string {
	const most = 200
	if len(text) > most {
		return fmt.Sprintf("%q and more", text[:most])
	}
	return fmt.Sprintf("%q", text)
}

// unasked is the error for a line that nobody waits for.
func (s *session) unasked(line []byte) error {
	a, err := parseAnswer(line)
	switch {
	case err != nil:
		_, _ = s.log.Write(append(line, '\n'))
		return err
	case bytes.Equal(a.ID, s.last), bytes.Equal(a.ID, s.before):
		return fmt.Errorf("the driver answered the request %s twice; every request has one answer", a.ID)
	}
	return fmt.Errorf("the driver wrote the answer %s, which nobody had asked for", shown(line))
}

// silence is the error for a driver that ended, or wrote without end.
func (s *session) silence(op driver.Op) error {
	if s.flood {
		return fmt.Errorf("the driver wrote a line of more than %d bytes to standard output; every answer is one line", maxLine)
	}
	<-s.ended
	return also(s.crash("before it answered "+string(op)), s.behind())
}

// end ends the driver and removes its files.
func (s *session) end() error {
	s.start.end()
	var wrong error
	answered := false
	take := func(line []byte) {
		a, err := parseAnswer(line)
		if err == nil && bytes.Equal(a.ID, s.last) && !answered {
			answered = true
		} else if wrong == nil {
			wrong = s.unasked(line)
		}
	}
	if !s.broken {
		s.last = json.RawMessage(`"stop"`)
		text, _ := json.Marshal(driver.Request{ID: s.last, Op: driver.OpStop}) // it is a literal
		ctx, cancel := context.WithTimeout(context.Background(), askedLimit)
		_ = s.write(ctx, append(text, '\n')) // it may have ended
		cancel()
	}
	_ = s.in.Close()
	s.finish(!s.broken, s.lines, take)
	for line := range s.lines {
		take(line)
	}
	if s.broken { // what is wrong was said
		return s.tidy()
	}
	return errors.Join(also(wrong, s.misbehaved("stop, the end of its input")), s.tidy())
}

// A visit is a session during one case.
type visit struct {
	*session
	output string
	over   bool
	strays int // how many hosts outside the lab were asked for before
}

func newVisit(s *session) *visit {
	v := &visit{session: s}
	if at, ok := s.way.(placed); ok {
		v.strays = len(at.strayed())
	}
	return v
}

// Complete implements [Stage].
func (v *visit) Complete(c *driver.Config) { v.way.Complete(c) }

// Write implements [Stage].
func (v *visit) Write(name, content string) error { return write(v.mounts, name, content) }

// Output implements [Stage].
func (v *visit) Output() string {
	if v.over {
		return v.output
	}
	return v.log.String()
}

// Leaks implements [Stage].
func (v *visit) Leaks() []string {
	if at, ok := v.way.(placed); ok {
		return connects(at.strayed()[v.strays:])
	}
	if v.shared || !v.over {
		return nil
	}
	return leaks(v.result)
}

// Left implements [Stage].
func (v *visit) Left() map[string]Leftover {
	if v.shared {
		return nil
	}
	return v.left
}

// Seen implements [Stage].
func (v *visit) Seen() []Program { return v.programs.all() }

// Leave implements [Stage].
func (v *visit) Leave() error {
	s := v.session
	for name := range s.open {
		if !s.shared || s.broken {
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.owner.scaled(askedLimit))
		_, err := s.Do(ctx, driver.Request{ID: json.RawMessage(`"close"`), Op: driver.OpClose, Session: name})
		cancel()
		if err != nil {
			v.shared = false
			return errors.Join(fmt.Errorf("closing a session: %w", err), v.leave())
		}
	}
	if s.shared && !s.broken {
		s.front.Show(nil)
		v.output, v.over = s.log.take(), true
		s.owner.idle.Give(s)
		return nil
	}
	return v.leave()
}

func (v *visit) leave() error {
	err := v.end()
	v.output, v.over = v.log.String(), true
	return err
}
