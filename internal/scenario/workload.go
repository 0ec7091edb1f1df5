package scenario

import (
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/kubernetes"
	"github.com/fakeentra/fakeentra/emulator/runner"
)

// A Workload is what is said of a host whose assertions come from elsewhere than
// a managed identity endpoint. What the file does not say is empty.
type Workload struct {
	Issuer string // name; empty at azurepipelines where Entra issues the tokens
	Client string // name of an application or a managed identity; empty at github
	// IssuerURL and Subject are the iss and sub claims of its assertions.
	IssuerURL, Subject string

	ServiceAccount  string // namespace/name, at aks
	IdentityBinding bool

	Repository, Ref, Environment, EventName            string // at github
	RepositoryID, RepositoryOwnerID                    string
	JobWorkflowRef, Enterprise                         string
	ImmutableSubject                                   bool
	Organization, Project, Pipeline, ServiceConnection string // at azurepipelines
}

// workloadKeys are the keys of hosts that belong to some sources alone.
var workloadKeys = map[string][]string{
	"client-id": {SourceAKS, SourceAzurePipelines}, "issuer": {SourceAKS, SourceGitHub, SourceAzurePipelines},
	"service-account": {SourceAKS}, "identity-binding": {SourceAKS},
	"repository": {SourceGitHub}, "ref": {SourceGitHub}, "environment": {SourceGitHub}, "event-name": {SourceGitHub}, "repository-id": {SourceGitHub},
	"repository-owner-id": {SourceGitHub}, "job-workflow-ref": {SourceGitHub}, "enterprise": {SourceGitHub}, "immutable-subject": {SourceGitHub},
	"organization": {SourceAzurePipelines}, "project": {SourceAzurePipelines}, "pipeline": {SourceAzurePipelines}, "service-connection": {SourceAzurePipelines},
}

// workload reads what is said of a pod or a CI job, and makes the issuer and the
// subject of its assertions properties of the host. Where nothing is said, the
// pod has no workload identity, and the job may not write ID tokens.
func (b *builder) workload(h *Host, v *value) {
	b.misplaced(h.Source, v)
	if v.broken || !slices.ContainsFunc(v.inside, func(said *value) bool { return workloadKeys[said.name] != nil }) {
		return
	}
	w := Workload{
		ServiceAccount: v.string("service-account", ""), IdentityBinding: v.flag("identity-binding", false),
		Repository: v.string("repository", ""), Ref: v.string("ref", ""), Environment: v.string("environment", ""), EventName: v.string("event-name", ""),
		RepositoryID: v.string("repository-id", ""), RepositoryOwnerID: v.string("repository-owner-id", ""),
		JobWorkflowRef: v.string("job-workflow-ref", ""), Enterprise: v.string("enterprise", ""), ImmutableSubject: v.flag("immutable-subject", false),
		Organization: v.string("organization", ""), Project: v.string("project", ""), Pipeline: v.string("pipeline", ""), ServiceConnection: v.string("service-connection", ""),
	}
	present := map[string]func(*Host, *Workload, *value) (issuer, subject string, err error){SourceAKS: b.pod, SourceGitHub: b.gitHubJob, SourceAzurePipelines: b.pipelinesJob}[h.Source]
	if present == nil || b.lacking(h.Source, v) {
		return
	}
	issuer, subject, err := present(h, &w, v)
	if err != nil {
		b.found.add(v.spot, "%v", err)
	}
	if e := b.one(kindHost, h.Name); e != nil && subject != "" {
		e.properties["issuer"], e.properties["subject"] = issuer, subject
	}
	w.IssuerURL, w.Subject = issuer, subject
	h.Workload = w
}

// misplaced reports keys that are said of a host with another source.
func (b *builder) misplaced(source string, v *value) {
	for _, said := range v.inside {
		if of, particular := workloadKeys[said.name]; particular && !slices.Contains(of, source) {
			b.found.add(said.spot, "%s is said of a host with source: %s; expected source: %s", said.name, source, anyOf(of))
		}
	}
}

// demanded are the keys that a source cannot do without, and what to write.
var demanded = map[string][][2]string{
	SourceAKS:            {{"client-id", "the name of an application or of a managed identity"}},
	SourceGitHub:         {{"repository", "owner/name"}},
	SourceAzurePipelines: {{"client-id", "the name of an application or of a managed identity"}, {"organization", "its name"}, {"project", "its name"}, {"service-connection", "its name"}},
}

