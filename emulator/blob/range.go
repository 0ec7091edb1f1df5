package blob

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A span is a part of a blob: from the byte at start up to the one before end.
type span struct{ start, end int64 }

// contentRange returns the value of Content-Range (RFC 9110 section 14.4).
func (s span) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.start, s.end-1, size)
}

// errUnsatisfiedRange is returned for a range outside the blob.
var errUnsatisfiedRange = errors.New("the range lies outside the blob")

// parseRange reads the value of Range or x-ms-range for a blob of a size:
// bytes=2-5, bytes=2- and bytes=-5. An end beyond the blob is cut. Every range
// of an empty blob is outside of it. That the service takes the last form, and
// refuses lists of ranges, is inferred.
func parseRange(v string, size int64) (span, error) {
	unit, rest, _ := strings.Cut(v, "=")
	first, last, ok := strings.Cut(strings.TrimSpace(rest), "-")
	if !ok || strings.TrimSpace(unit) != "bytes" || !digits(first) || !digits(last) || first == last && first == "" {
		return span{}, fmt.Errorf("%q is not a range such as bytes=0-1023", v)
	}
	if first == "" {
		n := atMost(last, size)
		if n == 0 {
			return span{}, errUnsatisfiedRange
		}
		return span{size - n, size}, nil
	}
	start, end := atMost(first, size), size
	if last != "" {
		end = min(atMost(last, size)+1, size)
		if longer(first, last) {
			return span{}, fmt.Errorf("%q begins after its end", v)
		}
	}
	if start >= size {
		return span{}, errUnsatisfiedRange
	}
	return span{start, end}, nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// atMost returns a number written in digits, or limit if that is smaller.
func atMost(s string, limit int64) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return limit // too large for 64 bits; there is no other reason left
	}
	return min(n, limit)
}

// longer reports whether the number a is larger than b, however long they are.
func longer(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return len(a) > len(b) || len(a) == len(b) && a > b
}
