package schema

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A member is one of a type in Go, as JSON has it.
type member struct {
	kind     string // of JSON Schema
	required bool
}

// members lists those of a type, and those that it embeds, which are for some
// operations only.
func membersOf(t *testing.T, typ reflect.Type) map[string]member {
	t.Helper()
	all := map[string]member{}
	for f := range typ.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && f.Type.Kind() == reflect.Pointer:
			for name, m := range membersOf(t, f.Type.Elem()) {
				all[name] = member{m.kind, false}
			}
		default:
			all[name] = member{kindOf(t, f.Type), option != "omitempty"}
		}
	}
	return all
}

func kindOf(t *testing.T, typ reflect.Type) string {
	t.Helper()
	if typ == reflect.TypeFor[json.RawMessage]() {
		return "any"
	}
	if typ == reflect.TypeFor[time.Time]() {
		return "string"
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return kindOf(t, typ.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Slice:
		return "array of " + kindOf(t, typ.Elem())
	case reflect.Map, reflect.Struct:
		return "object"
	}
	t.Fatalf("there is no kind for %v", typ)
	return ""
}

// described lists the members of an object in a schema.
func described(t *testing.T, d *document, part string) map[string]member {
	t.Helper()
	s := d.find(part)
	all := map[string]member{}
	for name, p := range s["properties"].(map[string]any) {
		all[name] = member{kindIn(t, d, p.(map[string]any)), slices.Contains(words(s["required"]), name)}
	}
	if s["additionalProperties"] != false {
		t.Errorf("%s lets members be that there are not", part)
	}
	return all
}

func kindIn(t *testing.T, d *document, p map[string]any) string {
	t.Helper()
	if ref, ok := p["$ref"].(string); ok {
		return kindIn(t, d, d.find(ref))
	}
	all, ok := p["enum"].([]any)
	if one, constant := p["const"]; constant {
		all, ok = []any{one}, true
	}
	if ok {
		if typeOf(all[0]) == "number" {
			return "integer"
		}
		return typeOf(all[0])
	}
	types := words(p["type"])
	switch {
	case slices.Equal(types, []string{"string", "number"}):
		return "any" // an ID
	case types[0] == "array":
		return "array of " + kindIn(t, d, p["items"].(map[string]any))
	}
	return types[0]
}

func TestTheSchemasDescribeTheTypes(t *testing.T) {
	for _, c := range []struct {
		d    *document
		part string
		typ  reflect.Type
	}{
		{requests(), "#", reflect.TypeFor[driver.Request]()},
		{requests(), "#/$defs/config", reflect.TypeFor[driver.Config]()},
		{requests(), "#/$defs/identity", reflect.TypeFor[driver.Identity]()},
		{requests(), "#/$defs/endpoints", reflect.TypeFor[driver.Endpoints]()},
		{answers(), toHello, reflect.TypeFor[driver.Answer]()},
		{answers(), toToken, reflect.TypeFor[driver.Answer]()},
		{answers(), toOpen, reflect.TypeFor[driver.Answer]()},
		{answers(), "#/$defs/hello", reflect.TypeFor[driver.Hello]()},
		{answers(), "#/$defs/implementation", reflect.TypeFor[driver.Implementation]()},
		{answers(), "#/$defs/dependency", reflect.TypeFor[driver.Dependency]()},
		{answers(), "#/$defs/results", reflect.TypeFor[driver.Results]()},
		{answers(), "#/$defs/outcome", reflect.TypeFor[driver.Outcome]()},
		{answers(), "#/$defs/failure", reflect.TypeFor[driver.Failure]()},
		{answers(), "#/$defs/skip", reflect.TypeFor[driver.Skip]()},
		{reports(), "#", reflect.TypeFor[suite.Report]()},
		{reports(), "#/$defs/suite", reflect.TypeFor[suite.Suite]()},
		{reports(), "#/$defs/driver", reflect.TypeFor[driver.Hello]()},
		{reports(), "#/$defs/implementation", reflect.TypeFor[driver.Implementation]()},
		{reports(), "#/$defs/dependency", reflect.TypeFor[driver.Dependency]()},
		{reports(), "#/$defs/result", reflect.TypeFor[suite.Result]()},
		{reports(), "#/$defs/expected", reflect.TypeFor[suite.Expected]()},
		{reports(), "#/$defs/case", reflect.TypeFor[suite.CaseResult]()},
		{reports(), "#/$defs/condition", reflect.TypeFor[suite.Condition]()},
		{reports(), "#/$defs/exchange", reflect.TypeFor[suite.Exchange]()},
		{reports(), "#/$defs/claims", reflect.TypeFor[suite.Claims]()},
		{reports(), "#/$defs/standing", reflect.TypeFor[suite.Standing]()},
		{reports(), "#/$defs/partial", reflect.TypeFor[suite.Partial]()},
	} {
		want := membersOf(t, c.typ)
		if ok, there := want["ok"]; there { // what it is differs with the operation
			want["ok"] = member{"object", ok.required}
		}
		if diff := cmp.Diff(want, described(t, c.d, c.part), cmp.AllowUnexported(member{})); diff != "" {
			t.Errorf("%v and %s (-type +schema):\n%s", c.typ, c.part, diff)
		}
	}
}

func TestEveryPartOfTheSchemasIsCompared(t *testing.T) {
	if got := slices.Sorted(maps.Keys(requests().find("#/$defs"))); !slices.Equal(got, []string{"config", "endpoints", "identity"}) {
		t.Errorf("requests have the parts %q", got)
	}
	want := []string{"dependency", "failure", "hello", "id", "implementation", "outcome", "results", "skip", "to_hello", "to_open", "to_token"}
	if got := slices.Sorted(maps.Keys(answers().find("#/$defs"))); !slices.Equal(got, want) {
		t.Errorf("answers have the parts %q", got)
	}
	want = []string{
		"case", "claims", "condition", "dependency", "driver", "exchange", "expected", "header", "implementation", "level", "line", "millis", "partial", "result", "standing", "suite", "verdict",
	}
	if got := slices.Sorted(maps.Keys(reports().find("#/$defs"))); !slices.Equal(got, want) {
		t.Errorf("reports have the parts %q", got)
	}
}

func TestTheWordsOfTheSchemasAreThoseOfTheProtocol(t *testing.T) {
	capabilities := driver.Capabilities()
	var sources []driver.Capability
	for _, c := range capabilities {
		if c == driver.IdentityClientID {
			break
		}
		sources = append(sources, c)
	}
	for _, c := range []struct {
		d    *document
		part string
		want any
	}{
		{requests(), "#/properties/op", []driver.Op{driver.OpHello, driver.OpOpen, driver.OpToken, driver.OpMIToken, driver.OpResource, driver.OpSetEnv, driver.OpClose, driver.OpStop}},
		{requests(), "#/properties/action", []string{driver.ListBlobs, driver.Get}},
		{requests(), "#/$defs/config/properties/mi_source", sources},
		{answers(), "#/$defs/hello/properties/capabilities/items", capabilities},
		{answers(), "#/$defs/failure/properties/kind", driver.Kinds()},
		{reports(), "#/$defs/level", []suite.Level{suite.Must, suite.Should, suite.May}},
		{reports(), "#/$defs/verdict", suite.Verdicts()},
	} {
		text, err := json.Marshal(c.want)
		if err != nil {
			t.Fatal(err)
		}
		want, err := decoded(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.d.find(c.part)["enum"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.part, diff)
		}
	}
}

// The checker of this package knows no other keywords, and would pass over them.
func TestTheCheckerKnowsTheKeywordsOfTheSchemas(t *testing.T) {
	known := []string{
		"$ref", "additionalProperties", "allOf", "anyOf", "const", "enum", "if", "items", "maxProperties", "minProperties", "minimum", "pattern", "properties", "required", "then", "type", "uniqueItems",
		"$defs", "$id", "$schema", "description", "format", "title", // which require nothing here
	}
	for _, d := range []*document{requests(), answers(), reports()} {
		var walk func(v any, named bool)
		walk = func(v any, named bool) {
			switch v := v.(type) {
			case []any:
				for _, item := range v {
					walk(item, false)
				}
			case map[string]any:
				for key, value := range v {
					if !named && !slices.Contains(known, key) {
						t.Errorf("%s has the keyword %q", d.root["title"], key)
					}
					if key != "enum" && key != "const" {
						walk(value, !named && (key == "properties" || key == "$defs"))
					}
				}
			}
		}
		walk(d.root, false)
	}
}

func TestEverySchemaHasAName(t *testing.T) {
	for _, name := range Names() {
		var s struct{ Title string }
		if err := json.Unmarshal(Text(name), &s); err != nil || s.Title == "" {
			t.Errorf("%s is %q, %v", name, s.Title, err)
		}
	}
	if Text("other") != nil {
		t.Error("there is another one")
	}
}
