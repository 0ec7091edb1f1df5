package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// A shape says what a value of a scenario file can look like. The shapes in
// grammar.go are the whole format; the JSON Schema says the same to editors.
type shape struct {
	kind     kind
	expected string            // completes "expected ..."
	pattern  *pattern.Pattern  // of text; of the names in a mapping by name
	named    string            // what pattern wants of names
	parses   func(string) bool // what pattern cannot tell of text
	choices  []string          // all there is
	excuse   string            // what is said of other choices, besides that they are none
	noun     string            // what a mapping by name holds, as in "an application"
	tags     []string          // YAML types that are text here, besides text
	least    int               // items of a list
	keys     []key             // of a record
	of       *shape            // items of a list; values of a mapping by name
	either   []*shape          // alternatives, told apart by their kind
}

// A kind is a kind of YAML value.
type kind int

const (
	text   kind = iota
	number      // whole, 0 or more
	flag
	list
	record // a mapping with known keys
	named  // a mapping by name
	either
)

// A key is a key of a record.
type key struct {
	name     string
	is       *shape
	required bool
}

func (s *shape) names() []string {
	names := make([]string, len(s.keys))
	for i, k := range s.keys {
		names[i] = k.name
	}
	return names
}

// A value is a part of the file that has been compared with its shape. A nil
// *value is something that the file does not say; its methods may be called.
type value struct {
	spot
	text   string
	inside []*value // keys or items, in the order of the file
	broken bool     // a problem was reported in it, so what is missing may be a consequence
	void   bool     // it does not have its shape and cannot be used
}

// A reader compares YAML with shapes.
type reader struct {
	found *problems
	lines map[string]int
}

// read returns what n says if it has the shape s, and reports if it has not.
func (r *reader) read(n *yaml.Node, s *shape, at spot) *value {
	v := &value{spot: at}
	r.lines[at.path] = at.line
	if s = s.pick(n); r.foreign(n, at) || !r.fits(n, s, v) {
		v.broken, v.void = true, true
		return v
	}
	switch s.kind {
	case record, named:
		r.mapping(n, s, v)
	case list:
		r.list(n, s, v)
	default:
		v.text = n.Value
	}
	return v
}

// pick chooses the alternative that n is meant to be.
func (s *shape) pick(n *yaml.Node) *shape {
	for _, alternative := range s.either {
		if alternative.kind.node() == n.Kind {
			return alternative
		}
	}
	return s
}

func (k kind) node() yaml.Kind {
	switch k {
	case record, named:
		return yaml.MappingNode
	case list:
		return yaml.SequenceNode
	}
	return yaml.ScalarNode
}

// coreTags are the YAML types that need no tag to be written.
var coreTags = []string{"!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp"}

// foreign reports parts of YAML that the format does without.
func (r *reader) foreign(n *yaml.Node, at spot) bool {
	switch tag := n.ShortTag(); {
	case n.Kind == yaml.AliasNode:
		r.found.add(at, "%s is an alias (*%s); expected the value itself", at.name, n.Value)
	case n.Anchor != "":
		r.found.add(at, "%s has an anchor (&%s); expected a plain value, aliases are not part of the format", at.name, n.Anchor)
	case !slices.Contains(coreTags, tag):
		r.found.add(at, "%s has the tag %s; expected a value without one", at.name, tag)
	default:
		return false
	}
	return true
}

// fits reports when n is not of the kind that s wants, or is not one of its
// texts.
func (r *reader) fits(n *yaml.Node, s *shape, v *value) bool {
	if s.kind == either || s.kind.node() != n.Kind || !s.takes(n.ShortTag()) {
		r.found.add(v.spot, "%s is %s; expected %s", v.name, description(n), s.expected+hint(n, s))
		return false
	}
	if n.Kind != yaml.ScalarNode || s.allows(n.Value) {
		return true
	}
	what := "is " + quoted(n.Value)
	if s.kind != text {
		what = "is " + n.Value
	}
	if s.excuse != "" {
		what += ", " + s.excuse
	}
	r.found.add(v.spot, "%s %s; expected %s", v.name, what, s.expected)
	return false
}

func (s *shape) takes(tag string) bool {
	switch s.kind {
	case text:
		return tag == "!!str" || slices.Contains(s.tags, tag)
	case number:
		return tag == "!!int"
	case flag:
		return tag == "!!bool"
	}
	return true
}

