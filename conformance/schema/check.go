package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// A document is a schema with keywords that the ones of this package use. The
// library that has them all compiles every draft when a program starts, which
// doubles the time that the processes of sandboxes need; tests compare with it.
type document struct{ root map[string]any }

func parse(text []byte) *document {
	v, err := decoded(text)
	root, ok := v.(map[string]any)
	if err != nil || !ok {
		panic(fmt.Errorf("the schema cannot be read: %w", err)) // it is embedded
	}
	return &document{root}
}

// check says where a text is not as a part of the schema has it.
func (d *document) check(part string, text []byte) error {
	v, err := decoded(text)
	if err != nil {
		return err
	}
	if wrong := d.compare(d.find(part), v, ""); wrong != "" {
		return errors.New(wrong)
	}
	return nil
}

// find returns a part of the schema.
func (d *document) find(ref string) map[string]any {
	at := d.root
	for _, name := range strings.Split(ref, "/")[1:] {
		at = at[name].(map[string]any)
	}
	return at
}

// compare says what is wrong with a value, at a place that a JSON pointer names.
// Nothing of what it says is from the value but the names of members, and what is
// not one of several words.
func (d *document) compare(s map[string]any, v any, pointer string) string {
	wrong := func(format string, args ...any) string {
		return fmt.Sprintf("at %q: ", pointer) + fmt.Sprintf(format, args...)
	}
	if ref, ok := s["$ref"].(string); ok {
		return d.compare(d.find(ref), v, pointer)
	}
	if types := words(s["type"]); types != nil && !slices.ContainsFunc(types, func(t string) bool { return is(v, t) }) {
		return wrong("expected %s, got %s", strings.Join(types, " or "), typeOf(v))
	}
	if all, ok := s["enum"].([]any); ok && !slices.ContainsFunc(all, func(e any) bool { return equal(e, v) }) {
		return wrong("expected one of %v, got %s", all, shown(v))
	}
	if c, ok := s["const"]; ok && !equal(c, v) {
		return wrong("expected %v, got %s", c, shown(v))
	}
	switch v := v.(type) {
	case json.Number:
		least, bounded := s["minimum"].(json.Number)
		if x, y := number(v), number(least); bounded && x < y {
			return wrong("expected %v or more, got %v", least, v)
		}
	case string:
		if p, ok := s["pattern"].(string); ok && !pattern.New(p).MatchString(v) {
			return wrong("expected text that matches %s", p)
		}
	case []any:
		if items, ok := s["items"].(map[string]any); ok {
			for i, item := range v {
				if text := d.compare(items, item, pointer+"/"+strconv.Itoa(i)); text != "" {
					return text
				}
			}
		}
		if s["uniqueItems"] == true {
			for i := range v {
				if slices.ContainsFunc(v[:i], func(other any) bool { return equal(other, v[i]) }) {
					return wrong("expected each item once, got %s twice", shown(v[i]))
				}
			}
		}
	case map[string]any:
		if text := d.members(s, v, pointer); text != "" {
			return text
		}
	}
	all, _ := s["allOf"].([]any)
	for _, also := range all {
		rule := also.(map[string]any)
		if when, ok := rule["if"].(map[string]any); ok && d.compare(when, v, pointer) == "" {
			rule = rule["then"].(map[string]any)
		}
		if text := d.compare(rule, v, pointer); text != "" {
			return text
		}
	}
	return ""
}

// members compares those of an object.
func (d *document) members(s, v map[string]any, pointer string) string {
	wrong := func(format string, args ...any) string {
		return fmt.Sprintf("at %q: ", pointer) + fmt.Sprintf(format, args...)
	}
	for _, name := range words(s["required"]) {
		if _, ok := v[name]; !ok {
			return wrong("expected a member %q", name)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		in := pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if p, ok := properties[name].(map[string]any); ok {
			if text := d.compare(p, v[name], in); text != "" {
				return text
			}
			continue
		}
		switch more := s["additionalProperties"].(type) {
		case bool:
			if !more {
				return wrong("there is no member %q; expected some of %s", name, strings.Join(slices.Sorted(maps.Keys(properties)), ", "))
			}
		case map[string]any:
			if text := d.compare(more, v[name], in); text != "" {
				return text
			}
		}
	}
	if least, ok := s["minProperties"].(json.Number); ok && float64(len(v)) < number(least) {
		return wrong("expected %v members or more, got %d", least, len(v))
	}
	if most, ok := s["maxProperties"].(json.Number); ok && float64(len(v)) > number(most) {
		return wrong("expected %v members or fewer, got %d", most, len(v))
	}
	return ""
}

// equal reports whether two values are the same; 1 and 1.0 are.
func equal(a, b any) bool {
	x, ok := a.(json.Number)
	y, both := b.(json.Number)
	if ok && both {
		return number(x) == number(y)
	}
	return reflect.DeepEqual(a, b)
}

func number(n json.Number) float64 {
	f, _ := n.Float64() // too large a number is an infinite one
	return f
}

// words are one text or several.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, w := range v {
			all = append(all, w.(string))
		}
		return all
	}
	return nil
}

// is reports whether a value has a type.
func is(v any, t string) bool {
	if n, ok := v.(json.Number); ok && t == "integer" {
		f := number(n)
		return f == float64(int64(f))
	}
	return typeOf(v) == t
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// shown is a value that is not one of several words.
func shown(v any) string {
	const most = 40
	text, _ := json.Marshal(v) // it comes from JSON
	if len(text) > most {
		return typeOf(v)
	}
	return string(text)
}
