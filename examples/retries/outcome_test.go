package retries

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/exampletest"
)

// A span is the shortest and the longest of what was measured, in seconds.
type span struct{ least, most float64 }

// An outcome is what an SDK does in trouble.
type outcome struct {
	waits []span // before each request but the first
	rest  span   // from the last request to the end, if it is worth mentioning
	then  string // in Markdown
}

// What may come in the end, besides an error.
const (
	gotToken   = "a token"
	unfinished = "nothing yet after two minutes"
)

// quoted says in Markdown what a program printed.
func quoted(printed string) string {
	if printed == "ok" {
		return gotToken
	}
	return "“" + exampletest.Shortened(printed) + "”"
}

// outcomeOf reads the waits from the journal. What takes less than five seconds
// in the end may be the program's own doing.
func outcomeOf(log journal.Log, end time.Time, then string) outcome {
	o := outcome{then: then}
	for i := 1; i < len(log.Entries); i++ {
		s := log.Entries[i].Time.Sub(log.Entries[i-1].Time).Seconds()
		o.waits = append(o.waits, span{s, s})
	}
	if n := len(log.Entries); n > 0 && then != unfinished {
		if s := end.Sub(log.Entries[n-1].Time).Seconds(); s > 5 {
			o.rest = span{s, s}
		}
	}
	return o
}

// inAll is the time from the first request to the end.
func (o outcome) inAll() span {
	sum := o.rest
	for _, w := range o.waits {
		sum.least, sum.most = sum.least+w.least, sum.most+w.most
	}
	if o.then == unfinished {
		sum.most = math.Inf(1)
	}
	return sum
}

// merged is what several runs have in common. Where waits are fixed, the shortest
// one is nearest to what the SDK had in mind.
func (h habit) merged(runs []outcome) (outcome, error) {
	all := runs[0]
	for _, o := range runs[1:] {
		if o.then != all.then || o.then != unfinished && len(o.waits) != len(all.waits) {
			return all, fmt.Errorf("it comes out as %v, %s, and as %v, %s", all, all.then, o, o.then)
		}
		all.waits = all.waits[:min(len(all.waits), len(o.waits))]
		for i := range all.waits {
			all.waits[i] = all.waits[i].and(o.waits[i])
		}
		all.rest = all.rest.and(o.rest)
	}
	if h.shortest > 0.9 {
		for i, w := range all.waits {
			all.waits[i].most = w.least
		}
		all.rest.most = all.rest.least
	}
	return all, nil
}

// differs says how got is not what was recorded, or "". A busy machine makes
// waits longer, so in real time only shorter ones say anything, and sums that
// are far from it. How far an SDK comes until it is ended is a matter of speed,
// too.
func (o outcome) differs(got outcome, h habit) string {
	switch {
	case got.then != o.then:
		return "it ends otherwise"
	case o.then != unfinished && len(got.waits) != len(o.waits), len(got.waits) < len(o.waits)/2:
		return "the number of requests is another"
	}
	for i, w := range got.waits[:min(len(got.waits), len(o.waits))] {
		if w.shorter(o.waits[i], h) {
			return fmt.Sprintf("wait %d is shorter", i+1)
		}
		if h.virtual && w.most > 1.1*o.waits[i].least/h.shortest+0.1 {
			return fmt.Sprintf("wait %d is longer", i+1)
		}
	}
	if got.rest.shorter(o.rest, h) {
		return "it ends earlier"
	}
	if longest := o.inAll().most; got.inAll().least > 2*longest/h.shortest+20 {
		return "the waits are longer"
	}
	return ""
}

// shorter reports whether s is shorter than chance and a machine that was busy
// when a span was recorded can make it.
func (s span) shorter(recorded span, h habit) bool {
	if h.virtual {
		return s.least < 0.95*h.shortest*recorded.most-0.1
	}
	return s.least < 0.8*h.shortest*recorded.most-0.3
}

func (s span) and(other span) span {
	return span{min(s.least, other.least), max(s.most, other.most)}
}

func (s span) String() string {
	least, most := written(s.least), written(s.most)
	if least == most {
		return least
	}
	return least + "–" + most
}

func written(seconds float64) string { return strconv.FormatFloat(rounded(seconds), 'f', -1, 64) }

// rounded has one decimal below ten seconds.
func rounded(seconds float64) float64 {
	if seconds < 9.95 {
		return math.Round(seconds*10) / 10
	}
	return math.Round(seconds)
}

// rounded returns what the table can tell of an outcome.
func (o outcome) rounded() outcome {
	for i, w := range o.waits {
		o.waits[i] = span{rounded(w.least), rounded(w.most)}
	}
	o.rest = span{rounded(o.rest.least), rounded(o.rest.most)}
	return o
}

// String has the waits as the table does.
func (o outcome) String() string {
	all := []string{}
	for _, w := range o.waits {
		all = append(all, w.String())
	}
	return strings.Join(all, ", ")
}
