package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lintable returns a file without mistakes in which the credential of
// exporter, in line 18, says what the test wants.
func lintable(credential string) string {
	return `fakeentra: 1
tenants:
  contoso:
    id: 11111111-1111-1111-1111-111111111111
    managed-identities:
      agent:
        client-id: 44444444-4444-4444-4444-444444444444
        principal-id: abcdef33-3333-3333-3333-333333333333
      machine:
        kind: system-assigned
    applications:
      exporter: # with a secret, so that the credential is not all it has
        client-id: 22222222-2222-2222-2222-222222222222
        principal-id: 55555555-5555-5555-5555-555555555555
        secrets: [{value: not-a-secret-only-for-tests}]
        federated-identity-credentials:
          good: {trusts: agent}
          fic: {` + credential + `}
  fabrikam:
    id: 66666666-6666-6666-6666-666666666666
    managed-identities:
      stranger: {}
issuers:
  github: {url: "https://token.actions.githubusercontent.com"}
hosts:
  vm1: {source: imds, identities: [agent, machine]}
  vm2: {source: imds, identities: [stranger]}
storage-accounts:
  contosodata: {tenant: contoso, roles: {exporter: Storage Blob Data Reader}}
`
}

const ficPath = "tenants.contoso.applications.exporter.federated-identity-credentials.fic"

