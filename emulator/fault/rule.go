package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/journal"
)

// A Spec is a [Rule] that can be written down: exactly one of Respond, Delay,
// Hangup and Refuse says what to do. Conditions on requests and edits of
// answers are Go functions, so [Rule.When] and [Rewrite] have no written form.
//
// In JSON its members are name, op, after, times, respond {status, header,
// body}, delay (text such as "2s"), hangup (true) and refuse. A header has one
// text or a list of texts. Reading is strict: see [ParseSpecs].
type Spec struct {
	Name    string
	Op      journal.Op
	After   int // let this many matching requests pass first
	Times   int // then act on this many; 0 means on all
	Respond *Respond
	Delay   time.Duration // 0 means none
	Hangup  bool
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

const oneAction = "one of: respond, delay, hangup, refuse"

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
	case s.Delay < 0:
		return Rule{}, &SpecError{"delay", fmt.Sprintf("is %v", s.Delay), someDuration}
	}
	if s.Respond != nil {
		if err := s.Respond.check(); err != nil {
			return Rule{}, err
		}
	}
	return Rule{Name: s.Name, Op: s.Op, After: s.After, Times: s.Times, Do: do}, nil
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
	if s.Hangup {
		said, do = append(said, "hangup"), Hangup{}
	}
	if s.Refuse != "" {
		said, do = append(said, "refuse"), Refuse(s.Refuse)
	}
	return said, do
}

// fieldName is narrower than RFC 9110 section 5.1 and is what scenario files
// accept.
var fieldName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

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
	Respond *wireRespond `json:"respond,omitempty"`
	Delay   string       `json:"delay,omitempty"`
	Hangup  bool         `json:"hangup,omitempty"`
	Refuse  string       `json:"refuse,omitempty"`
}

type wireRespond struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
}

// MarshalJSON writes what [ParseSpecs] reads.
func (s Spec) MarshalJSON() ([]byte, error) {
	w := wireSpec{Name: s.Name, Op: s.Op, After: s.After, Times: s.Times, Hangup: s.Hangup, Refuse: s.Refuse}
	if s.Respond != nil {
		w.Respond = &wireRespond{s.Respond.Status, s.Respond.Header, s.Respond.Body}
	}
	if s.Delay != 0 {
		w.Delay = s.Delay.String()
	}
	return json.Marshal(w)
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
		{"respond", s.readRespond},
		{"delay", s.readDelay},
		{"hangup", s.readHangup},
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

func (s *Spec) readDelay(at string, raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return &SpecError{at, "is " + kindOf(raw), someDuration}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return &SpecError{at, "is " + strconv.Quote(text), someDuration}
	}
	s.Delay = d
	return nil
}

// readHangup accepts true alone, so that hangup: false next to another action
// is not mistaken for two.
func (s *Spec) readHangup(at string, raw []byte) error {
	if string(raw) != "true" {
		return &SpecError{at, "is " + kindOf(raw), "true"}
	}
	s.Hangup = true
	return nil
}

// A member is what an object may have. read gets its path and its value.
type member struct {
	name string
	read func(at string, raw []byte) error
}

// into reads a value that encoding/json understands.
func into[T any](target *T, expected string) func(string, []byte) error {
	return func(at string, raw []byte) error {
		if string(raw) == "null" || json.Unmarshal(raw, target) != nil {
			return &SpecError{at, "is " + kindOf(raw), expected}
		}
		return nil
	}
}

// readObject reads an object that has no members but those listed.
func readObject(at string, raw []byte, members []member) error {
	return eachMember(at, raw, func(name string, raw []byte) error {
		for _, m := range members {
			if m.name == name {
				return m.read(under(at, name), raw)
			}
		}
		names := make([]string, len(members))
		for i, m := range members {
			names[i] = m.name
		}
		return &SpecError{at, fmt.Sprintf("has the unknown member %q", name), "one of: " + strings.Join(names, ", ")}
	})
}

// eachMember calls do for the members of an object in their order. It reads
// tokens because encoding/json keeps the last of two equal members and says
// nothing. raw is valid JSON.
func eachMember(at string, raw []byte, do func(name string, raw []byte) error) error {
	if kindOf(raw) != anObject {
		return &SpecError{at, "is " + kindOf(raw), "an object"}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token() // the brace
	seen := map[string]bool{}
	for d.More() {
		token, _ := d.Token()
		name, _ := token.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return &SpecError{under(at, name), err.Error(), "JSON"}
		}
		if seen[name] {
			return &SpecError{under(at, name), "is there twice", "each member once"}
		}
		seen[name] = true
		if err := do(name, value); err != nil {
			return err
		}
	}
	return nil
}

func under(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

const (
	anObject = "an object"
	aList    = "a list"
	aText    = "text"
)

// kindOf says in words what a JSON value is. Numbers are shown, because what
// is wrong with one is its value.
func kindOf(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return anObject
	case raw[0] == '[':
		return aList
	case raw[0] == '"':
		return aText
	case len(raw) > 40:
		return "a long number"
	}
	return string(raw) // a number, true, false or null
}
