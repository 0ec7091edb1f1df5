package schema

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// complete is the library that has all of JSON Schema.
func complete(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	for name, text := range map[string][]byte{"request.json": requestSchema, "answer.json": answerSchema} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]*jsonschema.Schema{}
	for name, at := range map[string]string{
		"request": "request.json", "answer": "answer.json", toHello: "answer.json" + toHello, toToken: "answer.json" + toToken, toOpen: "answer.json" + toOpen,
	} {
		s, err := c.Compile(at)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = s
	}
	return all
}

// permits reports whether a text is as a schema has it.
func permits(t testing.TB, s *jsonschema.Schema, text []byte) bool {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc) == nil
}

var messages = []struct {
	op   driver.Op // empty for a request
	text string
	want string // empty if it is right
}{
	{"", `{"id":1,"op":"hello","protocol":1,"suite":"1.0","seed":"s"}`, ``},
	{"", `{"id":1,"op":"hello"}`, `at "": expected a member "protocol"`},
	{"", `{"id":1,"op":"token","session":"a","scopes":["x"],"n":2}`, ``},
	{"", `{"id":1,"op":"token","session":"a"}`, `at "": expected a member "scopes"`},
	{"", `{"id":1,"op":"token","session":"a","scopes":["x",2]}`, `at "/scopes/1": expected string, got number`},
	{"", `{"id":1,"op":"setenv","vars":{"A":"b"}}`, ``},
	{"", `{"id":1,"op":"setenv","vars":{"a/b~":1}}`, `at "/vars/a~1b~0": expected string, got number`},
	{"", `{"id":1,"op":"dance"}`, `at "/op": expected one of [hello open token mi_token resource setenv close stop], got "dance"`},
	{"", `{"id":null,"op":"stop"}`, `at "/id": expected string or number, got null`},
	{"", `{"id":1,"op":"token","session":"a","scopes":[],"timeout_ms":0}`, `at "/timeout_ms": expected 1 or more, got 0`},
	{"", `{"id":1,"op":"open","session":"a","config":{"cloud":"public"}}`, `at "/config": expected a member "tenant"`},
	{driver.OpHello, `{"id":1,"ok":{"protocol":1,"implementation":{"name":"a","version":"1","language":"go"},"capabilities":["imds"]}}`, ``},
	{driver.OpHello, `{"id":1,"ok":{"protocol":2,"implementation":{"name":"a","version":"1","language":"go"},"capabilities":[]}}`, `at "/ok/protocol": expected 1, got 2`},
	{driver.OpHello, `{"id":1,"ok":{"protocol":1,"implementation":{"name":"a","version":"1"},"capabilities":[]}}`, `at "/ok/implementation": expected a member "language"`},
	{driver.OpHello, `{"id":1,"ok":{"protocol":1,"implementation":{"name":"a","version":"1","language":"go"},"capabilities":["imds","imds"]}}`, `at "/ok/capabilities": expected each item once, got "imds" twice`},
	{driver.OpToken, `{"id":1,"ok":{"results":[{"token":"t","expires_on":1.0},{"error":{"kind":"auth","message":"m"}}]}}`, ``},
	{driver.OpToken, `{"id":1,"ok":{"results":[{"token":"t"},{"expiresOn":1}]}}`,
		`at "/ok/results/1": there is no member "expiresOn"; expected some of error, expires_on, from_cache, items, refresh_on, sha256, status, token, token_type`},
	{driver.OpToken, `{"id":1,"ok":{"results":[{"token":"t","expires_on":1.5}]}}`, `at "/ok/results/0/expires_on": expected integer, got number`},
	{driver.OpToken, `{"id":1,"ok":{"results":[{"token":{"secret":1}}]}}`, `at "/ok/results/0/token": expected string, got object`},
	{driver.OpResource, `{"id":1,"ok":{"results":[{"sha256":"12"}]}}`, `at "/ok/results/0/sha256": expected text that matches ^[0-9a-fA-F]{64}$`},
	{driver.OpToken, `{"id":1,"ok":{}}`, `at "/ok": expected a member "results"`},
	{driver.OpToken, `{"id":1,"skip":{"reason":"r"}}`, ``},
	{driver.OpOpen, `{"id":"x","ok":{}}`, ``},
	{driver.OpOpen, `{"id":"x"}`, `at "": expected 2 members or more, got 1`},
	{driver.OpOpen, `{"id":"x","ok":{},"skip":{"reason":"r"}}`, `at "": expected 2 members or fewer, got 3`},
	{driver.OpClose, `{"id":"x","error":{"message":1}}`, `at "/error/message": expected string, got number`},
	{driver.OpClose, `[]`, `at "": expected object, got array`},
}

func TestWhatIsWrongWithAMessageIsNamedWithItsPlace(t *testing.T) {
	library := complete(t)
	for _, m := range messages {
		check, name := Request, "request"
		if m.op != "" {
			check, name = func(text []byte) error { return Answer(m.op, text) }, part(m.op)
		}
		got := ""
		if err := check([]byte(m.text)); err != nil {
			got = err.Error()
		}
		if got != m.want {
			t.Errorf("%s %s:\n got %s\nwant %s", m.op, m.text, got, m.want)
		}
		if permits(t, library[name], []byte(m.text)) != (m.want == "") {
			t.Errorf("the library does not agree on %s", m.text)
		}
		if m.op != "" && m.want == "" && !permits(t, library["answer"], []byte(m.text)) {
			t.Errorf("the schema as a whole refuses %s", m.text)
		}
	}
	for _, rest := range []string{"A", "}", " {}"} {
		err := Request([]byte(`{"id":1,"op":"stop"}` + rest))
		if want := "something follows the JSON; expected its end"; err == nil || err.Error() != want {
			t.Errorf("a request with %q after it: %v, want %s", rest, err, want)
		}
	}
	if err := Request([]byte("{")); err == nil {
		t.Error("half an object is a request")
	}
}

func FuzzTheLibraryAgrees(f *testing.F) {
	library := complete(f)
	for _, m := range messages {
		f.Add(m.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text))); err != nil {
			if Request([]byte(text)) == nil {
				t.Errorf("the request %s is taken, and is no JSON by the library: %v", text, err)
			}
			return
		}
		if ours, theirs := Request([]byte(text)) == nil, permits(t, library["request"], []byte(text)); ours != theirs {
			t.Errorf("the request %s: %v, and %v by the library", text, ours, theirs)
		}
		for _, op := range []driver.Op{driver.OpHello, driver.OpToken, driver.OpOpen} {
			if ours, theirs := Answer(op, []byte(text)) == nil, permits(t, library[part(op)], []byte(text)); ours != theirs {
				t.Errorf("the answer %s to %s: %v, and %v by the library", text, op, ours, theirs)
			}
		}
	})
}
