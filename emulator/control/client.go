package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// maxAnswer bounds what a client reads, in bytes. A journal at its default
// limit stays below it even if every byte is escaped.
const maxAnswer = 128 << 20

// A Client manages a running cloud from another process, or from another
// container. What the server refuses is an [*Error]; everything else that goes
// wrong is an error of the transport. Its methods may be called from several
// goroutines.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client of the control plane at baseURL, such as
// http://127.0.0.1:8080. A nil hc stands for one that uses no proxy, because
// the proxy that the environment names is likely a door of the cloud itself,
// and that keeps no connection open between calls.
func NewClient(baseURL string, hc *http.Client) *Client {
	if hc == nil {
		hc = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), http: hc}
}

// An Error is what the control plane said when it refused a request.
type Error struct {
	Status   int    // of the HTTP answer
	Message  string // what was wrong
	Expected string // what would have been right; may be empty
}

// Error returns all that the control plane said.
func (e *Error) Error() string {
	text := fmt.Sprintf("fakeentra control: %d %s: %s", e.Status, http.StatusText(e.Status), e.Message)
	if e.Expected != "" {
		text += "; expected " + e.Expected
	}
	return text
}

// Health fails unless the cloud is up.
func (c *Client) Health(ctx context.Context) (Health, error) {
	var h Health
	err := c.call(ctx, http.MethodGet, "/health", nil, &h)
	return h, err
}

// Info returns what the cloud is made of.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.call(ctx, http.MethodGet, "/info", nil, &info)
	return info, err
}

// Journal returns the entries that f selects. Tokens, secrets and assertions in
// them are redacted; their transcript is the same as the cloud's own, except
// that a token in a fact is quoted.
func (c *Client) Journal(ctx context.Context, f Filter) (journal.Log, error) {
	path := "/journal"
	if q := f.query(); len(q) > 0 {
		path += "?" + q.Encode()
	}
	var log wireLog
	err := c.call(ctx, http.MethodGet, path, nil, &log)
	return journal.Log{Entries: log.Entries, Dropped: journal.Dropped(log.Dropped)}, err
}

// ClearJournal forgets what happened so far.
func (c *Client) ClearJournal(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/journal", nil, nil)
}

// Inject arms all rules, or none and fails.
func (c *Client) Inject(ctx context.Context, rules ...fault.Spec) error {
	if rules == nil {
		rules = []fault.Spec{} // [] and not null
	}
	return c.call(ctx, http.MethodPost, "/faults", rules, nil)
}

// Faults returns how far each rule has come, in the order they were armed.
func (c *Client) Faults(ctx context.Context) ([]fault.Status, error) {
	var w wireFaults
	err := c.call(ctx, http.MethodGet, "/faults", nil, &w)
	return w.Faults, err
}

// ClearFaults disarms all rules.
func (c *Client) ClearFaults(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/faults", nil, nil)
}

// Now returns the time of the cloud when it answered.
func (c *Client) Now(ctx context.Context) (time.Time, error) {
	var w wireClock
	if err := c.call(ctx, http.MethodGet, "/clock", nil, &w); err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, w.Now)
	if err != nil {
		return time.Time{}, fmt.Errorf("fakeentra control: the cloud's time: %w", err)
	}
	return t, nil
}

// Advance moves the cloud's clock by d, which may be negative.
func (c *Client) Advance(ctx context.Context, d time.Duration) error {
	return c.call(ctx, http.MethodPost, "/clock", map[string]string{"advance": d.String()}, nil)
}

// SetTime makes the cloud's clock show t and run on from there.
func (c *Client) SetTime(ctx context.Context, t time.Time) error {
	return c.call(ctx, http.MethodPost, "/clock", map[string]string{"set": t.Format(time.RFC3339Nano)}, nil)
}

// RotateKeys gives an issuer a new signing key; "" stands for Entra.
func (c *Client) RotateKeys(ctx context.Context, issuer string) error {
	return c.call(ctx, http.MethodPost, "/keys/rotate", map[string]string{"issuer": issuer}, nil)
}

// RetireKeys stops publishing all keys of an issuer but the newest, so that
// tokens signed with them are refused from now on; "" stands for Entra.
func (c *Client) RetireKeys(ctx context.Context, issuer string) error {
	return c.call(ctx, http.MethodPost, "/keys/retire", map[string]string{"issuer": issuer}, nil)
}

// SignToken returns a token that an issuer outside Entra signs, with claims as
// the server completes them: see [Handler].
func (c *Client) SignToken(ctx context.Context, issuer string, claims map[string]any) (string, error) {
	if claims == nil {
		claims = map[string]any{} // {} and not null
	}
	var w wireToken
	err := c.call(ctx, http.MethodPost, "/token", map[string]any{"issuer": issuer, "claims": claims}, &w)
	return w.Token, err
}

// Reset brings back the state that the cloud started with.
func (c *Client) Reset(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/reset", nil, nil)
}

// CA returns the certificate authority of the HTTPS doors in PEM. A cloud
// without one answers with an [*Error] of status 404.
func (c *Client) CA(ctx context.Context) ([]byte, error) {
	return c.send(ctx, http.MethodGet, "/ca", nil)
}

// call sends in as JSON unless it is nil, and reads the answer into out unless
// that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("fakeentra control: %w", err)
		}
	}
	got, err := c.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(got, out); err != nil {
		return fmt.Errorf("fakeentra control: %s %s answered with something else than the control plane does: %w", method, c.base+path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	if u, err := url.Parse(c.base); err != nil || u.Host == "" {
		return nil, fmt.Errorf("fakeentra control: the base URL is %q; expected one such as http://127.0.0.1:8080", c.base)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("fakeentra control: %w", err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fakeentra control: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("fakeentra control: %s %s: %w", method, path, err)
	}
	if len(got) > maxAnswer {
		return nil, fmt.Errorf("fakeentra control: the answer to %s %s is over %d bytes; clear the journal, or ask for less of it", method, path, maxAnswer)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, refused(resp.StatusCode, got)
	}
	return got, nil
}

// refused reads a refusal. What is none, because something else answers at the
// address, is quoted.
func refused(status int, body []byte) *Error {
	var a answer
	if json.Unmarshal(body, &a) == nil && a.Error != "" {
		return &Error{status, a.Error, a.Expected}
	}
	return &Error{status, fmt.Sprintf("%.200q", body), "an answer of the control plane; something else may listen there"}
}
