package directory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// An Expression is a parsed claims matching expression of a flexible federated
// identity credential, in version 1 of its language:
//
//	claims['sub'] matches 'repo:contoso/*' and claims['job_workflow_ref'] eq '…'
//
// Source: Microsoft's page "Flexible federated identity credentials". That *
// also covers slashes and colons is inferred from its examples.
type Expression []condition

type condition struct {
	claim, operator string
	pattern         *regexp.Regexp
}

// The claims that an expression may look at, by issuer. GitLab allows its own
// domains under .com and .ca besides gitlab.com. Since August 2026 the page asks
// for an immutable claim beside sub in expressions for GitHub, and the page on
// creating a trust for one in those for GitLab. It is not said whether older
// expressions still do, so none is demanded here.
var (
	gitLabClaims   = []string{"sub", "project_id"}
	flexibleClaims = map[string][]string{
		"https://token.actions.githubusercontent.com": {"sub", "job_workflow_ref", "repository_id", "repository_owner_id"},
		"https://gitlab.com":                          gitLabClaims,
		"https://app.terraform.io":                    {"sub"},
		"https://app.eu.terraform.io":                 {"sub"},
	}
	immutableClaims = []string{"repository_id", "repository_owner_id"} // of GitHub: eq alone
	ownGitLab       = pattern.New(`^https://gitlab\.[a-z0-9-]+\.(com|ca)$`)
	clause          = pattern.New(`^claims\['([^']+)'\] (eq|matches) '((?:[^']|'')*)'`)
)

// ParseExpression reads a claims matching expression.
func ParseExpression(s string) (Expression, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("claims matching expression: %q is not valid UTF-8", s)
	}
	var e Expression
	for rest := s; ; {
		m := clause.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("claims matching expression: expected claims['name'] eq 'value' or claims['name'] matches 'pattern' at %q", rest)
		}
		e = append(e, condition{claim: m[1], operator: m[2], pattern: compare(m[2], strings.ReplaceAll(m[3], "''", "'"))})
		if rest = rest[len(m[0]):]; rest == "" {
			return e, nil
		}
		next, ok := strings.CutPrefix(rest, " and ")
		if !ok {
			return nil, fmt.Errorf("claims matching expression: expected \" and \" at %q", rest)
		}
		rest = next
	}
}

// compare returns the pattern of a clause; ? and * are special to matches only.
func compare(op, comparand string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(comparand)
	if op == "matches" {
		quoted = strings.NewReplacer(`\?`, `.`, `\*`, `.*`).Replace(quoted)
	}
	return regexp.MustCompile(`(?s)^` + quoted + `$`)
}

// Matches reports whether all conditions hold. A claim that is absent or is
// not a string matches nothing.
func (e Expression) Matches(claims map[string]any) bool {
	return !slices.ContainsFunc(e, func(c condition) bool {
		value, ok := claims[c.claim].(string)
		return !ok || !c.pattern.MatchString(value)
	})
}

func (c FederatedIdentityCredential) checkExpression() error {
	allowed, known := flexibleClaims[c.Issuer]
	if !known && ownGitLab.MatchString(c.Issuer) {
		allowed, known = gitLabClaims, true
	}
	if !known {
		return fmt.Errorf("claims matching expressions are not supported for the issuer %s; only GitHub, GitLab and Terraform Cloud", c.Issuer)
	}
	e, err := ParseExpression(c.ClaimsMatchingExpression)
	if err != nil {
		return err
	}
	for _, cond := range e {
		if !slices.Contains(allowed, cond.claim) {
			return fmt.Errorf("the claim %q cannot be used with the issuer %s; allowed: %s", cond.claim, c.Issuer, strings.Join(allowed, ", "))
		}
		if cond.operator != "eq" && slices.Contains(immutableClaims, cond.claim) {
			return fmt.Errorf("the claim %q can only be compared with eq", cond.claim)
		}
	}
	return nil
}
