package expect

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// numbers are the part of a version that is compared.
var numbers = pattern.New(`^v?\d+(\.\d+){0,2}`)

// parseVersion returns what is compared of a version, as package semver has it, or
// nothing if it has no numbers.
func parseVersion(text string) string {
	n := numbers.FindStringSubmatch(text)
	if n == nil || !semver.IsValid("v"+strings.TrimPrefix(n[0], "v")) {
		return ""
	}
	return "v" + strings.TrimPrefix(n[0], "v")
}

type comparison struct {
	operator string
	signs    []int
}

// comparisons are the operators of constraints, the longer ones first, with the
// signs that [semver.Compare] may return for them.
var comparisons = []comparison{
	{">=", []int{0, 1}}, {"<=", []int{0, -1}}, {"!=", []int{1, -1}}, {">", []int{1}}, {"<", []int{-1}}, {"=", []int{0}},
}

// A constraint is one such as ">=7.2, <8", all of whose parts have to hold.
type constraint []func(version string) bool

func parseConstraint(text string) (constraint, bool) {
	var all constraint
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		i := slices.IndexFunc(comparisons, func(c comparison) bool { return strings.HasPrefix(part, c.operator) })
		if i < 0 {
			return nil, false
		}
		than := strings.TrimSpace(part[len(comparisons[i].operator):])
		if v := parseVersion(than); v == "" || v != "v"+strings.TrimPrefix(than, "v") {
			return nil, false
		}
		signs := comparisons[i].signs
		all = append(all, func(version string) bool { return slices.Contains(signs, semver.Compare(version, parseVersion(than))) })
	}
	return all, true
}

func (c constraint) holds(version string) bool {
	return !slices.ContainsFunc(c, func(part func(string) bool) bool { return !part(version) })
}
