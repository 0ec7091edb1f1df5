package sts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// gitHub is the issuer whose tokens a tenant policy can look into.
const gitHub = "https://token.actions.githubusercontent.com"

// checkFederated checks a token that someone else issued. The order is
// reconstructed from reports of what hides what: credentials, issuer,
// audience, subject; then keys, signature and time; then what concerns tokens
// of Entra alone; then the policies of the tenant.
func (s *Service) checkFederated(r *edge.Request, g *grant, a *token.Token) *Error {
	home, _ := s.Directory.Tenant(string(g.client.home))
	if home.FederationDisabled {
		return errFederationDisabled.because(values{"tenant": home.Name}, "workload identity federation is disabled in %s (policies: workload-identity-federation)", home.Name)
	}
	presented := s.presentedBy(a)
	credential, err := s.match(r, g, a.Claims, presented)
	if err != nil {
		return err
	}
	r.Note("credential", credential.Name)
	tenant, _, entra := s.Environment.TenantOf(a.Claims.Issuer)
	if entra {
		if err := s.checkOneSubject(g, presented); err != nil {
			return err
		}
	}
	if err := s.checkIssuerKey(a, entra); err != nil {
		return err
	}
	if err := checkTime(r.Now, a.Claims); err != nil {
		return err
	}
	if entra {
		return s.checkEntraToken(r, g, a.Claims, tenant)
	}
	return checkGitHub(home, a.Claims)
}

// presentedBy returns what the rules of credentials compare. The aud of a token
// for the exchange is a GUID, which Entra reads as the URI it stands for. A token
// of another cloud gets as far as AADSTS700238, which is about it; that the URI
// of either cloud leads there is inferred.
func (s *Service) presentedBy(a *token.Token) directory.Presented {
	p := directory.Presented{Issuer: a.Claims.Issuer, Subject: a.Claims.Subject, Audience: a.Claims.Audience, Claims: a.All}
	if !forExchange(a.Claims) {
		return p
	}
	if _, _, entra := s.Environment.TenantOf(p.Issuer); entra {
		p.Audience = []string{s.Environment.TokenExchangeAudience}
	} else if other, ok := s.Environment.Elsewhere(p.Issuer); ok {
		p.Audience = []string{s.Environment.TokenExchangeAudience, other.TokenExchangeAudience}
	}
	return p
}

func forExchange(c token.Claims) bool {
	return len(c.Audience) == 1 && c.Audience[0] == string(directory.TokenExchangeApp)
}

// match finds the credential that the assertion satisfies.
func (s *Service) match(r *edge.Request, g *grant, c token.Claims, p directory.Presented) (directory.FederatedIdentityCredential, *Error) {
	if len(g.client.federated) == 0 {
		return directory.FederatedIdentityCredential{}, errNoCredentials.because(values{"client": string(g.client.id), "name": g.client.name},
			"%s has no federated identity credential; add one with issuer %s, subject %s and audience %s", g.client.name, p.Issuer, p.Subject, strings.Join(p.Audience, ", "))
	}
	visible := slices.DeleteFunc(slices.Clone(g.client.federated), func(f directory.FederatedIdentityCredential) bool { return r.Now.Before(f.VisibleFrom) })
	found, misses := directory.MatchFederated(visible, p)
	if len(misses) == 0 && len(visible) > 0 {
		return found, nil
	}
	if late, _ := directory.MatchFederated(g.client.federated, p); late.Name != "" {
		return late, errLegacyMismatch.because(mismatchValues(p), "the credential %q matches but has not propagated yet; it will be visible from %s on", late.Name, late.VisibleFrom.Format(timestamp))
	}
	if len(misses) == 0 {
		return found, errLegacyMismatch.because(mismatchValues(p), "no credential of %s has propagated yet", g.client.name)
	}
	return found, s.mismatch(g, c, p, misses[0])
}

func mismatchValues(p directory.Presented) values {
	return values{"iss": p.Issuer, "sub": p.Subject, "aud": strings.Join(p.Audience, ", ")}
}

