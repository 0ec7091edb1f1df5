package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/pattern"
)

// A Spec is a [Rule] that can be written down: exactly one of Respond, Delay,
// Hang, Hangup, Reset and Refuse says what to do. Conditions on requests and
// edits of answers are Go functions, so [Rule.When] and [Rewrite] have no written
// form.
//
// In JSON its members are name, op, after, times, for (text such as "70s"),
// respond {status, header, body}, delay (likewise), hang, hangup and reset
// (true), and refuse. A header has one text or a list of texts. Reading is
// strict: see [ParseSpecs].
type Spec struct {
	Name    string
	Op      journal.Op
	After   int           // let this many matching requests pass first
	Times   int           // then act on this many; 0 means on all
	For     time.Duration // and for so long; 0 means without end
	Respond *Respond
	Delay   time.Duration // 0 means none
	Hang    bool
	Hangup  bool
	Reset   bool
	Refuse  string // a code, as in the action [Refuse]
}

// A SpecError says what is wrong with a Spec. It has no line, because a Spec
// is a few words long.
type SpecError struct {
	Field    string // such as respond.status or [1].op; empty for the whole
	Problem  string // such as "is text"
	Expected string // such as "a whole number"
}

// Error returns field, problem and expectation in one sentence.
func (e *SpecError) Error() string {
	return "fault rule: " + e.What() + "; expected " + e.Expected
}

// What returns field and problem, without what was expected.
func (e *SpecError) What() string {
	return strings.TrimSpace(e.Field + " " + e.Problem)
}

const oneAction = "one of: respond, delay, hang, hangup, reset, refuse"

// Rule returns the rule that s describes, or a [*SpecError]. Whether the
// operation exists is for the cloud to say; see [Rule.Check].
func (s Spec) Rule() (Rule, error) {
	said, do := s.actions()
	switch {
	case s.Op == "":
		return Rule{}, &SpecError{"op", "is missing", "the name of an operation, such as sts.token"}
	case len(said) == 0:
		return Rule{}, &SpecError{"", "says nothing to do", oneAction}
	case len(said) > 1:
		return Rule{}, &SpecError{"", "says " + strings.Join(said, " and ") + " at once", oneAction}
	case s.After < 0:
		return Rule{}, &SpecError{"after", fmt.Sprintf("is %d", s.After), wholeNumber}
	case s.Times < 0:
		return Rule{}, &SpecError{"times", fmt.Sprintf("is %d", s.Times), wholeNumber}
	case s.For < 0:
		return Rule{}, &SpecError{"for", fmt.Sprintf("is %v", s.For), someDuration}
	case s.Delay < 0:
		return Rule{}, &SpecError{"delay", fmt.Sprintf("is %v", s.Delay), someDuration}
	}
	if s.Respond != nil {
		if err := s.Respond.check(); err != nil {
			return Rule{}, err
		}
	}
	return Rule{Name: s.Name, Op: s.Op, After: s.After, Times: s.Times, For: s.For, Do: do}, nil
}

// Rules returns the rules that specs describe, or the [*SpecError] of the first
// that describes none.
func Rules(specs ...Spec) ([]Rule, error) {
	rules := make([]Rule, len(specs))
	for i, s := range specs {
		r, err := s.Rule()
		var wrong *SpecError
		if errors.As(err, &wrong) && len(specs) > 1 {
			err = &SpecError{strings.TrimSuffix(under(fmt.Sprintf("[%d]", i), wrong.Field), "."), wrong.Problem, wrong.Expected}
		}
		if err != nil {
			return nil, err
		}
		rules[i] = r
	}
	return rules, nil
}

// actions returns the names of the actions that s has, and the last of them.
func (s Spec) actions() (said []string, do Action) {
	if s.Respond != nil {
		said, do = append(said, "respond"), Respond{Status: s.Respond.Status, Header: s.Respond.Header.Clone(), Body: s.Respond.Body}
	}
	if s.Delay != 0 {
		said, do = append(said, "delay"), Delay(s.Delay)
	}
	if s.Hang {
		said, do = append(said, "hang"), Hang{}
	}
	if s.Hangup {
		said, do = append(said, "hangup"), Hangup{}
	}
	if s.Reset {
		said, do = append(said, "reset"), Reset{}
	}
	if s.Refuse != "" {
		said, do = append(said, "refuse"), Refuse(s.Refuse)
	}
	return said, do
}

// fieldName is narrower than RFC 9110 section 5.1 and is what scenario files
// accept.
var fieldName = pattern.New(`^[A-Za-z0-9-]+$`)

