package scenario

import (
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// The kinds of things that have a name in a file, as messages call them.
const (
	kindTenant      = "tenant"
	kindIdentity    = "managed identity"
	kindApplication = "application"
	kindIssuer      = "issuer"
	kindHost        = "host"
	kindAccount     = "storage account"
)

// An entity is a thing that has a name in a file.
type entity struct {
	spot
	kind   string
	tenant string // name of the tenant it is listed in
	// properties are what {name.property} stands for; the empty property is
	// {name}.
	properties map[string]string
	from       *value
}

// A registry knows everything that is defined in a file.
type registry struct {
	found   *problems
	all     []*entity            // in the order of the file
	byName  map[string][]*entity // of all kinds
	claimed map[string]claim     // identifiers, which have to differ
}

type claim struct {
	what string
	line int
}

// define adds a thing. It returns nil and reports if its name is taken.
func (r *registry) define(kind, tenant string, from *value) *entity {
	for _, other := range r.byName[from.name] {
		if other.kind == kind {
			r.found.add(from.spot, "%s %q is defined twice, first in line %d; expected a name that no other %s has", kind, from.name, other.line, kind)
			return nil
		}
		if grantable(other.kind) && grantable(kind) {
			r.found.add(from.spot, "%s %q has the name of the %s of line %d; expected another, because roles name both", kind, from.name, other.kind, other.line)
			return nil
		}
	}
	e := &entity{spot: from.spot, kind: kind, tenant: tenant, properties: map[string]string{}, from: from}
	r.all = append(r.all, e)
	r.byName[from.name] = append(r.byName[from.name], e)
	return e
}

// grantable reports whether roles are granted to things of a kind.
func grantable(kind string) bool { return kind == kindApplication || kind == kindIdentity }

// claim reports when an identifier belongs to something else already. what
// says what it is in full.
func (r *registry) claim(id, what string, at spot) {
	key := strings.ToLower(id)
	if other, taken := r.claimed[key]; taken {
		r.found.add(at, "%s is the %s already (line %d); expected another for the %s", quoted(id), other.what, other.line, what)
		return
	}
	r.claimed[key] = claim{what, at.line}
}

// find returns the thing called name, of one of some kinds. It reports when
// there is none or more than one.
func (r *registry) find(name string, at spot, kinds ...string) *entity {
	var hits []*entity
	for _, e := range r.byName[name] {
		if slices.Contains(kinds, e.kind) {
			hits = append(hits, e)
		}
	}
	switch {
	case len(hits) == 0:
		r.unknown(at, anyOf(kinds)+" "+quoted(name), name, r.names(kinds...))
		return nil
	case len(hits) > 1 && hits[0].kind != hits[1].kind:
		r.found.add(at, "%q is both the %s of line %d and the %s of line %d; expected different names", name, hits[0].kind, hits[0].line, hits[1].kind, hits[1].line)
		return nil
	}
	return hits[0]
}

// unknown reports a reference to what is not there.
func (r *registry) unknown(at spot, what, word string, known []string) {
	expected := anyOf(known)
	if len(known) == 0 {
		expected = "it to be defined in this file"
	}
	if !r.found.full() {
		expected = suggestion(word, known) + " expected " + expected
	}
	r.found.add(at, "there is no %s;%s", what, expected)
}

// names returns the names of all things of some kinds.
func (r *registry) names(kinds ...string) []string {
	var out []string
	for _, e := range r.of(kinds...) {
		out = append(out, e.name)
	}
	return out
}

func (r *registry) of(kinds ...string) []*entity {
	if r.found.full() { // nothing more will be reported, so do not look for it
		return nil
	}
	var out []*entity
	for _, e := range r.all {
		if slices.Contains(kinds, e.kind) {
			out = append(out, e)
		}
	}
	return out
}

var (
	placeholder = pattern.New(`\{([^{}]*)\}`)
	brace       = pattern.New(`[{}]`)
)

// expand returns the text of v with every {name.property} replaced. It reports
// those that stand for nothing.
func (r *registry) expand(v *value) string {
	if v == nil {
		return ""
	}
	return r.expandText(v.text, v.spot)
}

func (r *registry) expandText(s string, at spot) string {
	if rest := placeholder.ReplaceAllString(s, ""); brace.MatchString(rest) {
		r.found.add(at, "%s has a brace without its partner in %s; expected {name.property}", at.name, quoted(s))
		return s
	}
	return placeholder.ReplaceAllStringFunc(s, func(all string) string {
		return r.property(all[1:len(all)-1], at)
	})
}

// property returns what {reference} stands for.
func (r *registry) property(reference string, at spot) string {
	name, property, _ := strings.Cut(reference, ".")
	var hits []*entity
	var known []string
	for _, e := range r.byName[name] {
		if _, has := e.properties[property]; has {
			hits = append(hits, e)
		}
		known = append(known, e.placeholders()...)
	}
	switch {
	case len(hits) == 0 && len(known) > 0:
		r.found.add(at, "%s stands for nothing; expected %s", quoted("{"+reference+"}"), anyOf(known))
		return "{" + reference + "}"
	case len(hits) == 0:
		r.unknown(at, quoted("{"+reference+"}")+" in this file", name, r.names(kindTenant, kindIdentity, kindApplication, kindIssuer, kindHost, kindAccount))
		return "{" + reference + "}"
	case len(hits) > 1:
		r.found.add(at, "%q is both the %s of line %d and the %s of line %d; expected different names", name, hits[0].kind, hits[0].line, hits[1].kind, hits[1].line)
	}
	return hits[0].properties[property]
}

// placeholders lists what can be written for the properties of e.
func (e *entity) placeholders() []string {
	out := make([]string, 0, len(e.properties))
	for property := range e.properties {
		out = append(out, strings.TrimSuffix("{"+e.name+"."+property, ".")+"}")
	}
	slices.Sort(out)
	return out
}
