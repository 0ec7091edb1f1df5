package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// Attached is a driver that others started, and that answers over HTTP: each request
// is the body of a POST to the path /fcd, and the answer to it that of the response.
// It serves one lab at a time.
type Attached struct {
	URL string // of the driver, such as http://127.0.0.1:4711
	// Ports is the first port of loopback that the endpoints get; free ones if 0.
	Ports int
	Temp  string // as in [Process]
	// Scale and Inspect are as in [Process].
	Scale   float64
	Inspect func(op driver.Op, request, answer []byte) error

	check  Process // what it does to messages
	client *http.Client
	site   *site
	answer int        // how many there were
	turn   sync.Mutex // held while a lab is entered
}

// Wiring implements [Target].
func (a *Attached) Wiring() string { return attach }

const attach = "attach"

// Hello implements [Target].
func (a *Attached) Hello(ctx context.Context, r driver.Request) (driver.Hello, error) {
	a.check = Process{Scale: a.Scale, Inspect: a.Inspect}
	a.client = &http.Client{
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}, // no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var err error
	if a.site, err = newSite(a.Temp, a.Ports); err != nil {
		return driver.Hello{}, err
	}
	limited, cancel := context.WithTimeout(ctx, a.check.scaled(helloLimit))
	defer cancel()
	answer, err := a.do(limited, r)
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = fmt.Errorf("the driver at %s did not answer hello within %v; each POST to /fcd has to be answered", a.URL, a.check.scaled(helloLimit))
		}
		return driver.Hello{}, err
	}
	return parseHello(answer)
}

// do has the driver answer a request.
func (a *Attached) do(ctx context.Context, r driver.Request) (driver.Answer, error) {
	text, err := a.check.message(r)
	if err != nil {
		return driver.Answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(a.URL, "/")+"/fcd", bytes.NewReader(text))
	if err != nil {
		return driver.Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(req)
	if ctx.Err() != nil {
		return driver.Answer{}, ctx.Err()
	}
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return driver.Answer{}, fmt.Errorf("there is no driver at %s: %w; start it, and run this again", a.URL, op.Err)
		}
		var u interface{ Unwrap() error }
		if errors.As(err, &u) {
			err = u.Unwrap()
		}
		return driver.Answer{}, fmt.Errorf("the driver at %s broke off before it answered %s: %w", a.URL, r.Op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxLine+1))
	switch body = bytes.TrimSpace(body); {
	case err != nil:
		return driver.Answer{}, fmt.Errorf("the driver at %s broke off in its answer to %s: %w", a.URL, r.Op, err)
	case len(body) > maxLine:
		return driver.Answer{}, fmt.Errorf("the driver at %s answered %s with more than %d bytes", a.URL, r.Op, maxLine)
	case resp.StatusCode != http.StatusOK:
		return driver.Answer{}, fmt.Errorf("what is at %s answered %s with the status %s: %s; expected 200, and an answer in JSON at POST /fcd", a.URL, r.Op, resp.Status, shown(body))
	}
	answer, why := readAnswer(body)
	if why != "" {
		return answer, fmt.Errorf("what is at %s answered %s with %s, %s; expected an answer of a driver, such as %s", a.URL, r.Op, shown(body), why, `{"id":1,"ok":{}}`)
	}
	if err := complete(answer, body); err != nil {
		return answer, err
	}
	if !bytes.Equal(answer.ID, r.ID) {
		return answer, wrongID(answer, r)
	}
	a.answer++
	return answer, a.check.inspect(r.Op, a.answer, body)
}

// Enter implements [Target].
func (a *Attached) Enter(_ context.Context, l *lab.Lab, p Place) (Stage, error) {
	if err := a.Covers(l, p); err != nil {
		return nil, err
	}
	a.turn.Lock()
	a.site.front.Show(l)
	return &attached{site: a.site, owner: a, open: map[string]bool{}, strays: len(a.site.strayed())}, nil
}

// Covers fails with an [ErrUncovered] for a place that the driver cannot be brought to.
func (a *Attached) Covers(l *lab.Lab, p Place) error {
	if err := byAddress(attach, l, p); err != nil {
		return err
	}
	if p.Fresh {
		return errUncovered{attach, "a process of the driver, or variables, for this case alone"}
	}
	return nil
}

// Close implements [Target].
func (a *Attached) Close() error {
	if a.site == nil {
		return nil
	}
	a.client.CloseIdleConnections()
	return a.site.end()
}

// attached is a driver of others in a lab.
type attached struct {
	*site
	owner  *Attached
	open   map[string]bool
	strays int // how many there were before
}

// Do implements [Stage].
func (s *attached) Do(ctx context.Context, r driver.Request) (driver.Answer, error) {
	if r = s.locate(r); s.Err() != nil {
		return driver.Answer{}, s.Err()
	}
	a, err := s.owner.do(ctx, r)
	if ctx.Err() != nil {
		return a, ctx.Err()
	}
	switch {
	case err != nil:
	case r.Op == driver.OpOpen:
		s.open[r.Session] = true
	case r.Op == driver.OpClose:
		delete(s.open, r.Session)
	}
	return a, err
}

// Write implements [Stage].
func (s *attached) Write(name, _ string) error { return fmt.Errorf("the place has no file %s", name) }

// Output implements [Stage]: it goes where whoever started the driver has it go.
func (s *attached) Output() string { return "" }

// Leaks implements [Stage].
func (s *attached) Leaks() []string { return connects(s.strayed()[s.strays:]) }

// Left implements [Stage].
func (s *attached) Left() map[string]Leftover { return nil }

// Seen implements [Stage].
func (s *attached) Seen() []Program { return nil }

// Leave implements [Stage].
func (s *attached) Leave() error {
	defer s.owner.turn.Unlock()
	defer s.front.Show(nil)
	ctx, cancel := context.WithTimeout(context.Background(), s.owner.check.scaled(askedLimit))
	defer cancel()
	for name := range s.open {
		if _, err := s.owner.do(ctx, driver.Request{ID: json.RawMessage(`"close"`), Op: driver.OpClose, Session: name}); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("the driver at %s did not answer it within %v", s.owner.URL, s.owner.check.scaled(askedLimit))
			}
			return fmt.Errorf("closing a session: %w", err)
		}
	}
	return nil
}
