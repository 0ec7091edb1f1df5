package directory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// A FederatedIdentityCredential lets an application or a managed identity
// authenticate with a token that someone else issued.
type FederatedIdentityCredential struct {
	Name      string
	Issuer    string
	Subject   string // empty when ClaimsMatchingExpression is set
	Audiences []string
	// ClaimsMatchingExpression is the flexible form of Subject, in version 1
	// of its language.
	ClaimsMatchingExpression string
	// VisibleFrom is when the token service learns of the credential; the zero
	// time means at once. Entra takes some minutes.
	VisibleFrom time.Time
}

// A Presented is what an assertion claims to be.
type Presented struct {
	Issuer, Subject string
	Audience        []string
	Claims          map[string]any // for flexible credentials
}

// A Field is the part of a federated identity credential that a comparison is
// about.
type Field string

// The fields, in the order in which they are compared.
const (
	Issuer   Field = "issuer"
	Audience Field = "audience"
	Subject  Field = "subject"
)

// stage orders mismatches: the later the field, the closer the credential came.
func (f Field) stage() int { return slices.Index([]Field{Issuer, Audience, Subject}, f) }

// A Mismatch says which part of a federated identity credential an assertion
// did not match, and what was presented instead.
type Mismatch struct {
	Credential string // name of the credential
	Field      Field
	Want, Got  string
	CaseOnly   bool // Want and Got differ in letter case alone
}

// MatchFederated returns the credential that p satisfies. If there is none, it
// returns one mismatch for each credential, the one that came closest first.
//
// All comparisons are exact and regard letter case: Microsoft announced so in
// "Breaking changes", August 2024. Issuer, audience and subject are compared
// in this order, which is inferred from reports.
func MatchFederated(credentials []FederatedIdentityCredential, p Presented) (FederatedIdentityCredential, []Mismatch) {
	misses := make([]Mismatch, 0, len(credentials))
	for _, c := range credentials {
		miss, ok := c.compare(p)
		if ok {
			return c, nil
		}
		misses = append(misses, miss)
	}
	slices.SortStableFunc(misses, func(a, b Mismatch) int {
		if byStage := cmp.Compare(b.Field.stage(), a.Field.stage()); byStage != 0 {
			return byStage
		}
		return cmp.Compare(rank(b.CaseOnly), rank(a.CaseOnly))
	})
	return FederatedIdentityCredential{}, misses
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c FederatedIdentityCredential) compare(p Presented) (Mismatch, bool) {
	if c.Issuer != p.Issuer {
		return c.miss(Issuer, c.Issuer, p.Issuer), false
	}
	if !slices.ContainsFunc(c.Audiences, func(a string) bool { return slices.Contains(p.Audience, a) }) {
		return c.miss(Audience, strings.Join(c.Audiences, ", "), strings.Join(p.Audience, ", ")), false
	}
	if c.ClaimsMatchingExpression != "" {
		if e, err := ParseExpression(c.ClaimsMatchingExpression); err == nil && e.Matches(p.Claims) {
			return Mismatch{}, true
		}
		return c.miss(Subject, c.ClaimsMatchingExpression, p.Subject), false
	}
	if c.Subject != p.Subject {
		return c.miss(Subject, c.Subject, p.Subject), false
	}
	return Mismatch{}, true
}

func (c FederatedIdentityCredential) miss(f Field, want, got string) Mismatch {
	return Mismatch{Credential: c.Name, Field: f, Want: want, Got: got, CaseOnly: strings.EqualFold(want, got)}
}

// MaxFederated is how many federated identity credentials an application or a
// user-assigned managed identity can have.
const MaxFederated = 20

// federatedName leaves the length out: to count in an expression takes as long
// to compile as all the other expressions of a program.
var federatedName = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// CheckFederated returns the first rule of Microsoft Graph that the
// credentials of one application break together. These are the rules that
// stop a credential from being created ("Important considerations and
// restrictions for federated identity credentials"); a wrong value is not
// among them, it shows at the exchange.
func CheckFederated(credentials []FederatedIdentityCredential) error {
	if len(credentials) > MaxFederated {
		return fmt.Errorf("%d federated identity credentials; an application or a managed identity can have %d at most", len(credentials), MaxFederated)
	}
	names, pairs := map[string]bool{}, map[[2]string]string{}
	for _, c := range credentials {
		if err := c.check(); err != nil {
			return fmt.Errorf("federated identity credential %q: %w", c.Name, err)
		}
		pair := [2]string{c.Issuer, c.Subject + c.ClaimsMatchingExpression}
		switch other, taken := pairs[pair]; {
		case names[c.Name]:
			return fmt.Errorf("two federated identity credentials are named %q", c.Name)
		case taken:
			return fmt.Errorf("federated identity credentials %q and %q have the same issuer and subject, which have to be unique together", other, c.Name)
		}
		names[c.Name], pairs[pair] = true, c.Name
	}
	return nil
}

func (c FederatedIdentityCredential) check() error {
	if len(c.Name) < 3 || len(c.Name) > 120 || !federatedName.MatchString(c.Name) {
		return fmt.Errorf("a name has 3 to 120 letters, digits, hyphens and underscores and begins with a letter or digit")
	}
	if len(c.Audiences) != 1 {
		return fmt.Errorf("has %d audiences; it must have exactly one", len(c.Audiences))
	}
	for what, value := range map[string]string{"issuer": c.Issuer, "audience": c.Audiences[0], "subject": c.Subject + c.ClaimsMatchingExpression} {
		if value == "" || len(value) > 600 {
			return fmt.Errorf("its %s has %d characters; between 1 and 600 are allowed", what, len(value))
		}
	}
	if c.ClaimsMatchingExpression == "" {
		return nil
	}
	if c.Subject != "" {
		return fmt.Errorf("has a subject and a claims matching expression; only one of them is allowed")
	}
	return c.checkExpression()
}
