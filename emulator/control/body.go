package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// readBody returns the whole body of a request, or nothing if it has none.
func readBody(r *http.Request) ([]byte, *refusal) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, edge.MaxBody+1))
	switch {
	case err != nil:
		return nil, refuse("unreadable-body", err)
	case len(body) > edge.MaxBody:
		return nil, refuse("large-body")
	case len(body) == 0:
		return nil, nil
	}
	sent := r.Header.Get("Content-Type")
	if mediaType, _, err := mime.ParseMediaType(sent); err != nil || mediaType != "application/json" {
		return nil, refuse("not-json", sent)
	}
	return body, nil
}

// readTexts reads a body that is an object of texts with some of the members
// in names. An empty body has none. example shows a right one.
func readTexts(body []byte, example string, names ...string) (map[string]string, *refusal) {
	texts := map[string]string{}
	if len(body) == 0 {
		return texts, nil
	}
	wrong := func(format string, args ...any) (map[string]string, *refusal) {
		return nil, refuse("bad-body", fmt.Sprintf(format, args...)).expecting(example)
	}
	var object json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return wrong("the request body is not JSON: %v", err)
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if brace, _ := d.Token(); brace != json.Delim('{') {
		return wrong("the request body is not an object")
	}
	for d.More() { // by token, because encoding/json folds case and overlooks repetition
		token, _ := d.Token()
		name, _ := token.(string)
		value, _ := d.Token()
		text, isText := value.(string)
		_, again := texts[name]
		switch {
		case !slices.Contains(names, name):
			return wrong("the request body has the unknown member %q", name)
		case again:
			return wrong("the request body has the member %q twice", name)
		case !isText:
			return wrong("the member %q of the request body is not text", name)
		}
		texts[name] = text
	}
	return texts, nil
}
