package expect

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// FileName is how the file beside a driver is called.
const FileName = "xfail.toml"

// A file is what a file says.
type file struct {
	Suite  string   `toml:"suite"`
	Expect []*entry `toml:"expect"`
}

// A Set is what a client is known not to meet. It implements [suite.Expectations].
// Its methods may be called from one goroutine at a time.
type Set struct {
	entries []*entry
	judged  map[string]bool // by ID of the check
}

// Len returns how many expectations there are.
func (s *Set) Len() int { return len(s.entries) }

// About reports whether something is expected of a check, of whatever version of the
// client and in whatever wiring.
func (s *Set) About(id string) bool {
	return slices.ContainsFunc(s.entries, func(e *entry) bool {
		ok, _ := path.Match(e.Check, id) // it was tried before
		return ok
	})
}

// Add adds the expectation that a check is not met. where is how messages name the
// place that has it.
func (s *Set) Add(where, check, reason string) error {
	e := &entry{Check: check, Reason: reason, where: where}
	if problems := e.check(time.Time{}, false); len(problems) > 0 {
		return fmt.Errorf("%s: %s", where, problems[0])
	}
	s.entries = append(s.entries, e)
	return nil
}

// Join adds the expectations of another set.
func (s *Set) Join(other *Set) { s.entries = append(s.entries, other.entries...) }

// An Error is all that is wrong with a file.
type Error struct {
	// Problems are lines such as "xfail.toml:12: the reason is empty".
	Problems []string
}

// Error returns the problems, a line each.
func (e *Error) Error() string { return strings.Join(e.Problems, "\n") }

// Read reads a file. It fails with an [*Error] for one that does not hold what it
// should, or whose expectations have expired at now.
func Read(name string, now time.Time) (*Set, error) { return read(name, now, false) }

// ReadDraft reads a file whose expectations may lack reasons and have expired.
func ReadDraft(name string) (*Set, error) { return read(name, time.Time{}, true) }

func read(name string, now time.Time, draft bool) (*Set, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	const mark = "\ufeff" // which editors of Windows begin a file with
	return parse(name, bytes.TrimPrefix(text, []byte(mark)), now, draft)
}

func parse(name string, text []byte, now time.Time, draft bool) (*Set, error) {
	var f file
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		return nil, located(name, err)
	}
	wrong := &Error{}
	lines := tables(text)
	if len(lines) != len(f.Expect) {
		wrong.Problems = append(wrong.Problems, name+": an expectation is no table [[expect]]; expected two brackets on each side")
	}
	if problem := f.outdated(); problem != "" {
		wrong.Problems = append(wrong.Problems, fmt.Sprintf("%s: %s", name, problem))
	}
	for i, e := range f.Expect {
		e.where = name
		if i < len(lines) {
			e.where = fmt.Sprintf("%s:%d", name, lines[i])
		}
		for _, problem := range e.check(now, draft) {
			wrong.Problems = append(wrong.Problems, e.where+": "+problem)
		}
	}
	if len(wrong.Problems) > 0 {
		return nil, wrong
	}
	return &Set{entries: f.Expect}, nil
}

// located names the places of what the decoder of TOML complains about.
func located(name string, err error) error {
	wrong := &Error{}
	add := func(e *toml.DecodeError, text string) {
		row, _ := e.Position()
		wrong.Problems = append(wrong.Problems, fmt.Sprintf("%s:%d: %s", name, row, text))
	}
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		for _, e := range strict.Errors {
			add(&e, fmt.Sprintf("there is no key %q here; expected suite and tables [[expect]] of check, assert, case, outcome, reason, issue, sometimes, until and when", strings.Join(e.Key(), ".")))
		}
		return wrong
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		text := strings.TrimPrefix(e.Error(), "toml: ")
		key := e.Key()
		switch {
		case len(key) > 0 && strings.Contains(text, "already"): // its words for a key that comes twice
			text = fmt.Sprintf("%s comes twice here; expected another table [[expect]] before the second one", key[len(key)-1])
		case len(key) > 0 && kinds[key[len(key)-1]] != "":
			text = fmt.Sprintf("%s is of another kind; expected %s", key[len(key)-1], kinds[key[len(key)-1]])
		}
		add(e, text)
		return wrong
	}
	return &Error{[]string{name + ": " + err.Error()}}
}

// kinds are what the values of keys are.
var kinds = map[string]string{
	"suite": `text, such as suite = ">=1.0"`, "expect": "tables [[expect]]", "check": `text, such as check = "IMDS-10"`, "assert": `text, such as assert = "IMDS-10.trap"`,
	"case": "text", "outcome": `text, such as outcome = "warn"`, "reason": "text", "issue": "text, a URL", "sometimes": "true or false",
	"until": "a date, such as until = 2027-11-30", "when": `a table of text, such as when = {wiring = "netns"}`,
}

// tables are the lines at which tables [[expect]] begin. The text has been decoded.
func tables(text []byte) []int {
	var lines []int
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.ArrayTable {
			continue
		}
		key := e.Key()
		if key.Next() && string(key.Node().Data) == "expect" && key.IsLast() {
			lines = append(lines, p.Shape(key.Node().Raw).Start.Line)
		}
	}
	return lines
}

// outdated says why the file is not for this catalogue, if it is not.
func (f *file) outdated() string {
	if f.Suite == "" {
		return ""
	}
	wanted, ok := parseConstraint(f.Suite)
	if !ok {
		return fmt.Sprintf("suite is %q; expected versions of the suite, such as \">=1.0\"", f.Suite)
	}
	if !wanted.holds(parseVersion(suite.Version)) {
		return fmt.Sprintf("it is for the suite %s, and this one is %s; take another version of fakeentra, or change the line", f.Suite, suite.Version)
	}
	return ""
}
