package scenario

import (
	"strconv"
	"time"
)

// get returns the value of a key, or nil if it is missing or unusable.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	for _, k := range v.inside {
		if k.name == key && !k.void {
			return k
		}
	}
	return nil
}

// all returns the items of a list, or the members of a mapping by name, of a
// key. A single value in place of a list is its only item.
func (v *value) all(key string) []*value {
	at := v.get(key)
	if at == nil {
		return nil
	}
	return at.inside
}

// listed returns the items of a key that can have one value or a list.
func (v *value) listed() []*value {
	switch {
	case v == nil || v.void:
		return nil
	case v.inside == nil:
		return []*value{v}
	}
	return v.inside
}

// string returns the text of a key, or what stands in for it.
func (v *value) string(key, otherwise string) string {
	if at := v.get(key); at != nil {
		return at.text
	}
	return otherwise
}

// flag returns the value of a key that is true or false.
func (v *value) flag(key string, otherwise bool) bool {
	if at := v.get(key); at != nil {
		return at.text == "true"
	}
	return otherwise
}

// number returns the value of a key that is a whole number.
func (v *value) number(key string, otherwise int) int {
	if at := v.get(key); at != nil {
		n, _ := strconv.Atoi(at.text) // its shape was compared
		return n
	}
	return otherwise
}

// duration returns the value of a key that is a duration.
func (v *value) duration(key string, otherwise time.Duration) time.Duration {
	if at := v.get(key); at != nil {
		d, _ := time.ParseDuration(at.text) // its shape was compared
		return d
	}
	return otherwise
}

// instant returns the value of a key that is a time, in UTC.
func (v *value) instant(key string) time.Time {
	if at := v.get(key); at != nil {
		t, _ := time.Parse(time.RFC3339, at.text) // its shape was compared
		return t.UTC()
	}
	return time.Time{}
}

// strings returns the usable items of a list of text.
func (v *value) strings(key string) []string {
	var out []string
	for _, item := range v.all(key) {
		if !item.void {
			out = append(out, item.text)
		}
	}
	return out
}