func TestWarningsAboutCredentialsSayHowToPutThemRight(t *testing.T) {
	const v2 = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0"
	for name, tc := range map[string]struct {
		credential, path, rule, message string
	}{
		"names alone": {`trusts: github, claims-matching-expression: "claims['sub'] matches 'repo:contoso/*'"`, ".claims-matching-expression", "fic-expression-without-immutable-claim",
			`the expression compares names alone, which can be given to another repository, and Entra asks for repository_id or repository_owner_id besides sub since August 2026; add and claims['repository_id'] eq '<number>'`},
		"client ID": {`issuer: "` + v2 + `", subject: "{agent.client-id}"`, ".subject", "fic-subject-is-client-id",
			`the subject is the client ID of agent, and Entra compares the principal ID; write "{agent.principal-id}", or trusts: agent`},
		"v1 issuer of Entra": {`issuer: "https://sts.windows.net/{contoso}/", subject: s1`, ".issuer", "fic-issuer-without-v2",
			`the issuer "https://sts.windows.net/11111111-1111-1111-1111-111111111111/" is not that of v2.0 tokens, which managed identities get for the exchange; write ` + v2},
		"authority instead of issuer": {`issuer: "https://login.microsoftonline.com/{contoso}", subject: s1`, ".issuer", "fic-issuer-without-v2",
			`the issuer "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111" is not that of v2.0 tokens, which managed identities get for the exchange; write ` + v2},
		"slash": {`issuer: "` + v2 + `/", subject: s1`, ".issuer", "fic-issuer-trailing-slash",
			`the issuer "` + v2 + `/" ends with a slash, and issuers are compared letter by letter; write ` + v2},
		"slash of another issuer": {`issuer: "https://token.actions.githubusercontent.com/", subject: s1`, ".issuer", "fic-issuer-trailing-slash",
			`the issuer "https://token.actions.githubusercontent.com/" differs from github by the slash at its end, and issuers are compared letter by letter; write https://token.actions.githubusercontent.com`},
		"audience of another cloud": {`trusts: machine, audiences: [api://AzureADTokenExchangeChina]`, ".audiences", "fic-audience-of-another-cloud",
			`the audience "api://AzureADTokenExchangeChina" is that of the cloud china, and this one is public; write api://AzureADTokenExchange`},
		"audience in other case": {`trusts: machine, audiences: [api://azureadtokenexchange]`, ".audiences", "fic-audience-not-exchange",
			`the audience "api://azureadtokenexchange" is not accepted with an issuer of Entra in other letter case; write api://AzureADTokenExchange`},
		"GUID as audience": {`trusts: machine, audiences: [fb60f99c-7a34-4190-8149-302f77469936]`, ".audiences", "fic-audience-not-exchange",
			`the audience "fb60f99c-7a34-4190-8149-302f77469936" is not accepted with an issuer of Entra, although tokens carry that GUID as aud; write api://AzureADTokenExchange`},
		"other audience": {`trusts: machine, audiences: [api://orders]`, ".audiences", "fic-audience-not-exchange",
			`the audience "api://orders" is not accepted with an issuer of Entra; write api://AzureADTokenExchange`},
		"identity of another tenant": {`trusts: stranger`, "", "fic-tenant-mismatch",
			`exporter is registered in contoso and trusts a managed identity of fabrikam, which is refused with AADSTS700236; use a managed identity of contoso`},
		"subject of another tenant": {`issuer: "` + v2 + `", subject: "{stranger.principal-id}"`, ".subject", "fic-tenant-mismatch",
			`the subject is stranger of fabrikam, and the issuer is that of contoso, which never issues its tokens; use the issuer and a managed identity of one tenant`},
		"subject of nobody": {`issuer: "` + v2 + `", subject: build-agent`, ".subject", "fic-unknown-subject",
			`nothing in contoso has the principal ID "build-agent"; write "{name.principal-id}" with the name of a managed identity`},
		"subject in other case": {`issuer: "` + v2 + `", subject: ABCDEF33-3333-3333-3333-333333333333`, ".subject", "fic-unknown-subject",
			`the subject ABCDEF33-3333-3333-3333-333333333333 is the principal ID of agent in other letter case, and subjects are compared letter by letter; write it in lower case`},
		"application as subject": {`issuer: "` + v2 + `", subject: "{exporter.principal-id}"`, ".subject", "fic-unknown-subject",
			`the subject is the service principal of the application exporter, and only tokens of managed identities are accepted; write "{name.principal-id}" with the name of one`},
		"system-assigned": {`trusts: machine`, ".subject", "fic-system-assigned",
			`machine is system-assigned, which Microsoft documents as not supported in federated identity credentials; use a user-assigned managed identity`},
		"the same subject": {`issuer: "https://sts.windows.net/{contoso}/", subject: "{agent.principal-id}"`, ".subject", "fic-duplicate-subject",
			`good and fic have the same subject for an issuer of Entra, which is refused with AADSTS700263; keep the one with the issuer ` + v2},
		"issuer of nobody": {`issuer: "https://gitlab.com", subject: s1`, ".issuer", "issuer-unknown",
			`the issuer "https://gitlab.com" is neither Entra's nor one of issuers, so nothing signs its tokens; add it under issuers`},
		"issuer of an unknown tenant": {`issuer: "https://login.microsoftonline.com/99999999-9999-9999-9999-999999999999/v2.0", subject: s1`, ".issuer", "issuer-unknown",
			`the issuer "https://login.microsoftonline.com/99999999-9999-9999-9999-999999999999/v2.0" is of a tenant that is not in this file, so nothing signs its tokens; define a tenant with that id`},
		"issuer with a domain": {`issuer: "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0", subject: s1`, ".issuer", "issuer-unknown",
			`the issuer "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0" is not written as Entra writes it, with login.microsoftonline.com and the tenant ID in lower case, and issuers are compared letter by letter; write https://login.microsoftonline.com/<tenant ID>/v2.0`},
		"issuer of another cloud": {`issuer: "https://login.microsoftonline.us/{contoso}/v2.0", subject: s1`, ".issuer", "fic-issuer-of-another-cloud",
			`the issuer "https://login.microsoftonline.us/11111111-1111-1111-1111-111111111111/v2.0" is of the cloud usgov, whose tokens are refused in public; write ` + v2},
	} {
		t.Run(name, func(t *testing.T) {
			warnings := parsed(t, lintable(tc.credential)).Lint()
			want := Warning{Line: 18, Path: ficPath + tc.path, Rule: tc.rule, Message: tc.message}
			if !slices.Contains(warnings, want) {
				t.Errorf("warnings %+v\nwant %+v", warnings, want)
			}
			for _, w := range warnings {
				if !strings.HasPrefix(w.Path, ficPath) {
					t.Errorf("unwanted warning %+v", w)
				}
			}
		})
	}
}

