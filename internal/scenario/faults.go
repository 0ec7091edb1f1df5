package scenario

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// faults reads the rules of what to break.
func (b *builder) faults(all []*value) {
	first := map[string]int{}
	for _, v := range all {
		if v.void {
			continue
		}
		if name := v.get("name"); name != nil {
			if line, again := first[name.text]; again {
				b.found.add(name.spot, "two faults are named %s, the other in line %d; expected different names", quoted(name.text), line)
			}
			first[name.text] = name.line
		}
		b.out.Faults = append(b.out.Faults, b.fault(v))
	}
}

func (b *builder) fault(v *value) Fault {
	f := Fault{Line: v.line, Rule: fault.Rule{
		Name:  v.string("name", ""),
		Op:    journal.Op(v.string("op", "")),
		After: v.number("after", 0),
		Times: v.number("times", 0),
		For:   v.duration("for", 0),
		Do:    b.action(v),
	}}
	if v.broken {
		return f
	}
	if !b.operates(f.Op) {
		op := v.get("op")
		b.unknown(op.spot, "operation "+quoted(op.text), op.text, b.operationNames())
		return f
	}
	named := f.Rule
	named.Name = cmp.Or(f.Name, v.name)
	if err := named.Check(b.operates); err != nil {
		b.found.add(v.spot, "%v", err)
	}
	return f
}

// action returns the one thing that a fault does.
func (b *builder) action(v *value) fault.Action {
	var said []string
	for _, key := range []string{"respond", "delay", "hang", "hangup", "reset", "refuse"} {
		if v.get(key) != nil {
			said = append(said, key)
		}
	}
	if len(said) != 1 {
		if !v.broken {
			v.broken = true
			what := cmp.Or(strings.Join(said, " and "), "nothing")
			b.found.add(v.spot, "%s says %s to do; expected one of: respond, delay, hang, hangup, reset, refuse", v.name, what)
		}
		return nil
	}
	switch said[0] {
	case "respond":
		return b.response(v.get("respond"))
	case "delay":
		return fault.Delay(v.duration("delay", 0))
	case "hang":
		return fault.Hang{}
	case "reset":
		return fault.Reset{}
	case "refuse":
		return fault.Refuse(v.string("refuse", ""))
	}
	return fault.Hangup{}
}

func (b *builder) response(v *value) fault.Respond {
	r := fault.Respond{Status: v.number("status", 0), Body: v.string("body", "")}
	for _, h := range v.all("header") {
		if strings.ContainsFunc(h.text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			b.found.add(h.spot, "%s is %s, with a control character; expected one line", h.name, quoted(h.text))
		}
		if r.Header == nil {
			r.Header = http.Header{}
		}
		r.Header.Add(h.name, h.text)
	}
	return r
}

func (b *builder) operates(op journal.Op) bool {
	return b.operations == nil || slices.Contains(b.operations(), op)
}

func (b *builder) operationNames() []string {
	var names []string
	for _, op := range b.operations() {
		names = append(names, string(op))
	}
	return names
}