func (s *shape) allows(value string) bool {
	switch {
	case s.choices != nil:
		return slices.Contains(s.choices, value)
	case s.kind == number:
		n, err := strconv.Atoi(value)
		return err == nil && n >= 0 && strconv.Itoa(n) == value
	case s.kind == flag:
		return value == "true" || value == "false"
	}
	return (s.pattern == nil || s.pattern.MatchString(value)) && (s.parses == nil || s.parses(value))
}

// description says what kind of value n is, in the words of messages.
func description(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the word " + n.Value
	case "!!timestamp":
		return "the date " + n.Value
	}
	return "the text " + quoted(n.Value)
}

// hint says how to write what was probably meant.
func hint(n *yaml.Node, s *shape) string {
	wantsText := s.kind == text || s.pick(&yaml.Node{Kind: yaml.ScalarNode}).kind == text
	switch tag := n.ShortTag(); {
	case wantsText && n.Kind == yaml.ScalarNode && tag != "!!null" && s.choices == nil && s.pattern == nil:
		return fmt.Sprintf(", so put it in quotes: %q", n.Value)
	case wantsText && n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) == 2 && n.Content[1].ShortTag() == "!!null":
		return fmt.Sprintf(", so put it in quotes: \"{%s}\"", n.Content[0].Value)
	case tag == "!!null" && (s.kind == record || s.kind == named):
		return "; write {} if there is nothing to say"
	}
	return ""
}

// list reads the items of a list.
func (r *reader) list(n *yaml.Node, s *shape, v *value) {
	if len(n.Content) < s.least {
		r.found.add(v.spot, "%s is an empty list; expected %s", v.name, s.expected)
		v.broken = true
	}
	for i, item := range n.Content {
		v.add(r.read(item, s.of, v.item(i, item.Line, item.Column)))
	}
}

// mapping reads the keys and values of a mapping.
func (r *reader) mapping(n *yaml.Node, s *shape, v *value) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		at := v.key(k.Value, k.Line, k.Column)
		of, ok := r.key(k, s, v, at)
		if line, again := first[k.Value]; ok && again {
			r.found.add(at, "%q is written twice, first in line %d; expected it once", k.Value, line)
			ok = false
		}
		if !ok {
			v.broken = true
			continue
		}
		first[k.Value] = k.Line
		v.add(r.read(n.Content[i+1], of, at))
	}
	for _, k := range s.keys {
		if _, there := first[k.name]; k.required && !there && !v.broken {
			r.found.add(v.spot, "%s has no %q; expected %s", v.name, k.name, k.is.expected)
			v.broken = true
		}
	}
}

// key reports a key that the shape does not have, and returns the shape of its
// value otherwise.
func (r *reader) key(k *yaml.Node, s *shape, v *value, at spot) (*shape, bool) {
	if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null" {
		r.found.add(at, "a key in %s is %s; expected text", v.name, description(k))
		return nil, false
	}
	if k.ShortTag() == "!!merge" {
		r.found.add(at, "merge keys (<<) are not part of the format; expected the keys themselves")
		return nil, false
	}
	if r.foreign(k, at) {
		return nil, false
	}
	if s.kind == named {
		if s.pattern != nil && !s.pattern.MatchString(k.Value) {
			r.found.add(at, "%s cannot be the name of %s; expected %s", quoted(k.Value), s.noun, s.named)
			return nil, false
		}
		return s.of, true
	}
	i := slices.IndexFunc(s.keys, func(known key) bool { return known.name == k.Value })
	if i < 0 {
		names := s.names()
		likely := suggestion(k.Value, names)
		if holder := s.holder(k.Value); likely == "" && holder != "" {
			likely = fmt.Sprintf(" it belongs inside %s;", holder)
		}
		r.found.add(at, "unknown key %s;%s expected one of: %s", quoted(k.Value), likely, strings.Join(names, ", "))
		return nil, false
	}
	return s.keys[i].is, true
}

// holder returns the key of a record whose value, or whose items, can have the
// key name.
func (s *shape) holder(name string) string {
	for _, k := range s.keys {
		inner := k.is
		for inner.of != nil {
			inner = inner.of
		}
		if slices.Contains(inner.names(), name) {
			return k.name
		}
	}
	return ""
}

func (v *value) add(inside *value) {
	v.inside = append(v.inside, inside)
	v.broken = v.broken || inside.broken
}
