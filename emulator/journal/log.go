package journal

import (
	"fmt"
	"slices"
	"strings"
)

// A Log is a snapshot of a journal, oldest entry first.
type Log struct {
	Entries []Entry
	Dropped Dropped // what the journal had to forget before the first entry
}

// Of returns the entries whose Op is one of ops.
func (l Log) Of(ops ...Op) Log {
	return l.where(func(e Entry) bool { return slices.Contains(ops, e.Op) })
}

// From returns the entries that came from an emulated host.
func (l Log) From(host string) Log {
	return l.where(func(e Entry) bool { return e.Host == host })
}

// Refused returns the entries that were answered with a refusal.
func (l Log) Refused() Log {
	return l.where(func(e Entry) bool { return e.Decision.Code != "" })
}

func (l Log) where(keep func(Entry) bool) Log {
	out := Log{Dropped: l.Dropped}
	for _, e := range l.Entries {
		if keep(e) {
			out.Entries = append(out.Entries, e)
		}
	}
	return out
}

// Lineage returns e preceded by the entries that issued the tokens that led to
// it, oldest first. Entries that the journal has dropped are missing.
func (l Log) Lineage(e Entry) Log {
	wanted := map[int]bool{}
	var follow func(Entry)
	follow = func(e Entry) {
		wanted[e.Seq] = true
		for _, seq := range e.Used {
			if parent, ok := l.entry(seq); ok && !wanted[seq] {
				follow(parent)
			}
		}
	}
	follow(e)
	return l.where(func(e Entry) bool { return wanted[e.Seq] })
}

func (l Log) entry(seq int) (Entry, bool) {
	i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Seq == seq })
	if i < 0 {
		return Entry{}, false
	}
	return l.Entries[i], true
}

// String returns the transcript: one line for each entry, as [Entry.String]
// writes it. It holds no token, secret or assertion, and nothing that varies
// between two runs of the same requests, so that it can be compared with a
// golden file.
func (l Log) String() string {
	var b strings.Builder
	if l.Dropped.Entries > 0 {
		fmt.Fprintf(&b, "(%d older entries, about %d bytes, were dropped; the journal keeps the newest)\n", l.Dropped.Entries, l.Dropped.Bytes)
	}
	for _, e := range l.Entries {
		b.WriteString(e.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String returns the entry's line of the transcript: number, operation, status,
// the host it came from, what it was about, which entries issued the tokens it
// carried, the fault that was injected, and why it was refused, if it was.
func (e Entry) String() string {
	words := []string{fmt.Sprint(e.Seq), string(e.Op), e.status()}
	if e.Host != "" {
		words = append(words, e.Host)
	}
	for _, f := range e.Facts {
		words = append(words, f.String())
	}
	if e.Fault != "" {
		words = append(words, "fault="+quote(e.Fault))
	}
	line := strings.Join(words, " ")
	switch why := Redact(e.Decision.Why); {
	case e.Decision.Code != "":
		return line + " refused " + e.Decision.Code + ": " + why
	case why != "":
		return line + " (" + why + ")"
	}
	return line
}

func (e Entry) status() string {
	if e.Response.Status == 0 {
		return "closed"
	}
	return fmt.Sprint(e.Response.Status)
}

// String returns key=value, or the value alone where there is no key. A token
// or a secret in the value is redacted: clients put them in odd places.
func (f Fact) String() string {
	value := quote(Redact(f.Value))
	if f.Key == "" {
		return value
	}
	return f.Key + "=" + value
}

// quote keeps a fact one word, whatever a client put into it.
func quote(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
