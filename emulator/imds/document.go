package imds

import (
	"strconv"
	"strings"
)

// Documents of IMDS are trees of objects and lists. What a
// tree holds depends on the version that the client asks for. Leaves of instance
// metadata are text, those of scheduled events can be whole numbers.
type (
	object []member // in the order in which IMDS sends them: by name
	list   []any
)

// A member is a named part of an object. Its value is an object, a list, a
// string or an int.
type member struct {
	name  string
	since string // the first version that has it; empty if all have
	value any
}

// at returns the object as a version has it.
func (o object) at(version string) object {
	out := make(object, 0, len(o))
	for _, m := range o {
		if m.since <= version {
			out = append(out, m)
		}
	}
	return out
}

// find follows a path of names and indexes. Letter case of names does not
// count, as it does not in the rest of the URL.
func find(v any, path []string, version string) (any, bool) {
	if len(path) == 0 {
		return v, true
	}
	switch v := v.(type) {
	case object:
		for _, m := range v.at(version) {
			if strings.EqualFold(m.name, path[0]) {
				return find(m.value, path[1:], version)
			}
		}
	case list:
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(v) {
			return find(v[i], path[1:], version)
		}
	}
	return nil, false
}

// appendJSON renders a tree on one line, as IMDS does.
func appendJSON(b []byte, v any, version string) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		for i, m := range v.at(version) {
			b = append(separate(b, i), quote(m.name)+":"...)
			b = appendJSON(b, m.value, version)
		}
		return append(b, '}')
	case list:
		b = append(b, '[')
		for i, item := range v {
			b = appendJSON(separate(b, i), item, version)
		}
		return append(b, ']')
	}
	if number, ok := v.(int); ok {
		return strconv.AppendInt(b, int64(number), 10)
	}
	text, _ := v.(string)
	return append(b, quote(text)...)
}

func separate(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// asText renders a leaf as it is, and a branch as the names below it, one a
// line, with a slash after those that are branches themselves.
func asText(v any, version string) string {
	var lines []string
	switch v := v.(type) {
	case object:
		for _, m := range v.at(version) {
			lines = append(lines, m.name+slash(m.value))
		}
	case list:
		for i, item := range v {
			lines = append(lines, strconv.Itoa(i)+slash(item))
		}
	case string:
		return v
	}
	return strings.Join(lines, "\n")
}

func slash(v any) string {
	if _, leaf := v.(string); leaf {
		return ""
	}
	return "/"
}
