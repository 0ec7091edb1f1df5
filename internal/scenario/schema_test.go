package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/fakeentra/fakeentra/fixtures"
)

// A schema is the part of JSON Schema that scenario.schema.json uses.
type schema struct {
	Ref                  string             `json:"$ref"`
	Defs                 map[string]*schema `json:"$defs"`
	Description          string             `json:"description"`
	Type                 any                `json:"type"`
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	AdditionalProperties json.RawMessage    `json:"additionalProperties"`
	PropertyNames        *schema            `json:"propertyNames"`
	Items                *schema            `json:"items"`
	MinItems             int                `json:"minItems"`
	AnyOf                []*schema          `json:"anyOf"`
	Enum                 []any              `json:"enum"`
	Pattern              string             `json:"pattern"`
	Minimum              *int               `json:"minimum"`
}

func TestSchemaAndParserAcceptTheSameKeysAndValues(t *testing.T) {
	var root schema
	if err := json.Unmarshal(fixtures.ScenarioSchema, &root); err != nil {
		t.Fatal(err)
	}
	w := &walk{t: t, defs: root.Defs, seen: map[*shape]bool{}}
	w.compare("", scenarioFile, &root)
	if len(w.seen) < 30 {
		t.Errorf("only %d shapes were compared", len(w.seen))
	}
}

type walk struct {
	t    *testing.T
	defs map[string]*schema
	seen map[*shape]bool
}

func (w *walk) compare(path string, s *shape, j *schema) {
	w.seen[s] = true
	for j.Ref != "" {
		j = w.defs[strings.TrimPrefix(j.Ref, "#/$defs/")]
	}
	if j.Description == "" {
		w.t.Errorf("%s: the schema does not describe it", path)
	}
	if got, want := outline(j), s.outline(); got != want {
		w.t.Errorf("%s: the schema says %s and the parser %s", path, got, want)
		return
	}
	switch s.kind {
	case record:
		for _, k := range s.keys {
			w.compare(path+"."+k.name, k.is, j.Properties[k.name])
		}
	case named:
		var of schema
		if err := json.Unmarshal(j.AdditionalProperties, &of); err != nil {
			w.t.Fatal(err)
		}
		w.compare(path+".*", s.of, &of)
	case list:
		w.compare(path+"[]", s.of, j.Items)
	case either:
		for i := range s.either {
			w.compare(fmt.Sprintf("%s|%d", path, i), s.either[i], j.AnyOf[i])
		}
	}
}

// outline says what a shape accepts, in words that a schema can be put in too.
func (s *shape) outline() string {
	switch {
	case s.kind == record:
		var required []string
		for _, k := range s.keys {
			if k.required {
				required = append(required, k.name)
			}
		}
		return fmt.Sprint("record of ", sorted(s.names()), ", required ", sorted(required))
	case s.kind == named:
		return "names like " + patternOf(s)
	case s.kind == list:
		return fmt.Sprint("list of ", s.least, " or more")
	case s.kind == either:
		return fmt.Sprint("one of ", len(s.either))
	case s.choices != nil:
		return fmt.Sprint("choice of ", sorted(s.choices))
	case s.kind == number:
		return "whole number from 0"
	case s.kind == flag:
		return "boolean"
	case slices.Contains(s.tags, "!!int"):
		return "text or number like " + patternOf(s)
	}
	return "text like " + patternOf(s)
}

func patternOf(s *shape) string {
	if s.pattern == nil {
		return "anything"
	}
	return s.pattern.String()
}