// mismatch chooses the refusal for the credential that came closest.
func (s *Service) mismatch(g *grant, c token.Claims, p directory.Presented, m directory.Mismatch) *Error {
	why := s.explainMismatch(p, m)
	v := mismatchValues(p)
	switch {
	case s.Era == Era2022:
		return errLegacyMismatch2022.because(v, "%s", why)
	case s.Era == Era2023:
		return errLegacyMismatch.because(v, "%s", why)
	case m.Field == directory.Issuer:
		return errIssuerMismatch.because(v, "%s", why)
	case m.Field == directory.Audience:
		return s.audienceMismatch(c, p, m, why)
	case g.form.Has("fmi_path"):
		return errAgentSubjectMismatch.because(values{"sub": p.Subject, "agent": g.form.Get("fmi_path")}, "%s", why)
	case m.CaseOnly:
		return errSubjectCase.because(v, "%s", why)
	case strings.HasPrefix(p.Subject, "/eid1/c/"):
		return errPathSubjectMismatch.because(values{"sub": p.Subject, "want": m.Want}, "%s", why)
	}
	return errSubjectMismatch.because(v, "%s", why)
}

// audienceMismatch tells apart whose audience is wrong: that of a token of
// Entra, that of the credential, or that of an outsider's token.
func (s *Service) audienceMismatch(c token.Claims, p directory.Presented, m directory.Mismatch, why string) *Error {
	_, _, entra := s.Environment.TenantOf(p.Issuer)
	if _, elsewhere := s.Environment.Elsewhere(p.Issuer); !entra && !elsewhere {
		return errAudienceMismatch.because(mismatchValues(p), "%s", why)
	}
	if forExchange(c) {
		return errCredentialAudience.because(values{"want": s.Environment.TokenExchangeAudience},
			"the credential %q has the audience %q; for a token of Entra it must be %s", m.Credential, m.Want, s.Environment.TokenExchangeAudience)
	}
	return errEntraAudienceMismatch.because(mismatchValues(p), "the assertion is a token for %s; ask the managed identity for one for %s", strings.Join(p.Audience, ", "), s.Environment.TokenExchangeAudience)
}

// explainMismatch says what the classic mistake is, where it is one.
func (s *Service) explainMismatch(p directory.Presented, m directory.Mismatch) string {
	why := fmt.Sprintf("the credential %q wants the %s %s; the assertion has %s", m.Credential, m.Field, s.Directory.Explain(m.Want), s.Directory.Explain(m.Got))
	want := s.Directory.Describe(m.Want)
	switch {
	case m.CaseOnly:
		return why + "; they differ in letter case alone, and Entra compares exactly"
	case m.Field == directory.Subject && strings.HasPrefix(want, "client ID of"):
		return why + "; Entra compares the principal (object) ID of a managed identity, not its client ID"
	case m.Field == directory.Subject && strings.HasPrefix(want, "application object ID of"):
		return why + "; this is an application's object ID, not a managed identity's principal ID"
	case m.Field == directory.Issuer && strings.TrimSuffix(m.Want, "/") == strings.TrimSuffix(m.Got, "/"):
		return why + "; they differ in the slash at the end, which counts"
	case m.Field == directory.Issuer && s.sameTenant(m.Want, m.Got) && !strings.HasSuffix(m.Got, "/v2.0"):
		return why + "; it is a v1.0 token for " + strings.Join(p.Audience, ", ") + "; ask the managed identity for one for " + s.Environment.TokenExchangeAudience
	case m.Field == directory.Issuer && s.sameTenant(m.Want, m.Got):
		return why + "; tokens for the exchange are v2.0 tokens, whose issuer ends in /v2.0"
	}
	return why
}

// sameTenant reports whether two issuers are those of one tenant, however
// spelled.
func (s *Service) sameTenant(want, got string) bool {
	tenant, _, entra := s.Environment.TenantOf(got)
	return entra && strings.Contains(want, tenant)
}

// checkOneSubject refuses a client that trusts one subject twice: a v1.0 and a
// v2.0 issuer side by side do not work.
func (s *Service) checkOneSubject(g *grant, p directory.Presented) *Error {
	var names []string
	for _, f := range g.client.federated {
		if _, _, entra := s.Environment.TenantOf(f.Issuer); entra && f.Subject == p.Subject {
			names = append(names, f.Name)
		}
	}
	if len(names) < 2 {
		return nil
	}
	return errDuplicateSubject.because(values{"sub": p.Subject, "client": string(g.client.id)},
		"%s has the credentials %s for one subject; keep the one whose issuer ends in /v2.0", g.client.name, strings.Join(names, " and "))
}

