package scenario

import (
	"strings"
	"testing"
)

// workloads is a file with an application, two managed identities, three issuers
// and one host, which is in line 18.
func workloads(host string) string {
	return `fakeentra: 1
tenants:
  contoso:
    id: 11111111-1111-1111-1111-111111111111
    managed-identities:
      agent: {}
      machine: {kind: system-assigned}
    applications:
      exporter:
        federated-identity-credentials:
          from-host: {issuer: "{h.issuer}", subject: "{h.subject}"}
  fabrikam: {}
issuers:
  cluster: {url: "https://oidc.example.com/1"}
  github: {url: "https://token.actions.githubusercontent.com"}
  organization: {url: "https://vstoken.dev.azure.com/6804a3a0-e94c-41ae-9343-c5676fd58375"}
hosts:
  h: {` + host + `}
`
}

func TestPodsAndJobsArriveInTheScenario(t *testing.T) {
	const gitHub = "https://token.actions.githubusercontent.com"
	for host, want := range map[string]Workload{
		`source: aks, issuer: cluster, client-id: exporter`: {Issuer: "cluster", Client: "exporter", ServiceAccount: "default/default",
			IssuerURL: "https://oidc.example.com/1", Subject: "system:serviceaccount:default:default"},
		`source: aks, issuer: cluster, client-id: agent, service-account: jobs/agent, identity-binding: true`: {Issuer: "cluster", Client: "agent", ServiceAccount: "jobs/agent", IdentityBinding: true,
			IssuerURL: "https://oidc.example.com/1", Subject: "system:serviceaccount:jobs:agent"},
		`source: github, repository: contoso/exporter`: {Issuer: "github", Repository: "contoso/exporter", IssuerURL: gitHub, Subject: "repo:contoso/exporter:ref:refs/heads/main"},
		`source: github, issuer: cluster, repository: contoso/exporter, ref: refs/tags/v1, environment: prod, event-name: pull_request, repository-id: 74, repository-owner-id: "65", job-workflow-ref: w, enterprise: e, immutable-subject: true`: {
			Issuer: "cluster", Repository: "contoso/exporter", Ref: "refs/tags/v1", Environment: "prod", EventName: "pull_request", RepositoryID: "74", RepositoryOwnerID: "65", JobWorkflowRef: "w", Enterprise: "e", ImmutableSubject: true,
			IssuerURL: "https://oidc.example.com/1", Subject: "repo:contoso@65/exporter@74:environment:prod"},
		`source: azurepipelines, client-id: exporter, issuer: organization, organization: contoso, project: p, pipeline: deploy, service-connection: azure`: {
			Issuer: "organization", Client: "exporter", Organization: "contoso", Project: "p", Pipeline: "deploy", ServiceConnection: "azure",
			IssuerURL: "https://vstoken.dev.azure.com/6804a3a0-e94c-41ae-9343-c5676fd58375", Subject: "sc://contoso/p/azure"},
		`source: aks`: {},
	} {
		text := workloads(host)
		if want == (Workload{}) {
			text = strings.Replace(text, `{issuer: "{h.issuer}", subject: "{h.subject}"}`, "{trusts: agent}", 1)
		}
		s := parsed(t, text)
		equal(t, host, s.Hosts[0].Workload, want)
		if fic := s.Tenants[0].Applications[0].Federated[0]; want.Subject != "" && (fic.Issuer != want.IssuerURL || fic.Subject != want.Subject) {
			t.Errorf("%s: the credential has %s of %s", host, fic.Subject, fic.Issuer)
		}
	}
}

func TestEntraIssuesForServiceConnectionsUnlessAnIssuerIsSpelled(t *testing.T) {
	s := parsed(t, workloads(`source: azurepipelines, client-id: exporter, organization: contoso, project: p, service-connection: azure`))
	w := s.Hosts[0].Workload
	if w.IssuerURL != "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0" || !strings.HasPrefix(w.Subject, "/eid1/c/pub/t/EREREREREREREREREREREQ/a/rISbSSETf0KqFyZ8ppdXmA/sc/") {
		t.Errorf("%s of %s", w.Subject, w.IssuerURL)
	}
	for _, warning := range s.Lint() {
		if strings.Contains(warning.Path, "from-host") {
			t.Errorf("warned: %+v", warning)
		}
	}
	if s.Hosts[0].Tenant != "contoso" {
		t.Errorf("the host is in %s, want the tenant of the application", s.Hosts[0].Tenant)
	}
}

func TestProblemsWithPodsAndJobs(t *testing.T) {
	without := func(line, host string) string {
		return strings.Replace(workloads(host), line, "from-agent: {trusts: agent}", 1)
	}
	const credential = `from-host: {issuer: "{h.issuer}", subject: "{h.subject}"}`
	for want, in := range map[string]string{
		`f.yaml:18: repository is said of a host with source: imds; expected source: github`:                                                               without(credential, `source: imds, repository: a/b`),
		`f.yaml:18: client-id is said of a host with source: github; expected source: aks or azurepipelines`:                                               without(credential, `source: github, repository: a/b, client-id: exporter`),
		`f.yaml:18: h has source: aks and no client-id; expected client-id: the name of an application or of a managed identity`:                           without(credential, `source: aks, service-account: a/b`),
		`f.yaml:18: h has source: github and no repository; expected repository: owner/name`:                                                               without(credential, `source: github, ref: refs/heads/x`),
		`f.yaml:18: h has no issuer; expected issuer: cluster, github or organization`:                                                                     without(credential, `source: aks, client-id: exporter`),
		`f.yaml:18: there is no issuer "clutser"; did you mean "cluster"? expected cluster, github or organization`:                                        without(credential, `source: aks, client-id: exporter, issuer: clutser`),
		`f.yaml:18: there is no application or managed identity "nobody"; expected agent, machine or exporter`:                                             without(credential, `source: aks, client-id: nobody, issuer: cluster`),
		`f.yaml:18: machine is no user-assigned managed identity; expected one as client-id of a pod with an identity binding`:                             without(credential, `source: aks, client-id: machine, issuer: cluster, identity-binding: true`),
		`f.yaml:18: exporter is no user-assigned managed identity; expected one as client-id of a pod with an identity binding`:                            without(credential, `source: aks, client-id: exporter, issuer: cluster, identity-binding: true`),
		`f.yaml:18: "-a/b" is not a service account; expected namespace/name, in lower-case letters, digits and hyphens`:                                   without(credential, `source: aks, client-id: exporter, issuer: cluster, service-account: -a/b`),
		`f.yaml:18: repository is "exporter"; expected a repository, owner/name`:                                                                           without(credential, `source: github, repository: exporter`),
		`f.yaml:18: ref is "main"; expected a ref such as refs/heads/main`:                                                                                 without(credential, `source: github, repository: a/b, ref: main`),
		`f.yaml:18: h has source: azurepipelines and no service-connection; expected service-connection: its name`:                                         without(credential, `source: azurepipelines, client-id: exporter, organization: o, project: p`),
		`f.yaml:17: h has no issuer, and none in this file is of GitHub; expected one with url: https://token.actions.githubusercontent.com under issuers`: strings.Replace(without(credential, `source: github, repository: a/b`), "\n  github: {url: \"https://token.actions.githubusercontent.com\"}", "", 1),
		`f.yaml:11: "{h.subject}" stands for nothing; expected {h.resource-id}`:                                                                            strings.Replace(workloads(`source: imds, tenant: contoso`), `issuer: "{h.issuer}"`, `trusts: cluster`, 1),
	} {
		t.Run(want, func(t *testing.T) { refused(t, in, want) })
	}
}
