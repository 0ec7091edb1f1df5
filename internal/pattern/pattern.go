// Package pattern is regular expressions that are compiled when they are first
// used. Programs that start often, as the sandbox does, then pay only for what
// they match: compiling all of this module's took a fifth of the start.
package pattern

import (
	"regexp"
	"sync"
)

// A Pattern is a regular expression. Its methods do what those of
// [regexp.Regexp] do, and may be called from several goroutines.
type Pattern struct {
	text    string
	compile func() *regexp.Regexp
}

// New returns the pattern that an expression describes. A wrong expression
// panics at its first use.
func New(expression string) *Pattern {
	return &Pattern{expression, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// String returns the expression.
func (p *Pattern) String() string { return p.text }

// MatchString reports whether s contains a match.
func (p *Pattern) MatchString(s string) bool { return p.compile().MatchString(s) }

// FindStringSubmatch returns the leftmost match in s and those of the groups.
func (p *Pattern) FindStringSubmatch(s string) []string { return p.compile().FindStringSubmatch(s) }

// ReplaceAllString replaces every match in s by a text, in which ${1} stands for
// what the first group matched.
func (p *Pattern) ReplaceAllString(s, by string) string { return p.compile().ReplaceAllString(s, by) }

// ReplaceAllStringFunc replaces every match in s by what by returns for it.
func (p *Pattern) ReplaceAllStringFunc(s string, by func(string) string) string {
	return p.compile().ReplaceAllStringFunc(s, by)
}
