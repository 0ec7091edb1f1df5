package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a scenario file.
type Problem struct {
	Line, Column int    // from 1; 0 if the problem is with the file as a whole
	Path         string // such as tenants.contoso.applications.exporter
	Message      string // what was wrong; what was expected
}

// An Error lists the problems of a scenario file, from top to bottom.
type Error struct {
	Name     string // of the file
	Problems []Problem
	Left     int // further problems that are not listed
}

// Error returns one line for each problem, as in "name:LINE: message".
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", e.Name, p.Line, p.Message))
	}
	if e.Left > 0 {
		lines = append(lines, fmt.Sprintf("%s: and %d more problems", e.Name, e.Left))
	}
	return strings.Join(lines, "\n")
}

// maxProblems is how many problems are listed; nobody reads more.
const maxProblems = 100

// A spot is a place in a file.
type spot struct {
	name         string // of the key or the item, as messages call it
	path         string
	line, column int
}

func (s spot) key(name string, line, column int) spot {
	return spot{name, strings.TrimPrefix(s.path+"."+name, "."), line, column}
}

func (s spot) item(i, line, column int) spot {
	suffix := fmt.Sprintf("[%d]", i)
	return spot{s.name + suffix, s.path + suffix, line, column}
}

// problems collects what is wrong with one file.
type problems struct {
	list []Problem
	left int
}

// full reports whether further problems are only counted.
func (p *problems) full() bool { return len(p.list) == maxProblems }

func (p *problems) add(at spot, format string, args ...any) {
	if p.full() {
		p.left++
		return
	}
	p.list = append(p.list, Problem{at.line, at.column, at.path, fmt.Sprintf(format, args...)})
}

// err returns the problems as an error, or nil.
func (p *problems) err(name string) error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{Name: name, Problems: p.list, Left: p.left}
}

// quoted returns s in quotes, shortened to what fits a message.
func quoted(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// anyOf lists names for a message, as in "a, b or c".
func anyOf(names []string) string {
	const most = 24
	switch n := len(names); {
	case n == 0:
		return "none"
	case n == 1:
		return names[0]
	case n > most:
		return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), n-most)
	default:
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
}

// suggestion returns a sentence with the known name that word was probably
// meant to be, or nothing.
func suggestion(word string, known []string) string {
	best, least := "", 1+min(len(word)/3, 3)
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k), least); d < least || (d == least && best == "") {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" did you mean %q?", best)
}

// distance is how many letters have to be added, removed or changed to make b
// of a. Anything above limit is reported as limit+1.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return min(row[len(b)], limit+1)
}
