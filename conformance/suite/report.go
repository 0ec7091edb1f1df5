package suite

import (
	"net/http"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// Schema names the form of a [Report] in JSON.
const Schema = "fakeentra-conformance/v1"

// A Report is what a run found. All other forms of it are derived from this one.
// It holds no token and no secret.
type Report struct {
	Schema string `json:"schema"`
	Suite  Suite  `json:"suite"`
	Seed   string `json:"seed"`
	Chaos  string `json:"chaos,omitempty"` // the seed of noise; there was none if it is empty
	Wiring string `json:"wiring"`
	// WiringWhy says why not the wiring was taken that covers more.
	WiringWhy string `json:"wiring_why,omitempty"`
	// Caveats are what the wiring does not keep the driver from.
	Caveats []string `json:"caveats,omitempty"`
	// Uncovered are the checks that were skipped because the wiring cannot have
	// them, whatever the client is capable of.
	Uncovered []string `json:"uncovered,omitempty"`
	// PartlyUncovered are those of which the wiring cannot have some case.
	PartlyUncovered []string `json:"partly_uncovered,omitempty"`
	Strict          bool     `json:"strict,omitempty"`
	// XPassWarns says that an expectation which is not needed any more fails
	// nothing.
	XPassWarns bool `json:"xpass_warns,omitempty"`

	Driver driver.Hello `json:"driver"`
	// Flags are those of "fakeentra conform run" that lead to the driver, such as
	// --wiring docker.
	Flags   []string  `json:"flags,omitempty"`
	Command []string  `json:"command,omitempty"`
	Started time.Time `json:"started"`
	Took    Millis    `json:"took_ms"`
	Shard   string    `json:"shard,omitempty"` // such as 2/5
	Results []Result  `json:"results"`
	// Standings say which levels the client is at. There are none if the run was
	// not about the whole catalogue.
	Standings []Standing `json:"standings,omitempty"`
	// Stale are expectations of checks that all ran, and that came to nothing.
	Stale []string `json:"stale,omitempty"`
	// Partial are expectations of which nobody can say yet whether they are stale.
	Partial []Partial `json:"partial,omitempty"`
	// Incomplete says why checks are missing: the run was interrupted, or the driver
	// was given up.
	Incomplete string `json:"incomplete,omitempty"`
}

// A Partial is an expectation about several checks of which not all ran, as in a
// shard.
type Partial struct {
	Where string `json:"where"` // file and line
	Check string `json:"check"` // the pattern of [path.Match] that says which checks it is about
	// Idle says why it came to nothing in the checks that ran. It is empty if one of
	// them needed it.
	Idle string `json:"idle,omitempty"`
}

// Unexpected returns the results that fail a run.
func (r *Report) Unexpected() []Result {
	var out []Result
	for _, result := range r.Results {
		if result.Verdict.Unexpected(r.Strict) && (result.Verdict != XPass || !r.XPassWarns) {
			out = append(out, result)
		}
	}
	return out
}

// A Suite says which checks there were to run.
type Suite struct {
	Version string `json:"version"`
	Digest  string `json:"digest"` // of the catalogue
	Checks  int    `json:"checks"`
}

// Millis is a duration in milliseconds.
type Millis int64

// A Result is the verdict on one check.
type Result struct {
	ID      string       `json:"id"`
	Level   Level        `json:"level"`
	Title   string       `json:"title"`
	Tags    []string     `json:"tags"`
	Verdict Verdict      `json:"verdict"`
	Why     string       `json:"why,omitempty"`
	Took    Millis       `json:"took_ms"` // its cases, one after the other
	Cases   []CaseResult `json:"cases,omitempty"`
	// Expected is what a verdict of xfail or xpass comes from.
	Expected *Expected `json:"expected,omitempty"`
}

// An Expected is what was known of a client.
type Expected struct {
	Where  string  `json:"where"` // file and line
	Reason string  `json:"reason"`
	Issue  string  `json:"issue,omitempty"` // a URL
	Was    Verdict `json:"was"`             // without it
}

// Found returns what a check came to, whatever was expected of it.
func (r Result) Found() Verdict {
	if r.Expected != nil {
		return r.Expected.Was
	}
	return r.Verdict
}

// A CaseResult is the verdict on one case of a check.
type CaseResult struct {
	Name       string      `json:"name,omitempty"`
	Verdict    Verdict     `json:"verdict"`
	Why        string      `json:"why,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
	Exchanges  []Exchange  `json:"exchanges,omitempty"`
	Output     string      `json:"output,omitempty"` // of the driver, where the verdict is not pass
	Took       Millis      `json:"took_ms"`
	// Uncovered says that it was skipped because the wiring cannot have it.
	Uncovered bool `json:"uncovered,omitempty"`
}

// An Exchange is a request and its answer as the report shows them.
type Exchange struct {
	Seq      int         `json:"seq"`
	At       Millis      `json:"at_ms"` // since the case began
	Took     Millis      `json:"took_ms"`
	Op       string      `json:"op"`
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Proto    string      `json:"proto,omitempty"`
	Header   http.Header `json:"header,omitempty"`
	Body     string      `json:"body,omitempty"`
	Status   int         `json:"status"` // 0 when there was no answer
	Reply    http.Header `json:"reply,omitempty"`
	Answer   string      `json:"answer,omitempty"`
	Fault    string      `json:"fault,omitempty"`
	Gone     bool        `json:"gone,omitempty"` // the connection broke
	Claims   []Claims    `json:"claims,omitempty"`
	Presents []int       `json:"presents,omitempty"` // exchanges that issued the tokens it carries
}

// Claims is what a token in an exchange says.
type Claims struct {
	Where  string         `json:"where"` // request or answer
	Issued int            `json:"issued,omitempty"`
	Token  string         `json:"token"` // the beginning of its SHA-256
	Claims map[string]any `json:"claims,omitempty"`
}

// maxShown is how much of a body the report shows.
const maxShown = 4 << 10

// exchanges returns what happened in a lab, without its secrets.
func (s *Session) exchanges(began time.Time) []Exchange {
	all := s.Exchanges()
	issued := map[string]int{}
	for _, x := range all {
		if token := x.Issued(); token != "" {
			issued[token] = x.Seq
		}
	}
	out := make([]Exchange, 0, len(all))
	for _, x := range all {
		e := Exchange{
			Seq: x.Seq, At: millis(x.At.Sub(began)), Op: string(x.Op), Method: x.Method, URL: s.hide(x.URL.String()), Proto: x.Proto,
			Header: s.hideHeader(x.Header), Body: s.hide(shown(x.Body)), Status: x.Status, Reply: s.hideHeader(x.Reply), Answer: s.hide(shown(x.Answer)),
			Fault: x.Fault, Gone: x.Gone,
		}
		if !x.Done.IsZero() {
			e.Took = millis(x.Done.Sub(x.At))
		}
		carried(&e, x, issued)
		out = append(out, e)
	}
	return out
}

// carried notes what the tokens of an exchange say, and where they come from.
func carried(e *Exchange, x *lab.Exchange, issued map[string]int) {
	note := func(where, token string) {
		if token == "" {
			return
		}
		c := Claims{Where: where, Token: digest(token), Claims: lab.Claims(token)}
		if seq := issued[token]; where == "request" && seq > 0 {
			c.Issued = seq
			e.Presents = append(e.Presents, seq)
		}
		e.Claims = append(e.Claims, c)
	}
	note("request", x.Form().Get("client_assertion"))
	note("request", x.Bearer())
	note("answer", x.Issued())
}

func shown(body []byte) string {
	if len(body) > maxShown {
		return string(body[:maxShown]) + " …"
	}
	return string(body)
}

// hide takes secrets out of text: those of the lab, and all that looks like one.
func (s *Session) hide(text string) string { return journal.Redact(s.redact(text)) }

func (s *Session) hideHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			if name == "Authorization" || name == "X-Identity-Header" || name == "Secret" {
				v = "[redacted] " + digest(v)
			}
			out.Add(name, s.hide(v))
		}
	}
	return out
}

func millis(d time.Duration) Millis { return Millis(d.Milliseconds()) }
