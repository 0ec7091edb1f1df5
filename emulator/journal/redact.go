package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// Patterns of what must not be printed: tokens wherever they stand, and the
// values of members and fields that carry secrets.
var (
	jwtPattern    = pattern.New(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*`)
	secretField   = pattern.New(`((?:^|[?&\s])(?:client_secret|client_assertion|assertion|refresh_token|password|sig)=)(\[[^\]&]*\][^&\s]*|[^&\s]+)`)
	secretMember  = pattern.New(`("(?:access_token|refresh_token|id_token|client_assertion|client_secret|assertion|signature)"\s*:\s*)"[^"]*"`)
	secretHeaders = []string{"Authorization", "Proxy-Authorization", "Secret", "X-Identity-Header", "Cookie", "Set-Cookie"}
)

// Redact replaces tokens, secrets and assertions in s. A token is replaced by
// the beginning of its SHA-256, so that equal ones are still seen to be equal.
func Redact(s string) string {
	s = jwtPattern.ReplaceAllStringFunc(s, mark)
	s = secretField.ReplaceAllStringFunc(s, func(m string) string {
		parts := secretField.FindStringSubmatch(m)
		if markedField.MatchString(parts[2]) {
			return m
		}
		return parts[1] + "[redacted]"
	})
	return secretMember.ReplaceAllStringFunc(s, func(m string) string {
		parts := secretMember.FindStringSubmatch(m)
		if marked.MatchString(m) {
			return m
		}
		return parts[1] + `"[redacted]"`
	})
}

// What was a token is told by its hash, and needs no more.
var (
	marked      = pattern.New(`"\[token [0-9a-f]{12}\]"$`)
	markedField = pattern.New(`^\[token [0-9a-f]{12}\]$`)
)

func mark(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "[token " + hex.EncodeToString(sum[:6]) + "]"
}

func redactHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		out[name] = slices.Clone(values)
		for i, v := range out[name] {
			out[name][i] = redactValue(name, v)
		}
	}
	return out
}

func redactFacts(facts []Fact) []Fact {
	out := slices.Clone(facts)
	for i := range out {
		out[i].Value = Redact(out[i].Value)
	}
	return out
}

func redactValue(name, v string) string {
	if redacted := Redact(v); redacted != v || !slices.Contains(secretHeaders, http.CanonicalHeaderKey(name)) {
		return redacted
	}
	return "[redacted]"
}

// wire is the JSON form of an entry.
type wire struct {
	Seq      int          `json:"seq"`
	Time     time.Time    `json:"time"`
	Op       Op           `json:"op"`
	Host     string       `json:"host,omitempty"`
	Request  wireRequest  `json:"request"`
	Response wireResponse `json:"response"`
	Code     string       `json:"code,omitempty"`
	Why      string       `json:"why,omitempty"`
	Facts    []Fact       `json:"facts,omitempty"`
	Fault    string       `json:"fault,omitempty"`
	Used     []int        `json:"used,omitempty"`
	Line     string       `json:"line"`
}

type wireRequest struct {
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	Size   int64       `json:"size"`
}

type wireResponse struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	Size   int64       `json:"size"`
}

// MarshalJSON returns the entry with tokens, secrets and assertions redacted.
func (e Entry) MarshalJSON() ([]byte, error) {
	return json.Marshal(wire{
		Seq: e.Seq, Time: e.Time, Op: e.Op, Host: e.Host,
		Request: wireRequest{
			Method: e.Request.Method, URL: Redact(e.Request.URL), Header: redactHeader(e.Request.Header),
			Body: Redact(string(e.Request.Body)), Size: e.Request.Size,
		},
		Response: wireResponse{
			Status: e.Response.Status, Header: redactHeader(e.Response.Header),
			Body: Redact(string(e.Response.Body)), Size: e.Response.Size,
		},
		Code: e.Decision.Code, Why: Redact(e.Decision.Why), Facts: redactFacts(e.Facts), Fault: e.Fault, Used: e.Used, Line: e.String(),
	})
}

// UnmarshalJSON reads what [Entry.MarshalJSON] wrote. The secrets stay
// redacted.
func (e *Entry) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*e = Entry{
		Seq: w.Seq, Time: w.Time, Op: w.Op, Host: w.Host,
		Request:  Request{Method: w.Request.Method, URL: w.Request.URL, Header: w.Request.Header, Body: []byte(w.Request.Body), Size: w.Request.Size},
		Response: Response{Status: w.Response.Status, Header: w.Response.Header, Body: []byte(w.Response.Body), Size: w.Response.Size},
		Decision: Decision{Code: w.Code, Why: w.Why}, Facts: w.Facts, Fault: w.Fault, Used: w.Used,
	}
	return nil
}
