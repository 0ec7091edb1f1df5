package edge

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/journal"
)

// An Operation answers one kind of request.
type Operation func(*Request) Response

// A Route ties a name, a shape and an operation together. The table of routes
// is also what the table in docs/fidelity.md is generated from.
type Route struct {
	Op     journal.Op
	Method string // several are separated by a space; empty means any
	// Path is matched segment by segment; {name} stands for any one segment,
	// and {name...} at the end for any number of them.
	// Services that find their operations by other means document the shape
	// here, and a route for what fits nowhere has no path.
	Path     string
	Do       Operation
	Stream   bool // the operation reads the body itself, however long it is
	Fidelity Fidelity
	Source   string // where the behaviour is documented or was observed
}

// Fidelity is a claim about how closely an operation follows the real service.
type Fidelity string

// The grades of fidelity.
const (
	Faithful    Fidelity = "faithful"    // checked against documentation, recordings or SDK source
	Approximate Fidelity = "approximate" // the shape is right, some behaviour is inferred
	Stub        Fidelity = "stub"        // answers so that clients can go on
)

// A Table finds routes by path.
type Table struct {
	// Fold ignores letter case in the fixed parts of paths.
	Fold   bool
	routes []compiled
}

type compiled struct {
	Route
	segments []string
	rest     string // the variable that holds what follows the segments; "" if nothing may
}

func compile(r Route) compiled {
	fixed, _, _ := strings.Cut(r.Path, "...}")
	c := compiled{Route: r, segments: segments(fixed)}
	if fixed != r.Path {
		last := len(c.segments) - 1
		c.segments, c.rest = c.segments[:last], strings.TrimPrefix(c.segments[last], "{")
	}
	return c
}

// NewTable returns a Table of routes. Routes without a path are left out.
func NewTable(fold bool, routes []Route) *Table {
	t := &Table{Fold: fold}
	for _, r := range routes {
		if r.Path != "" {
			t.routes = append(t.routes, compile(r))
		}
	}
	return t
}

// Match returns the route for a method and a URL, and the variable parts of the
// path. If only the method is wrong, it returns nil and true. Empty segments
// do not count: clients send //metadata and a trailing slash.
func (t *Table) Match(method string, u *url.URL) (route *Route, vars Vars, wrongMethod bool) {
	path := segments(u.EscapedPath())
	for i := range t.routes {
		c := &t.routes[i]
		vars, ok := c.match(path, t.Fold)
		if !ok {
			continue
		}
		if c.accepts(method) {
			return &c.Route, vars, false
		}
		wrongMethod = true
	}
	return nil, nil, wrongMethod
}

func (c *compiled) accepts(method string) bool {
	if c.Method == "" {
		return true
	}
	for m := range strings.FieldsSeq(c.Method) {
		if m == method {
			return true
		}
	}
	return false
}

func (c *compiled) match(path []string, fold bool) (Vars, bool) {
	if len(path) < len(c.segments) || len(path) > len(c.segments) && c.rest == "" {
		return nil, false
	}
	var vars Vars
	if c.rest != "" {
		rest, err := url.PathUnescape(strings.Join(path[len(c.segments):], "/"))
		if err != nil {
			return nil, false
		}
		vars = Vars{c.rest: rest}
	}
	for i, want := range c.segments {
		got, err := url.PathUnescape(path[i])
		if err != nil {
			return nil, false
		}
		if strings.HasPrefix(want, "{") {
			if vars == nil {
				vars = Vars{}
			}
			vars[strings.Trim(want, "{}")] = got
		} else if got != want && (!fold || !strings.EqualFold(got, want)) {
			return nil, false
		}
	}
	return vars, true
}

func segments(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// Refuses reports whether a service has a refusal with a wire code, so that a
// fault can ask for it.
func Refuses(s Service, code string) bool {
	_, ok := s.Refuse(&Request{URL: &url.URL{}, Header: http.Header{}}, code)
	return ok
}