func (r Respond) check() error {
	if r.Status < 200 || r.Status > 599 {
		return &SpecError{"respond.status", fmt.Sprintf("is %d", r.Status), "200 to 599"}
	}
	for name, values := range r.Header {
		if !fieldName.MatchString(name) {
			return &SpecError{"respond.header", fmt.Sprintf("has the name %q", name), "letters, digits and hyphens"}
		}
		if slices.ContainsFunc(values, hasControl) {
			return &SpecError{"respond.header." + name, "has a control character", "one line of text"}
		}
	}
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

type wireSpec struct {
	Name    string       `json:"name,omitempty"`
	Op      journal.Op   `json:"op"`
	After   int          `json:"after,omitempty"`
	Times   int          `json:"times,omitempty"`
	For     string       `json:"for,omitempty"`
	Respond *wireRespond `json:"respond,omitempty"`
	Delay   string       `json:"delay,omitempty"`
	Hang    bool         `json:"hang,omitempty"`
	Hangup  bool         `json:"hangup,omitempty"`
	Reset   bool         `json:"reset,omitempty"`
	Refuse  string       `json:"refuse,omitempty"`
}

type wireRespond struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
}

// MarshalJSON writes what [ParseSpecs] reads.
func (s Spec) MarshalJSON() ([]byte, error) {
	w := wireSpec{Name: s.Name, Op: s.Op, After: s.After, Times: s.Times, For: written(s.For), Delay: written(s.Delay), Hang: s.Hang, Hangup: s.Hangup, Reset: s.Reset, Refuse: s.Refuse}
	if s.Respond != nil {
		w.Respond = &wireRespond{s.Respond.Status, s.Respond.Header, s.Respond.Body}
	}
	return json.Marshal(w)
}

// written is empty for a duration that says nothing.
func written(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// UnmarshalJSON reads one rule as strictly as [ParseSpecs].
func (s *Spec) UnmarshalJSON(b []byte) error {
	*s = Spec{}
	return s.read("", b)
}

// ParseSpecs reads one rule, or a list of rules. Names of members are compared
// with letter case. Unknown and repeated members, values of the wrong type,
// null and anything after the end are a [*SpecError]. What it returns is
// complete in form only; [Spec.Rule] checks the rest.
func ParseSpecs(data []byte) ([]Spec, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, &SpecError{"", "is not JSON: " + err.Error(), "a fault rule, or a list of them"}
	}
	switch kindOf(raw) {
	case anObject:
		var one Spec
		err := one.read("", raw)
		return []Spec{one}, err
	case aList:
		return readList(raw)
	}
	return nil, &SpecError{"", "is " + kindOf(raw), "a fault rule, or a list of them"}
}

func readList(raw []byte) ([]Spec, error) {
	var each []json.RawMessage
	if err := json.Unmarshal(raw, &each); err != nil {
		return nil, &SpecError{"", err.Error(), "a list of fault rules"}
	}
	specs := make([]Spec, len(each))
	for i, one := range each {
		if err := specs[i].read(fmt.Sprintf("[%d]", i), one); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

const (
	wholeNumber  = "a whole number, 0 or more"
	someDuration = "a duration over zero, such as 2s or 1m30s"
)

func (s *Spec) read(at string, raw []byte) error {
	return readObject(at, raw, []member{
		{"name", into(&s.Name, "text")},
		{"op", into(&s.Op, "the name of an operation, such as sts.token")},
		{"after", into(&s.After, wholeNumber)},
		{"times", into(&s.Times, wholeNumber)},
		{"for", intoDuration(&s.For)},
		{"respond", s.readRespond},
		{"delay", intoDuration(&s.Delay)},
		{"hang", intoTrue(&s.Hang)},
		{"hangup", intoTrue(&s.Hangup)},
		{"reset", intoTrue(&s.Reset)},
		{"refuse", into(&s.Refuse, "the code of a refusal, such as AADSTS90033")},
	})
}

func (s *Spec) readRespond(at string, raw []byte) error {
	s.Respond = &Respond{}
	return readObject(at, raw, []member{
		{"status", into(&s.Respond.Status, "200 to 599")},
		{"header", s.Respond.readHeader},
		{"body", into(&s.Respond.Body, "text")},
	})
}

func (r *Respond) readHeader(at string, raw []byte) error {
	return eachMember(at, raw, func(name string, raw []byte) error {
		values, ok := texts(raw)
		if !ok {
			return &SpecError{at + "." + name, "is " + kindOf(raw), "text, or a list of texts"}
		}
		for _, v := range values {
			if r.Header == nil {
				r.Header = http.Header{}
			}
			r.Header.Add(name, v)
		}
		return nil
	})
}

// texts reads one text or a list of them.
func texts(raw []byte) ([]string, bool) {
	if kindOf(raw) == aText {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	var pointers []*string // nil where the list has null
	if kindOf(raw) != aList || json.Unmarshal(raw, &pointers) != nil || slices.Contains(pointers, nil) {
		return nil, false
	}
	values := make([]string, len(pointers))
	for i, p := range pointers {
		values[i] = *p
	}
	return values, true
}
