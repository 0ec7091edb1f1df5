package fault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

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

// intoDuration reads a duration over zero.
func intoDuration(target *time.Duration) func(string, []byte) error {
	return func(at string, raw []byte) error {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return &SpecError{at, "is " + kindOf(raw), someDuration}
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return &SpecError{at, "is " + strconv.Quote(text), someDuration}
		}
		*target = d
		return nil
	}
}

// intoTrue accepts true alone, so that hangup: false next to another action is
// not mistaken for two.
func intoTrue(target *bool) func(string, []byte) error {
	return func(at string, raw []byte) error {
		if string(raw) != "true" {
			return &SpecError{at, "is " + kindOf(raw), "true"}
		}
		*target = true
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
