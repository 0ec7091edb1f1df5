package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
)

// A Warning is something that a scenario may say and that is probably a
// mistake. Scenarios that show a mistake have warnings on purpose.
type Warning struct {
	Line    int
	Path    string
	Rule    string // stable, such as fic-subject-is-client-id
	Message string // what is wrong and how to put it right
}

// Lint returns the classic mistakes of the scenario, from top to bottom.
func (s *Scenario) Lint() []Warning { return s.LintAt(time.Now()) }

// LintAt is [Scenario.Lint] for programs whose clock shows now.
func (s *Scenario) LintAt(now time.Time) []Warning {
	l := newLinter(s)
	l.clock(now)
	for _, t := range s.Tenants {
		path := "tenants." + t.Name
		for _, m := range t.ManagedIdentities {
			l.identity(path+".managed-identities."+m.Name, t, m)
		}
		for _, a := range t.Applications {
			l.application(path+".applications."+a.Name, t, a)
		}
		for _, p := range t.ServicePrincipals {
			l.servicePrincipal(path+".service-principals."+p.Application, t, p)
		}
	}
	for _, h := range s.Hosts {
		if HandsOut(h.Source) && len(h.Identities) == 0 {
			l.warn("hosts."+h.Name, "host-without-identity", "%s has no managed identity, so its token endpoint refuses every request; list one under identities, or say source: none", h.Name)
		}
	}
	slices.SortStableFunc(l.warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	return l.warnings
}

// A linter knows what the rules ask for.
type linter struct {
	*Scenario
	env      environment.Environment
	warnings []Warning
	clients  map[string]string    // names of managed identities by client ID
	subjects map[string]principal // by object ID
	tenants  map[string]string    // names by tenant ID
	issuers  map[string]string    // names by URL
	granted  map[string]bool      // names of what has a role on an account
	hosted   map[string]bool      // names of identities that a host has
	multi    map[string]bool      // names of applications for other tenants too
}

// A principal is what an object ID identifies.
type principal struct {
	name, tenant string
	application  bool
	kind         directory.ManagedIdentityKind
}

func newLinter(s *Scenario) *linter {
	l := &linter{
		Scenario: s, env: s.Environment(), clients: map[string]string{}, subjects: map[string]principal{}, tenants: map[string]string{},
		issuers: map[string]string{}, granted: map[string]bool{}, hosted: map[string]bool{}, multi: map[string]bool{},
	}
	for _, t := range s.Tenants {
		l.tenants[string(t.ID)] = t.Name
		for _, m := range t.ManagedIdentities {
			l.clients[string(m.ClientID)] = m.Name
			l.subjects[string(m.PrincipalID)] = principal{name: m.Name, tenant: t.Name, kind: m.Kind}
		}
		for _, a := range t.Applications {
			l.multi[a.Name] = a.MultiTenant
			if a.ServicePrincipal != nil {
				l.subjects[string(a.ServicePrincipal.PrincipalID)] = principal{name: a.Name, tenant: t.Name, application: true}
			}
		}
	}
	for _, i := range s.Issuers {
		l.issuers[i.URL] = i.Name
	}
	for _, h := range s.Hosts {
		for _, name := range append([]string{h.Workload.Client}, h.Identities...) {
			l.hosted[name] = true
		}
	}
	for _, a := range s.StorageAccounts {
		for _, r := range a.Roles {
			l.granted[r.Principal] = true
		}
	}
	return l
}

// warn adds a warning at a path, or at the nearest thing above it that the
// file spells.
func (l *linter) warn(path, rule, format string, args ...any) {
	line, known := 0, false
	for at := path; at != "" && !known; at = at[:max(0, strings.LastIndex(at, "."))] {
		line, known = l.lines[at]
	}
	l.warnings = append(l.warnings, Warning{Line: line, Path: path, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// clock warns of tokens that have expired when they are issued: SDKs judge
// expires_in and exp by the clock of the program they are in.
func (l *linter) clock(now time.Time) {
	if l.Clock.IsZero() {
		return
	}
	if behind := now.Sub(l.Clock); behind >= l.TokenLifetimes.Application {
		l.warn("clock", "clock-in-the-past", "the clock shows %s, so tokens have expired by the clock of the program that asks for them, and SDKs do not use them; leave clock out, or give the program the same time", l.Clock.Format(time.RFC3339))
	}
}

func (l *linter) identity(path string, t Tenant, m ManagedIdentity) {
	if !l.hosted[m.Name] {
		l.warn(path, "identity-on-no-host", "no host has the managed identity %s, so nothing can get its tokens; list it under identities of a host", m.Name)
	}
	for _, c := range m.Federated {
		if _, entra := authorityOf(l.env, c.Issuer); entra && !belowApplication(c.Subject) {
			l.warn(path+".federated-identity-credentials."+c.Name+".issuer", "fic-entra-on-managed-identity", "%s is a managed identity and trusts an issuer of Entra, which only applications can; use an application", m.Name)
		}
	}
	l.credentials(path, t, m.Name, m.Federated)
}

func (l *linter) application(path string, t Tenant, a Application) {
	l.credentials(path, t, a.Name, a.Federated)
	if a.Public || len(a.IdentifierURIs) > 0 {
		return // it signs people in, or is there to be asked for
	}
	if len(a.Secrets)+len(a.Certificates)+len(a.Federated) == 0 {
		l.warn(path, "application-without-credential", "%s has nothing to authenticate with; add federated-identity-credentials, secrets or certificates", a.Name)
		return
	}
	if len(l.StorageAccounts) == 0 || l.granted[a.Name] || (a.ServicePrincipal != nil && len(a.ServicePrincipal.AppRoles) > 0) {
		return
	}
	also := ""
	for _, c := range a.Federated {
		if p, is := l.subjects[c.Subject]; is && !p.application && l.granted[p.name] {
			also = fmt.Sprintf(" (%s has one, but what it gets in exchange is a token of %s)", p.name, a.Name)
		}
	}
	l.warn(path, "application-without-role", "%s has no role on any storage account%s; add it under roles of one, for instance as Storage Blob Data Reader", a.Name, also)
}

func (l *linter) servicePrincipal(path string, t Tenant, p ServicePrincipal) {
	if !l.multi[p.Application] {
		l.warn(path, "service-principal-of-single-tenant", "%s is for its own tenant only, so %s could not have consented to it; give it sign-in-audience: AzureADMultipleOrgs", p.Application, t.Name)
	}
}
