package stage

import (
	"encoding/json"
	"testing"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

func TestWhatCannotBeReadIsToldInWordsOfJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"capabilities":"imds"}`:          "capabilities is text; expected a list",
		`{"protocol":"1"}`:                 "protocol is text; expected a number that fits",
		`{"protocol":1.5}`:                 "protocol is a number; expected a number that fits",
		`{"implementation":[]}`:            "implementation is a list; expected an object",
		`{"implementation":{"name":{}}}`:   "implementation.name is an object; expected text",
		`{"implementation":{"name":true}}`: "implementation.name is true or false; expected text",
		`[]`:                               "it is a list; expected an object",
		`{`:                                "unexpected end of JSON input",
	} {
		var h driver.Hello
		if got := Misread(json.Unmarshal([]byte(text), &h)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
