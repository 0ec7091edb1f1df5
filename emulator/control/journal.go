package control

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// A Filter selects entries of the journal. Its zero value selects all; what is
// set must all hold.
type Filter struct {
	// Ops are the operations wanted: op=sts.token&op=imds.token.
	Ops []journal.Op
	// Host is the emulated host that requests came from: host=vm1.
	Host string
	// After is the number of an entry: after=7 selects 8 and on. An entry
	// appears when its request has been answered, so one with a lower number
	// can appear later than one with a higher number.
	After int
	// Refused selects entries with a refusal: refused=true.
	Refused bool
}

// Of returns the entries of a log that f selects.
func (f Filter) Of(log journal.Log) journal.Log {
	out := journal.Log{Dropped: log.Dropped, Entries: []journal.Entry{}}
	for _, e := range log.Entries {
		if f.selects(e) {
			out.Entries = append(out.Entries, e)
		}
	}
	return out
}

func (f Filter) selects(e journal.Entry) bool {
	return e.Seq > f.After &&
		(len(f.Ops) == 0 || slices.Contains(f.Ops, e.Op)) &&
		(f.Host == "" || f.Host == e.Host) &&
		(!f.Refused || e.Decision.Code != "")
}

func (f Filter) query() url.Values {
	q := url.Values{}
	for _, op := range f.Ops {
		q.Add("op", string(op))
	}
	if f.Host != "" {
		q.Set("host", f.Host)
	}
	if f.After != 0 {
		q.Set("after", strconv.Itoa(f.After))
	}
	if f.Refused {
		q.Set("refused", "true")
	}
	return q
}

func readFilter(q url.Values) (Filter, *refusal) {
	f := Filter{Host: q.Get("host")}
	for _, op := range q["op"] {
		if op == "" {
			return f, refuse("bad-parameter", "op", "is empty").expecting("the name of an operation, such as sts.token")
		}
		f.Ops = append(f.Ops, journal.Op(op))
	}
	if q.Has("host") && f.Host == "" {
		return f, refuse("bad-parameter", "host", "is empty").expecting("the name of an emulated host")
	}
	if q.Has("after") {
		n, err := strconv.Atoi(q.Get("after"))
		if err != nil || n < 0 {
			return f, refuse("bad-parameter", "after", fmt.Sprintf("is %q", q.Get("after"))).expecting("the number of an entry, such as 7")
		}
		f.After = n
	}
	if q.Has("refused") {
		f.Refused = q.Get("refused") == "true"
		if !f.Refused && q.Get("refused") != "false" {
			return f, refuse("bad-parameter", "refused", fmt.Sprintf("is %q", q.Get("refused"))).expecting("true or false")
		}
	}
	return f, nil
}

// A wireLog is a log in JSON.
type wireLog struct {
	Entries []journal.Entry `json:"entries"`
	Dropped wireDropped     `json:"dropped"`
}

type wireDropped struct {
	Entries int `json:"entries"`
	Bytes   int `json:"bytes"` // estimated
}

func getJournal(c *call) (edge.Response, *refusal) {
	f, no := readFilter(c.query)
	if no != nil {
		return edge.Response{}, no
	}
	asText, no := c.wantsText()
	if no != nil {
		return edge.Response{}, no
	}
	log := f.Of(c.Journal())
	if asText {
		return edge.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: []byte(log.String())}, nil
	}
	for i := range log.Entries {
		log.Entries[i].Facts = redact(log.Entries[i].Facts)
	}
	return edge.JSON(http.StatusOK, wireLog{log.Entries, wireDropped(log.Dropped)}), nil
}

// redact returns a copy of facts, some of which quote the client, without
// tokens and secrets. The rest of an entry is redacted as it is written.
func redact(facts []journal.Fact) []journal.Fact {
	out := slices.Clone(facts)
	for i := range out {
		out[i].Value = journal.Redact(out[i].Value)
	}
	return out
}

// wantsText tells whether the transcript is asked for. The parameter counts
// more than the header; of the header the first type that there is counts, and
// quality values are ignored.
func (c *call) wantsText() (bool, *refusal) {
	if c.query.Has("format") {
		switch format := c.query.Get("format"); format {
		case "text", "json":
			return format == "text", nil
		default:
			return false, refuse("bad-parameter", "format", fmt.Sprintf("is %q", format)).expecting("text or json")
		}
	}
	for one := range strings.SplitSeq(strings.Join(c.accept, ","), ",") {
		mediaType, _, _ := strings.Cut(one, ";")
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "text/plain":
			return true, nil
		case "application/json", "*/*":
			return false, nil
		}
	}
	return false, nil
}

func deleteJournal(c *call) (edge.Response, *refusal) {
	c.ClearJournal()
	return done(), nil
}
