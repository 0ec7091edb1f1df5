package blob

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pattern"
)

// metadata are the name-value pairs of a container or a blob, sorted by name.
type metadata []pair

type pair struct{ name, value string }

const (
	metadataPrefix = "x-ms-meta-"
	maxMetadata    = 8 << 10 // bytes of all names and values together
)

// metadataName is the rule for identifiers of C#, cut to ASCII, which is all
// that a header field name may hold.
var metadataName = pattern.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// metadataOf reads the metadata that a request carries. The service keeps the
// letter case of names. Over a connection that is lost before it gets here, and
// names are taken to be in lower case; a client in the same process may still
// have its own spelling.
func metadataOf(h http.Header) (metadata, *Error) {
	var m metadata
	size := 0
	for field, values := range h {
		if len(field) < len(metadataPrefix) || !strings.EqualFold(field[:len(metadataPrefix)], metadataPrefix) {
			continue
		}
		name := field[len(metadataPrefix):]
		if !strings.HasPrefix(field, metadataPrefix) {
			name = strings.ToLower(name)
		}
		if name == "" {
			return nil, errMetadataKey.because("a header field is called %s, without a name after it", field)
		}
		if !metadataName.MatchString(name) {
			return nil, errMetadata.because("the metadata name %q is not an identifier: letters, digits and _ are allowed, and no digit in front", name)
		}
		value := strings.Join(values, ",")
		size += len(name) + len(value)
		m = append(m, pair{name, value})
	}
	if size > maxMetadata {
		return nil, errMetadataLarge.because("the metadata has %d bytes; at most %d are allowed", size, maxMetadata)
	}
	slices.SortFunc(m, func(a, b pair) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	for i := 1; i < len(m); i++ {
		if strings.EqualFold(m[i-1].name, m[i].name) {
			return nil, errMetadata.because("the metadata name %q appears twice", m[i].name)
		}
	}
	return m, nil
}

// addTo writes the metadata to a response header, in the client's spelling.
func (m metadata) addTo(resp edge.Response) {
	for _, p := range m {
		resp.Header[metadataPrefix+p.name] = []string{p.value}
	}
}

// element writes the metadata into a list.
func (m metadata) element(b *strings.Builder) {
	b.WriteString("<Metadata>")
	for _, p := range m {
		element(b, p.name, p.value)
	}
	b.WriteString("</Metadata>")
}