func outline(j *schema) string {
	like := func(s *schema) string {
		if s == nil || s.Pattern == "" {
			return "anything"
		}
		return s.Pattern
	}
	switch {
	case j.Properties != nil && string(j.AdditionalProperties) == "false":
		keys := []string{}
		for k := range j.Properties {
			keys = append(keys, k)
		}
		return fmt.Sprint("record of ", sorted(keys), ", required ", sorted(j.Required))
	case j.Type == "object":
		return "names like " + like(j.PropertyNames)
	case j.Type == "array":
		return fmt.Sprint("list of ", j.MinItems, " or more")
	case j.AnyOf != nil:
		return fmt.Sprint("one of ", len(j.AnyOf))
	case j.Enum != nil:
		var choices []string
		for _, v := range j.Enum {
			choices = append(choices, fmt.Sprint(v))
		}
		return fmt.Sprint("choice of ", slices.Compact(sorted(choices)))
	case j.Type == "integer" && j.Minimum != nil:
		return fmt.Sprint("whole number from ", *j.Minimum)
	case j.Type == "string":
		return "text like " + like(j)
	case cmp.Equal(j.Type, []any{"string", "integer"}):
		return "text or number like " + like(j)
	}
	return fmt.Sprint(j.Type)
}

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(fixtures.ScenarioSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("scenario.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("scenario.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance returns a YAML document as JSON Schema sees it.
func instance(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Load([]byte(text), &v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return plain(v)
}

func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return v
}

func TestSchemaAcceptsEveryScenarioOfTheProject(t *testing.T) {
	s := compiled(t)
	for name, text := range embedded(t) {
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Validate(instance(t, everything)); err != nil {
		t.Errorf("the scenario with everything: %v", err)
	}
}

func TestSchemaAndParserRefuseTheSameMistakes(t *testing.T) {
	s := compiled(t)
	for name, text := range map[string]string{
		"no version":          "tenants: {}",
		"another version":     "fakeentra: 2",
		"version as text":     `fakeentra: "1"`,
		"unknown key":         "fakeentra: 1\ntenant: {}",
		"unknown inner key":   "fakeentra: 1\ntenants: {contoso: {applications: {exporter: {secret: x}}}}",
		"list for text":       "fakeentra: 1\nseed: [a]",
		"number for text":     "fakeentra: 1\nseed: 7",
		"nothing for names":   "fakeentra: 1\ntenants:",
		"another cloud":       "fakeentra: 1\ncloud: germany",
		"another era":         "fakeentra: 1\nera: 2024",
		"bad time":            "fakeentra: 1\nclock: noon",
		"bad duration":        "fakeentra: 1\ntoken-lifetimes: {application: 1 hour}",
		"bad GUID":            "fakeentra: 1\ntenants: {contoso: {id: '123'}}",
		"bad name":            "fakeentra: 1\ntenants: {the tenant: {}}",
		"no domains":          "fakeentra: 1\ntenants: {contoso: {domains: []}}",
		"yes for true":        "fakeentra: 1\ntenants: {contoso: {applications: {exporter: {public-client: yes}}}}",
		"host without source": "fakeentra: 1\nhosts: {vm1: {}}",
		"source of tomorrow":  "fakeentra: 1\nhosts: {vm1: {source: batch}}",
		"issuer without TLS":  "fakeentra: 1\nissuers: {github: {url: 'http://example.com'}}",
		"account name":        "fakeentra: 1\ntenants: {t: {}}\nstorage-accounts: {Data: {}}",
		"container name":      "fakeentra: 1\ntenants: {t: {}}\nstorage-accounts: {data: {containers: {a--b: {}}}}",
		"list for a blob":     "fakeentra: 1\ntenants: {t: {}}\nstorage-accounts: {data: {containers: {abc: {x: []}}}}",
		"no role":             "fakeentra: 1\ntenants: {t: {managed-identities: {m: {}}}}\nstorage-accounts: {data: {roles: {m: []}}}",
		"fault without op":    "fakeentra: 1\nfaults: [{delay: 1s}]",
		"hangup false":        "fakeentra: 1\nfaults: [{op: imds.token, hangup: false}]",
		"negative count":      "fakeentra: 1\nfaults: [{op: imds.token, hangup: true, times: -1}]",
	} {
		if err := s.Validate(instance(t, text)); err == nil {
			t.Errorf("%s: the schema accepts\n%s", name, text)
		}
		if _, err := Parse("bad.yaml", []byte(text)); err == nil {
			t.Errorf("%s: the parser accepts\n%s", name, text)
		}
	}
}