func (b *builder) lacking(source string, v *value) bool {
	lacks := false
	for _, key := range demanded[source] {
		if v.get(key[0]) == nil {
			b.found.add(v.spot, "%s has source: %s and no %s; expected %s: %s", v.name, source, key[0], key[0], key[1])
			lacks = true
		}
	}
	return lacks
}

// unsigned stands for an issuer where nothing is signed.
func unsigned(map[string]any) (string, error) { return "", nil }

func (b *builder) pod(h *Host, w *Workload, v *value) (issuer, subject string, err error) {
	by, client := b.issuer(v, ""), b.client(h, w, v)
	if by == nil || client == nil {
		return "", "", nil
	}
	w.Issuer = by.name
	if w.IdentityBinding && (client.kind != kindIdentity || systemAssigned(client.from)) {
		b.found.add(v.get("identity-binding").spot, "%s is no user-assigned managed identity; expected one as client-id of a pod with an identity binding", client.name)
	}
	if w.ServiceAccount == "" {
		w.ServiceAccount = "default/default"
	}
	namespace, name, err := kubernetes.SplitServiceAccount(w.ServiceAccount)
	return by.properties["url"], kubernetes.Subject(namespace, name), err
}

// gitHubIssuer is the issuer of GitHub's tokens, or the beginning of that of an
// enterprise.
const gitHubIssuer = "https://token.actions.githubusercontent.com"

func (b *builder) gitHubJob(_ *Host, w *Workload, v *value) (issuer, subject string, err error) {
	by := b.issuer(v, gitHubIssuer)
	if by == nil {
		return "", "", nil
	}
	w.Issuer = by.name
	s := runner.New(b.out.Seed)
	err = s.AddGitHub(runner.GitHubJob{Host: v.name, Issuer: runner.Issuer{URL: by.properties["url"], Sign: unsigned}, Repository: w.Repository, Ref: w.Ref, Environment: w.Environment,
		Event: w.EventName, RepositoryID: w.RepositoryID, OwnerID: w.RepositoryOwnerID, ImmutableSubject: w.ImmutableSubject})
	issuer, subject, _ = s.Presents(v.name)
	return issuer, subject, err
}

func (b *builder) pipelinesJob(h *Host, w *Workload, v *value) (issuer, subject string, err error) {
	client := b.client(h, w, v)
	if client == nil {
		return "", "", nil
	}
	tenant := b.one(kindTenant, client.tenant).properties["id"]
	url := b.out.Environment().IssuerV2(tenant)
	if v.get("issuer") != nil {
		by := b.issuer(v, "")
		if by == nil {
			return "", "", nil
		}
		w.Issuer, url = by.name, by.properties["url"]
	}
	s := runner.New(b.out.Seed)
	err = s.AddPipelines(runner.PipelinesJob{Host: v.name, Issuer: runner.Issuer{URL: url, Sign: unsigned}, Organization: w.Organization, Project: w.Project, Pipeline: w.Pipeline,
		ServiceConnection: w.ServiceConnection, TenantID: tenant})
	issuer, subject, _ = s.Presents(v.name)
	return issuer, subject, err
}

// client returns what a workload signs in as. Its tenant is the host's, unless
// the file says another.
func (b *builder) client(h *Host, w *Workload, v *value) *entity {
	e := b.find(v.get("client-id").text, v.get("client-id").spot, kindApplication, kindIdentity)
	if e == nil {
		return nil
	}
	w.Client = e.name
	if v.get("tenant") == nil {
		h.Tenant = e.tenant
	}
	return e
}

// issuer returns the issuer that a host names, or the only one whose URL begins
// with usual.
func (b *builder) issuer(v *value, usual string) *entity {
	if spelled := v.get("issuer"); spelled != nil {
		return b.find(spelled.text, spelled.spot, kindIssuer)
	}
	var hits []*entity
	for _, e := range b.of(kindIssuer) {
		if strings.HasPrefix(e.properties["url"], usual) {
			hits = append(hits, e)
		}
	}
	switch {
	case len(hits) == 1:
		return hits[0]
	case len(hits) == 0 && usual != "":
		b.found.add(v.spot, "%s has no issuer, and none in this file is of GitHub; expected one with url: %s under issuers", v.name, usual)
	case len(hits) == 0:
		b.found.add(v.spot, "%s has no issuer, and there is none in this file; expected that of its cluster under issuers", v.name)
	default:
		b.found.add(v.spot, "%s has no issuer; expected issuer: %s", v.name, anyOf(b.names(kindIssuer)))
	}
	return nil
}
