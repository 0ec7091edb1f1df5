package directory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	issuer   = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0"
	audience = "api://AzureADTokenExchange"
	subject  = "33333333-3333-3333-3333-333333333333"
	github   = "https://token.actions.githubusercontent.com"
)

func credential(edit func(*FederatedIdentityCredential)) FederatedIdentityCredential {
	c := FederatedIdentityCredential{Name: "msi-as-fic", Issuer: issuer, Subject: subject, Audiences: []string{audience}}
	if edit != nil {
		edit(&c)
	}
	return c
}

func TestMatchFederatedComparesExactly(t *testing.T) {
	presented := Presented{Issuer: issuer, Subject: subject, Audience: []string{audience}}
	for name, tc := range map[string]struct {
		edit     func(*FederatedIdentityCredential)
		field    Field
		caseOnly bool
	}{
		"the same":                  {edit: nil},
		"issuer with a slash":       {edit: func(c *FederatedIdentityCredential) { c.Issuer += "/" }, field: Issuer},
		"issuer with leading space": {edit: func(c *FederatedIdentityCredential) { c.Issuer = " " + c.Issuer }, field: Issuer},
		"issuer in other case":      {edit: func(c *FederatedIdentityCredential) { c.Issuer = strings.ToUpper(issuer) }, field: Issuer, caseOnly: true},
		"v1 issuer":                 {edit: func(c *FederatedIdentityCredential) { c.Issuer = strings.TrimSuffix(c.Issuer, "/v2.0") }, field: Issuer},
		"audience in other case":    {edit: func(c *FederatedIdentityCredential) { c.Audiences[0] = strings.ToLower(audience) }, field: Audience, caseOnly: true},
		"another audience":          {edit: func(c *FederatedIdentityCredential) { c.Audiences[0] = "api://other" }, field: Audience},
		"another subject":           {edit: func(c *FederatedIdentityCredential) { c.Subject = "4" + subject[1:] }, field: Subject},
		"subject is not a pattern":  {edit: func(c *FederatedIdentityCredential) { c.Subject = "*" }, field: Subject},
	} {
		t.Run(name, func(t *testing.T) {
			got, misses := MatchFederated([]FederatedIdentityCredential{credential(tc.edit)}, presented)
			if tc.field == "" {
				if got.Name != "msi-as-fic" || len(misses) != 0 {
					t.Fatalf("got %+v and mismatches %+v, want a match", got, misses)
				}
				return
			}
			if len(misses) != 1 || misses[0].Field != tc.field || misses[0].CaseOnly != tc.caseOnly {
				t.Fatalf("mismatches = %+v, want one about the %s, case only %v", misses, tc.field, tc.caseOnly)
			}
		})
	}
}

func TestMatchFederatedReportsTheClosestFirst(t *testing.T) {
	far := credential(func(c *FederatedIdentityCredential) { c.Name = "far"; c.Issuer = github })
	near := credential(func(c *FederatedIdentityCredential) { c.Name = "near"; c.Subject = "repo:x" })
	nearest := credential(func(c *FederatedIdentityCredential) { c.Name = "nearest"; c.Subject = "REPO:CONTOSO" })
	_, misses := MatchFederated([]FederatedIdentityCredential{far, near, nearest},
		Presented{Issuer: issuer, Subject: "repo:contoso", Audience: []string{audience}})
	want := []Mismatch{
		{Credential: "nearest", Field: Subject, Want: "REPO:CONTOSO", Got: "repo:contoso", CaseOnly: true},
		{Credential: "near", Field: Subject, Want: "repo:x", Got: "repo:contoso"},
		{Credential: "far", Field: Issuer, Want: github, Got: issuer},
	}
	if diff := cmp.Diff(want, misses); diff != "" {
		t.Fatalf("mismatches differ (-want +got):\n%s", diff)
	}
}

func TestFlexibleCredentials(t *testing.T) {
	for _, tc := range []struct {
		expression string
		claims     map[string]any
		want       bool
	}{
		{"claims['sub'] eq 'repo:contoso/app'", map[string]any{"sub": "repo:contoso/app"}, true},
		{"claims['sub'] eq 'repo:contoso/*'", map[string]any{"sub": "repo:contoso/app"}, false},
		{"claims['sub'] matches 'repo:contoso/*'", map[string]any{"sub": "repo:contoso/app:ref:refs/heads/main"}, true},
		{"claims['sub'] matches 'repo:contoso/ap?'", map[string]any{"sub": "repo:contoso/app"}, true},
		{"claims['sub'] matches 'repo:contoso/ap?'", map[string]any{"sub": "repo:contoso/ap"}, false},
		{"claims['sub'] matches 'repo.contoso/*'", map[string]any{"sub": "repo:contoso/app"}, false},
		{"claims['sub'] matches '*' and claims['job_workflow_ref'] eq 'w'", map[string]any{"sub": "x", "job_workflow_ref": "w"}, true},
		{"claims['sub'] matches '*' and claims['job_workflow_ref'] eq 'w'", map[string]any{"sub": "x"}, false},
		{"claims['sub'] eq 'it''s'", map[string]any{"sub": "it's"}, true},
		{"claims['sub'] matches '*'", map[string]any{"sub": 7}, false},
	} {
		e, err := ParseExpression(tc.expression)
		if err != nil {
			t.Errorf("ParseExpression(%q): %v", tc.expression, err)
			continue
		}
		if got := e.Matches(tc.claims); got != tc.want {
			t.Errorf("%s matches %v = %v, want %v", tc.expression, tc.claims, got, tc.want)
		}
	}
}

