package blob

import (
	"encoding/xml"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzRange(f *testing.F) {
	for _, v := range []string{"bytes=0-0", "bytes=-5", "bytes=5-", "bytes=9-99999999999999999999", "bytes=-", "lines=1-2", "bytes=1-2,3-4"} {
		f.Add(v, int64(10))
	}
	f.Fuzz(func(t *testing.T, v string, size int64) {
		if size < 0 {
			return
		}
		if s, err := parseRange(v, size); err == nil && (s.start < 0 || s.start >= s.end || s.end > size) {
			t.Errorf("%q of %d: %+v", v, size, s)
		}
	})
}

func FuzzBlockList(f *testing.F) {
	for _, v := range []string{"<BlockList><Latest>MQ==</Latest></BlockList>", "<BlockList/>", "<BlockList><X/></BlockList>", "\ufeff<?xml version=\"1.0\"?><BlockList></BlockList>", "<"} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		list, e := parseBlockList(document)
		for _, x := range list {
			if e != nil || x.from != "Latest" && x.from != "Committed" && x.from != "Uncommitted" {
				t.Errorf("%+v, %v", x, e)
			}
		}
	})
}

func FuzzCredentials(f *testing.F) {
	for _, v := range []string{"Bearer abc", "Bearer", "", " ", "SharedKey a:b", "Bearer a b"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		scheme, parameter, ok := splitCredentials([]string{v})
		if ok && (scheme == "" || parameter == "" || strings.ContainsRune(scheme, ' ') || !strings.HasPrefix(v, scheme) || !strings.Contains(v, parameter)) {
			t.Errorf("%q: %q, %q", v, scheme, parameter)
		}
	})
}

// Whatever is asked for, the list is well-formed XML and ends.
func FuzzListParameters(f *testing.F) {
	for _, v := range []string{"prefix=a&delimiter=/", "marker=YQ&maxresults=1", "include=metadata", "prefix=%ff", "prefix=%01", "delimiter=%00&maxresults=1", "startFrom=a", "marker=_w"} {
		f.Add(v)
	}
	m := newMemory("fuzz")
	in := place{account: "contosodata", container: "reports"}
	m.putContainer(in, container{name: "reports"})
	for _, name := range []string{"a", "a/b", "a/c/d", "b\x01", "ü", "<&>\"'\r\n"} {
		m.putBlob(place{in.account, in.container, name}, blob{name: name})
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		l, e := parseListing(values, includeBlobs)
		if e != nil {
			return
		}
		for range 10 {
			var b strings.Builder
			b.WriteString("<Results>")
			l.echo(&b, true)
			next := l.blobs(m, in, &b, true)
			b.WriteString("</Results>")
			var v struct{}
			if err := xml.Unmarshal([]byte(b.String()), &v); err != nil {
				t.Fatalf("%q: %v in %s", query, err, b.String())
			}
			if next == "" {
				return
			}
			more, e := parseListing(url.Values{"marker": {next}, "prefix": {l.prefix}, "delimiter": {l.delimiter}, "maxresults": {l.maxResults}}, includeBlobs)
			if e != nil || more.from <= l.from && l.marker != "" {
				t.Fatalf("%q: the next page begins at %q after %q, %v", query, more.from, l.from, e)
			}
			l = more
		}
		t.Fatalf("%q: the list does not end", query)
	})
}

func FuzzPath(f *testing.F) {
	for _, v := range []string{"/reports/a%2Fb", "/", "", "//", "/%zz", "/a/%FF", "/a/b\\c"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		if c, b, ok := splitPath(escaped); ok && (!utf8.ValidString(c) || !utf8.ValidString(b) || strings.Contains(b, `\`)) {
			t.Errorf("%q: %q, %q", escaped, c, b)
		}
	})
}