// checkEntraToken applies the rules that hold for tokens of Entra alone. The
// tenant to compare with is the home of the application, not the tenant of the
// request: that is what makes access across tenants possible.
func (s *Service) checkEntraToken(r *edge.Request, g *grant, c token.Claims, tenant string) *Error {
	switch {
	case s.Era != Era2025:
		return errEntraIssued.because(nil, "in %s Entra accepted no token of its own as an assertion (era)", s.Era)
	case tenant != string(g.client.home):
		return errOtherTenant.because(values{"iss": c.Issuer}, "the assertion comes from the tenant %s, but %s is registered in %s; both have to be in one tenant", s.Directory.Explain(tenant), g.client.name, s.Directory.Explain(string(g.client.home)))
	case g.client.managed != nil && !belowApplication(c):
		return errOtherTenant.because(values{"iss": c.Issuer}, "%s is a managed identity, which cannot trust tokens of Entra", g.client.name)
	case c.IDType == "user" || c.Scopes != "": // idtyp is optional, also in tokens of applications
		return errUserToken.because(nil, "the assertion is a user's token (idtyp %q, scp %q)", c.IDType, c.Scopes)
	case !forExchange(c):
		return s.forbiddenAudience(c)
	case c.FICInfo != "":
		return errChained.because(nil, "the assertion was itself got with a federated identity credential (it has xms_ficinfo); use the first assertion instead")
	case c.MIRID == "" && !belowApplication(c):
		return errNotManagedIdentity.because(nil, "the assertion is the token of %s, which is not a managed identity (it has no xms_mirid)", s.Directory.Explain(cmp.Or(c.AppID, c.AZP)))
	}
	if m, ok := s.Directory.ManagedIdentity(cmp.Or(c.AZP, c.AppID)); ok && m.Kind == directory.SystemAssigned {
		r.Note("warning", "system-assigned")
		r.Explain("", "accepted, but Microsoft documents that system-assigned identities are not supported as federated identity credentials")
	}
	return nil
}

// belowApplication reports whether a token is one that an application gets for
// a path below itself (fmi_path), as Azure DevOps does for service connections
// (Microsoft: "Convert service connections to use the Microsoft Entra issuer").
// Other tokens of applications have their own principal as subject.
func belowApplication(c token.Claims) bool {
	return strings.HasPrefix(c.Subject, "/eid1/c/") && c.Subject != c.ObjectID
}

func (s *Service) forbiddenAudience(c token.Claims) *Error {
	aud := strings.Join(c.Audience, ", ")
	for _, e := range environment.All() {
		if e.Name != s.Environment.Name && strings.EqualFold(aud, e.TokenExchangeAudience) {
			return errOtherCloudAudience.because(nil, "the assertion is for %s, the exchange audience of the %s cloud; this is the %s cloud, use %s", aud, e.Name, s.Environment.Name, s.Environment.TokenExchangeAudience)
		}
	}
	return errForbiddenAudience.because(nil, "the assertion is for %s; ask the managed identity for a token for %s", aud, s.Environment.TokenExchangeAudience)
}

// checkGitHub applies the tenant's policy about GitHub's tokens, which Entra
// looks at after the subject has matched.
func checkGitHub(home directory.Tenant, c token.Claims) *Error {
	if c.Issuer != gitHub || len(home.GitHubEnterprises) == 0 || slices.Contains(home.GitHubEnterprises, c.Enterprise) {
		return nil
	}
	return errGitHubEnterprise.because(values{"allowed": oneOf(home.GitHubEnterprises), "got": c.Enterprise},
		"%s accepts GitHub's tokens of the enterprises %s alone; this one has %q", home.Name, oneOf(home.GitHubEnterprises), c.Enterprise)
}

// oneOf writes a list as Entra does: 'a', 'b' or 'c'.
func oneOf(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + w + "'"
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