func TestCheckFederatedNamesTheRule(t *testing.T) {
	many := make([]FederatedIdentityCredential, MaxFederated+1)
	for i := range many {
		many[i] = credential(func(c *FederatedIdentityCredential) {
			c.Name, c.Subject = fmt.Sprintf("fic%d", i), fmt.Sprint(i)
		})
	}
	flexible := func(issuer, expression string) FederatedIdentityCredential {
		return FederatedIdentityCredential{Name: "flexible", Issuer: issuer, Audiences: []string{audience}, ClaimsMatchingExpression: expression}
	}
	one := func(edit func(*FederatedIdentityCredential)) []FederatedIdentityCredential {
		return []FederatedIdentityCredential{credential(edit)}
	}
	for name, tc := range map[string]struct {
		in   []FederatedIdentityCredential
		want string
	}{
		"twenty-one":         {many, "can have 20 at most"},
		"two audiences":      {one(func(c *FederatedIdentityCredential) { c.Audiences = []string{"a", "b"} }), "has 2 audiences; it must have exactly one"},
		"short name":         {one(func(c *FederatedIdentityCredential) { c.Name = "ab" }), "3 to 120"},
		"long name":          {one(func(c *FederatedIdentityCredential) { c.Name = strings.Repeat("n", 121) }), "3 to 120"},
		"no subject":         {one(func(c *FederatedIdentityCredential) { c.Subject = "" }), "its subject has 0 characters"},
		"long issuer":        {one(func(c *FederatedIdentityCredential) { c.Issuer = strings.Repeat("x", 601) }), "its issuer has 601 characters"},
		"same name":          {append(one(nil), credential(func(c *FederatedIdentityCredential) { c.Subject = "other" })), `two federated identity credentials are named "msi-as-fic"`},
		"same pair":          {append(one(nil), credential(func(c *FederatedIdentityCredential) { c.Name = "second" })), "have the same issuer and subject"},
		"flexible for Entra": {[]FederatedIdentityCredential{flexible(issuer, "claims['sub'] eq 'x'")}, "not supported for the issuer"},
		"flexible claim":     {[]FederatedIdentityCredential{flexible(github, "claims['actor'] eq 'x'")}, `the claim "actor" cannot be used`},
		"flexible operator":  {[]FederatedIdentityCredential{flexible(github, "claims['sub'] eq 'x' and claims['repository_id'] matches '4*'")}, `the claim "repository_id" can only be compared with eq`},
		"flexible syntax":    {[]FederatedIdentityCredential{flexible(github, "claims['sub'] like 'x'")}, "expected claims['name'] eq"},
		"flexible or":        {[]FederatedIdentityCredential{flexible(github, "claims['sub'] eq 'x' or claims['sub'] eq 'y'")}, `expected " and "`},
		"both":               {one(func(c *FederatedIdentityCredential) { c.ClaimsMatchingExpression = "claims['sub'] eq 'x'" }), "only one of them is allowed"},
	} {
		err := CheckFederated(tc.in)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one that says %q", name, err, tc.want)
		}
	}
	named := func(name string, c FederatedIdentityCredential) FederatedIdentityCredential { c.Name = name; return c }
	ok := []FederatedIdentityCredential{
		credential(nil), flexible("https://gitlab.contoso.ca", "claims['sub'] matches '*'"),
		named("gitlab-project", flexible("https://gitlab.com", "claims['sub'] matches '*' and claims['project_id'] eq '7'")),
		named("github-repository", flexible(github, "claims['sub'] matches 'repo:contoso/contoso-repo:ref:refs/heads/*' and claims['repository_id'] eq '456789' and claims['repository_owner_id'] eq '123456'")),
	}
	longest := credential(func(c *FederatedIdentityCredential) {
		c.Name, c.Issuer, c.Subject, c.Audiences[0] = strings.Repeat("n", 120), strings.Repeat("i", 600), strings.Repeat("s", 600), strings.Repeat("a", 600)
	})
	for what, good := range map[string][]FederatedIdentityCredential{"good": ok, "twenty": many[:MaxFederated], "shortest": {named("fic", credential(nil))}, "longest": {longest}} {
		if err := CheckFederated(good); err != nil {
			t.Errorf("%s credentials: %v", what, err)
		}
	}
}

func FuzzMatchFederated(f *testing.F) {
	f.Add(issuer, subject, audience, "claims['sub'] matches 'repo:*'")
	f.Add("", "", "", "claims['sub'] eq ''''")
	f.Add("", "", "", "claims['sub'] matches 'r\xe8*'")
	f.Fuzz(func(t *testing.T, iss, sub, aud, expression string) {
		c := FederatedIdentityCredential{Name: "one", Issuer: issuer, Subject: subject, Audiences: []string{audience}}
		_, misses := MatchFederated([]FederatedIdentityCredential{c}, Presented{Issuer: iss, Subject: sub, Audience: []string{aud}})
		if same := iss == issuer && sub == subject && aud == audience; same != (len(misses) == 0) {
			t.Fatalf("%q %q %q: mismatches %v", iss, sub, aud, misses)
		}
		if e, err := ParseExpression(expression); err == nil && len(e) == 0 {
			t.Fatalf("%q parsed to an expression that matches everything", expression)
		}
	})
}