func TestGoodCredentialsHaveNoWarnings(t *testing.T) {
	for _, credential := range []string{
		`trusts: github, subject: "repo:contoso/exporter"`,
		`trusts: github, subject: "repo:contoso/exporter", audiences: [anything]`,
		`trusts: github, claims-matching-expression: "claims['sub'] matches 'repo:*' and claims['repository_owner_id'] eq '65'"`,
	} {
		if diff := cmp.Diff([]Warning(nil), parsed(t, lintable(credential)).Lint()); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", credential, diff)
		}
	}
}

func TestWarningsAboutTheRestOfTheFile(t *testing.T) {
	now := time.Date(2025, 1, 15, 13, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		in   string
		want []Warning
	}{
		"a clock that is behind": {"fakeentra: 1\nclock: 2025-01-15T12:00:00Z", []Warning{{2, "clock", "clock-in-the-past",
			"the clock shows 2025-01-15T12:00:00Z, so tokens have expired by the clock of the program that asks for them, and SDKs do not use them; leave clock out, or give the program the same time"}}},
		"a clock that is hardly behind": {"fakeentra: 1\nclock: 2025-01-15T12:00:01Z", nil},
		"a clock that is ahead":         {"fakeentra: 1\nclock: 2030-01-01T00:00:00Z", nil},
		"an identity without a host": {inTenant("    managed-identities:\n      agent: {}"), []Warning{{5, "tenants.contoso.managed-identities.agent", "identity-on-no-host",
			"no host has the managed identity agent, so nothing can get its tokens; list it under identities of a host"}}},
		"an identity that trusts an identity": {inTenant("    managed-identities:\n      one: {}\n      two:\n        federated-identity-credentials:\n          fic: {trusts: one}\nhosts: {vm1: {source: imds, identities: [one, two]}}"), []Warning{{8, "tenants.contoso.managed-identities.two.federated-identity-credentials.fic.issuer", "fic-entra-on-managed-identity",
			"two is a managed identity and trusts an issuer of Entra, which only applications can; use an application"}}},
		"a host without an identity": {inTenant("    {}\nhosts:\n  vm1: {source: imds}\n  laptop: {source: none}"), []Warning{{6, "hosts.vm1", "host-without-identity",
			"vm1 has no managed identity, so its token endpoint refuses every request; list one under identities, or say source: none"}}},
		"an application without a credential": {inTenant("    applications:\n      exporter: {}"), []Warning{{5, "tenants.contoso.applications.exporter", "application-without-credential",
			"exporter has nothing to authenticate with; add federated-identity-credentials, secrets or certificates"}}},
		"applications that need no credential": {inTenant("    applications: {api: {identifier-uris: [api://orders]}, tool: {public-client: true}}"), nil},
		"an application without a role": {inTenant("    applications:\n      exporter: {secrets: [{value: x}]}\nstorage-accounts: {data: {}}"), []Warning{{5, "tenants.contoso.applications.exporter", "application-without-role",
			"exporter has no role on any storage account; add it under roles of one, for instance as Storage Blob Data Reader"}}},
		"a role of the identity instead": {trusting("            trusts: agent") + "\nhosts: {vm1: {source: imds, identities: [agent]}}\nstorage-accounts: {data: {roles: {agent: Storage Blob Data Reader}}}", []Warning{{7, "tenants.contoso.applications.exporter", "application-without-role",
			"exporter has no role on any storage account (agent has one, but what it gets in exchange is a token of exporter); add it under roles of one, for instance as Storage Blob Data Reader"}}},
		"an application that needs no role": {inTenant("    applications:\n      exporter: {secrets: [{value: x}], app-roles: {https://graph.microsoft.com: [Sites.Read]}}\nstorage-accounts: {data: {}}"), nil},
		"consent that cannot be": {inTenant("    applications: {exporter: {secrets: [{value: x}]}}\n  fabrikam:\n    service-principals:\n      exporter: {}"), []Warning{{7, "tenants.fabrikam.service-principals.exporter", "service-principal-of-single-tenant",
			"exporter is for its own tenant only, so fabrikam could not have consented to it; give it sign-in-audience: AzureADMultipleOrgs"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, parsed(t, tc.in).LintAt(now)); diff != "" {
				t.Errorf("warnings differ (-want +got):\n%s", diff)
			}
		})
	}
}
