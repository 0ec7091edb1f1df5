package blob

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// conditions are the conditional header fields of a request (Microsoft:
// Specifying conditional headers for Blob service operations). Fields that are
// absent are nil.
type conditions struct {
	match, noneMatch               []string // without quotes
	modifiedSince, unmodifiedSince *time.Time
}

const anyTag = "*"

func (c *call) conditions() (conditions, *Error) {
	var k conditions
	k.match = entityTags(c.header.Values("If-Match"))
	k.noneMatch = entityTags(c.header.Values("If-None-Match"))
	var e *Error
	if k.modifiedSince, e = c.date("If-Modified-Since"); e != nil {
		return k, e
	}
	k.unmodifiedSince, e = c.date("If-Unmodified-Since")
	return k, e
}

// date reads a header field with a date in it. It returns nil for one that is
// absent.
func (c *call) date(name string) (*time.Time, *Error) {
	values := c.header.Values(name)
	if len(values) == 0 {
		return nil, nil
	}
	t, err := http.ParseTime(values[0])
	if err != nil || len(values) > 1 {
		return nil, errHeader.because("%s is %q; expected one date such as Tue, 05 May 2026 09:10:11 GMT", name, strings.Join(values, ", ")).ofHeader(name, values[0])
	}
	return &t, nil
}

// entityTags splits a list of entity tags. Lists contain the tags of headers,
// with quotes, and of XML, without: both are accepted.
func entityTags(fields []string) []string {
	var tags []string
	for _, field := range fields {
		for tag := range strings.SplitSeq(field, ",") {
			tags = append(tags, strings.Trim(strings.TrimSpace(tag), `"`))
		}
	}
	return tags
}

func (k conditions) onTags() bool { return k.match != nil || k.noneMatch != nil }

// state is what conditions are about.
type state struct {
	exists   bool
	etag     string
	modified time.Time
}

func (b blob) state(exists bool) state      { return state{exists, b.etag, b.modified} }
func (c container) state(exists bool) state { return state{exists, c.etag, c.modified} }

func (st state) has(tags []string) bool {
	return st.exists && (slices.Contains(tags, anyTag) || slices.Contains(tags, strings.Trim(st.etag, `"`)))
}

// modifiedAfter compares in seconds, which is all that header fields can say.
func (st state) modifiedAfter(t time.Time) bool {
	return st.exists && st.modified.Truncate(time.Second).After(t)
}

// read decides about a read of something that exists:
// If-Match and If-Unmodified-Since and (If-None-Match or If-Modified-Since).
func (k conditions) read(st state) *Error {
	if k.match != nil && !st.has(k.match) {
		return errConditionNotMet.because("the ETag is %s; If-Match wants %s", st.etag, strings.Join(k.match, ", "))
	}
	if k.unmodifiedSince != nil && st.modifiedAfter(*k.unmodifiedSince) {
		return errConditionNotMet.because("it was modified at %s, after If-Unmodified-Since", st.modified.Format(time.RFC3339))
	}
	if slices.Contains(k.noneMatch, anyTag) {
		return errUnsatisfiable.because("If-None-Match: * on a read can never be met")
	}
	if k.noneMatch == nil && k.modifiedSince == nil {
		return nil
	}
	if k.noneMatch != nil && !st.has(k.noneMatch) || k.modifiedSince != nil && st.modifiedAfter(*k.modifiedSince) {
		return nil
	}
	return errNotModified.because("it has not changed: its ETag is %s, and it was modified at %s", st.etag, st.modified.Format(time.RFC3339))
}

// write decides about a write. Only If-None-Match with If-Modified-Since and
// If-Match with If-Unmodified-Since may be combined, and the tag decides then.
// Dates do not count for what does not exist yet, as in RFC 9110 section 13.1;
// that is inferred.
func (k conditions) write(st state) *Error {
	if k.match != nil && (k.noneMatch != nil || k.modifiedSince != nil) || k.unmodifiedSince != nil && (k.noneMatch != nil || k.modifiedSince != nil) {
		return errConditions.because("a write takes If-None-Match with If-Modified-Since, or If-Match with If-Unmodified-Since, and no other pair")
	}
	if len(k.match) > 1 || len(k.noneMatch) > 1 {
		return errConditions.because("a write takes one ETag in If-Match or If-None-Match, not a list")
	}
	switch {
	case k.match != nil && !st.has(k.match):
		return errConditionNotMet.because("the ETag is %s; If-Match wants %s", orAbsent(st.etag), k.match[0])
	case k.noneMatch != nil && st.has(k.noneMatch):
		return errConditionNotMet.because("the ETag is %s; If-None-Match excludes %s", st.etag, k.noneMatch[0])
	case k.match == nil && k.unmodifiedSince != nil && st.modifiedAfter(*k.unmodifiedSince):
		return errConditionNotMet.because("it was modified at %s, after If-Unmodified-Since", st.modified.Format(time.RFC3339))
	case k.noneMatch == nil && k.modifiedSince != nil && st.exists && !st.modifiedAfter(*k.modifiedSince):
		return errConditionNotMet.because("it was modified at %s, not after If-Modified-Since", st.modified.Format(time.RFC3339))
	}
	return nil
}

// create decides about a write that makes a blob or replaces it. The usual way
// to say "do not replace" has a refusal of its own.
func (k conditions) create(st state) *Error {
	e := k.write(st)
	if e != nil && e.Refusal == errConditionNotMet && k.match == nil && slices.Contains(k.noneMatch, anyTag) {
		return errBlobExists.because("the blob exists, and If-None-Match: * asks not to replace it")
	}
	return e
}

func orAbsent(etag string) string {
	if etag == "" {
		return "missing, because the blob does not exist"
	}
	return etag
}

// unconditional refuses conditions on operations that have none.
func (c *call) unconditional() *Error {
	k, e := c.conditions()
	if e == nil && (k.onTags() || k.modifiedSince != nil || k.unmodifiedSince != nil) {
		return errNoConditions.because("%s takes no conditional header fields", c.Op)
	}
	return e
}

// onlyDates reads the conditions of an operation that compares no ETags.
func (c *call) onlyDates() (conditions, *Error) {
	k, e := c.conditions()
	if e == nil && k.onTags() {
		return k, errNoConditions.because("%s takes If-Modified-Since and If-Unmodified-Since, and no ETags", c.Op)
	}
	return k, e
}
