package fakeentra

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/issuer"
	"github.com/fakeentra/fakeentra/emulator/kubernetes"
	"github.com/fakeentra/fakeentra/emulator/runner"
	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pki"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// workloads are the places where an assertion comes from elsewhere than a
// managed identity endpoint: pods and CI jobs.
type workloads struct {
	runners    *runner.Service
	kubernetes *kubernetes.Service
	tokenProxy *kubernetes.Proxy
	// clusters leads to nothing but API servers and their token proxies, whatever
	// the Host header says: azidentity leaves that of the token service in it.
	clusters *door.Router

	projecting  sync.Mutex             // held while token files change
	projections map[string]*projection // by host
	clusterCA   *pki.Authority         // of the token proxies, since its first use
}

// wireWorkloads builds the services and says which host names they answer for.
func (c *Cloud) wireWorkloads() {
	c.runners = runner.New(c.seed)
	c.kubernetes = kubernetes.New(kubernetes.Config{Seed: c.seed, Audience: c.environment.TokenExchangeAudience,
		AuthorityHost: "https://" + c.environment.LoginHost + "/", Forward: c.forward})
	c.tokenProxy = c.kubernetes.TokenProxy()
	c.router.HandleFunc(c.runners, c.runners.Hosts, c.runners.Knows)
	c.router.HandleFunc(c.kubernetes, c.kubernetes.Hosts, c.kubernetes.Knows)
	c.router.HandleServerName(c.tokenProxy, c.tokenProxy.Knows)
	c.router.HandleServerName(c.kubernetes, c.kubernetes.Knows)
	c.clusters = door.NewRouter(c.edge())
	c.clusters.HandleServerName(c.tokenProxy, c.tokenProxy.Knows)
	c.clusters.HandleServerName(c.kubernetes, func(string) bool { return true })
}

// forward carries a request of a token proxy to the token service.
func (c *Cloud) forward(from edge.Caller, in *http.Request) (edge.Response, error) {
	in.URL.Host = c.environment.LoginHost
	return c.router.Serve(from, in)
}

// A WorkloadIdentity is what a workload signs in as: an [Application] or a
// user-assigned [ManagedIdentity].
type WorkloadIdentity interface {
	signsInAs() (directory.TenantID, directory.ClientID)
}

func (a *Application) signsInAs() (directory.TenantID, directory.ClientID) {
	return a.Tenant, a.ClientID
}

func (m *ManagedIdentity) signsInAs() (directory.TenantID, directory.ClientID) {
	return m.Tenant, m.ClientID
}

// idsOf returns the identifiers of what a workload signs in as, or nothing.
func idsOf(w WorkloadIdentity) (tenant, client string) {
	if w == nil {
		return "", ""
	}
	t, id := w.signsInAs()
	return string(t), string(id)
}

// A Pod is a pod of a Kubernetes cluster with Microsoft Entra Workload ID, for
// [Cloud.AddPod].
type Pod struct {
	Cluster        *Issuer // of its service account tokens
	ServiceAccount string  // namespace/name; default/default if empty
	Identity       WorkloadIdentity
	// IdentityBinding sends token requests by the token proxy of the cluster,
	// with clients that opt into it. Identity must be a managed identity, which
	// gets the credential that AKS makes for it.
	IdentityBinding bool
}

// AddPod adds a pod as a host with the source [AKS]. Its service account token is
// in a file that [Host.Variables] and [Host.Environ] name, and is replaced as
// kubelet does: when 80 percent of its hour are over by the clock of the Cloud.
// [Cloud.Advance] replaces it at once. It panics when p lacks something.
func (c *Cloud) AddPod(name string, p Pod) *Host {
	h := c.AddHost(name, AKS)
	must(c.addPod(name, p))
	return h
}

func (c *Cloud) addPod(name string, p Pod) error {
	if p.Cluster == nil || p.Identity == nil {
		return fmt.Errorf("pod %q: Cluster and Identity have to be set", name)
	}
	tenant, client := idsOf(p.Identity)
	pod := kubernetes.Pod{Host: name, Issuer: signer(p.Cluster.Issuer), TenantID: tenant, ClientID: client}
	var err error
	if p.ServiceAccount != "" {
		if pod.Namespace, pod.ServiceAccount, err = kubernetes.SplitServiceAccount(p.ServiceAccount); err != nil {
			return fmt.Errorf("pod %q: %w", name, err)
		}
	}
	if p.IdentityBinding {
		if pod.Binding, err = c.bind(name, p.Identity); err != nil {
			return err
		}
	}
	return c.kubernetes.AddPod(pod)
}

// signer is an issuer as the emulator of Kubernetes sees it.
func signer(i *issuer.Issuer) kubernetes.Issuer {
	return kubernetes.Issuer{URL: i.URL, Sign: i.Sign, Keys: i.Ring}
}

// bindingCredential is the name of the credential that AKS makes.
const bindingCredential = "aks-identity-binding"

// bind makes what AKS makes for the first identity binding of a managed
// identity: an issuer, and the credential that trusts it.
func (c *Cloud) bind(pod string, w WorkloadIdentity) (kubernetes.Issuer, error) {
	m, ok := w.(*ManagedIdentity)
	if !ok {
		return kubernetes.Issuer{}, fmt.Errorf("pod %q: identity bindings are of managed identities, and its identity is an application", pod)
	}
	url := kubernetes.BindingIssuer(idsOf(m))
	for _, i := range c.issuers.Issuers() {
		if i.URL == url {
			return signer(i), nil
		}
	}
	i := &issuer.Issuer{Name: bindingCredential + "-" + m.Name, URL: url, Ring: c.issuerRing(url)}
	if err := c.issuers.Add(i); err != nil {
		return kubernetes.Issuer{}, err
	}
	return signer(i), c.trust(m.ClientID, directory.FederatedIdentityCredential{Name: bindingCredential, Issuer: url,
		Subject: kubernetes.BindingSubject(string(m.ClientID)), Audiences: []string{c.environment.TokenExchangeAudience}})
}

// trust adds a credential to a managed identity.
func (c *Cloud) trust(id directory.ClientID, f directory.FederatedIdentityCredential) error {
	var refused error
	err := c.directory.UpdateManagedIdentity(id, func(d *directory.ManagedIdentity) {
		all := append(d.Federated[:len(d.Federated):len(d.Federated)], f)
		if refused = directory.CheckFederated(all); refused == nil {
			d.Federated = all
		}
	})
	if err != nil {
		return err
	}
	return refused
}

// A GitHubJob is a job of a GitHub Actions workflow that may write ID tokens, for
// [Cloud.AddGitHubJob]. Issuer and Repository have to be set.
type GitHubJob struct {
	Issuer         *Issuer // https://token.actions.githubusercontent.com
	Repository     string  // owner/name
	Ref            string  // refs/heads/main if empty
	Environment    string  // of a deployment
	Event          string  // push if empty
	RepositoryID   string  // digits; derived if empty
	OwnerID        string  // likewise
	JobWorkflowRef string  // of a reusable workflow
	Enterprise     string  // slug
	// ImmutableSubject puts the numbers of owner and repository into the subject.
	ImmutableSubject bool
}

// AddGitHubJob adds a job as a host with the source [GitHub]. Programs find where
// to ask for tokens in [Host.Variables] and [Host.Environ]. It panics when j could
// not be of GitHub.
func (c *Cloud) AddGitHubJob(name string, j GitHubJob) *Host {
	h := c.AddHost(name, GitHub)
	must(c.addGitHubJob(name, j))
	return h
}

func (c *Cloud) addGitHubJob(name string, j GitHubJob) error {
	if j.Issuer == nil {
		return fmt.Errorf("job %q: Issuer has to be set", name)
	}
	return c.runners.AddGitHub(runner.GitHubJob{Host: name, Issuer: runner.Issuer{URL: j.Issuer.URL, Sign: j.Issuer.Issuer.Sign},
		Repository: j.Repository, Ref: j.Ref, Environment: j.Environment, Event: j.Event, RepositoryID: j.RepositoryID, OwnerID: j.OwnerID,
		JobWorkflowRef: j.JobWorkflowRef, Enterprise: j.Enterprise, ImmutableSubject: j.ImmutableSubject})
}

// A PipelinesJob is a job of Azure Pipelines that refers to a service connection
// with workload identity federation, for [Cloud.AddPipelinesJob]. All fields but
// Issuer and Pipeline have to be set.
type PipelinesJob struct {
	// Issuer is that of the organization,
	// https://vstoken.dev.azure.com/<organization ID>. Nil stands for Entra, which
	// issues the tokens of service connections made since November 2025.
	Issuer                *Issuer
	Organization, Project string
	Pipeline              string // that of the project if empty
	ServiceConnection     string // name
	Identity              WorkloadIdentity
}

// AddPipelinesJob adds a job as a host with the source [AzurePipelines]. Programs
// find where to ask for tokens in [Host.Variables] and [Host.Environ]. It panics
// when j lacks something.
func (c *Cloud) AddPipelinesJob(name string, j PipelinesJob) *Host {
	h := c.AddHost(name, AzurePipelines)
	must(c.addPipelinesJob(name, j))
	return h
}

func (c *Cloud) addPipelinesJob(name string, j PipelinesJob) error {
	if j.Identity == nil {
		return fmt.Errorf("job %q: Identity has to be set", name)
	}
	tenant, client := idsOf(j.Identity)
	by := runner.Issuer{URL: c.environment.IssuerV2(tenant), Sign: (&issuer.Issuer{Name: "Entra", Ring: c.ring}).Sign}
	if j.Issuer != nil {
		by = runner.Issuer{URL: j.Issuer.URL, Sign: j.Issuer.Issuer.Sign}
	}
	return c.runners.AddPipelines(runner.PipelinesJob{Host: name, Issuer: by, Organization: j.Organization, Project: j.Project, Pipeline: j.Pipeline,
		ServiceConnection: j.ServiceConnection, TenantID: tenant, ClientID: client})
}

// Presents returns the issuer and the subject of the assertions that code on h
// presents: what a federated identity credential has to name. It panics unless h
// is a pod or a CI job.
func (h *Host) Presents() (issuer, subject string) {
	if p, ok := h.cloud.kubernetes.Pod(h.name); ok {
		return p.Issuer.URL, p.Subject()
	}
	issuer, subject, ok := h.cloud.runners.Presents(h.name)
	if !ok {
		must(fmt.Errorf("host %q is neither a pod nor a job, so it has no assertions of its own", h.name))
	}
	return issuer, subject
}

// credential returns the federated identity credential that trusts h.
func (h *Host) credential() directory.FederatedIdentityCredential {
	issuer, subject := h.Presents()
	return directory.FederatedIdentityCredential{Name: "trust-" + h.name, Issuer: issuer, Subject: subject, Audiences: []string{h.cloud.environment.TokenExchangeAudience}}
}

// TrustHost adds a federated identity credential for the assertions of a pod or
// a CI job. It panics where [Application.AddFederatedIdentityCredential] does.
func (a *Application) TrustHost(h *Host) *Application {
	return a.AddFederatedIdentityCredential(h.credential())
}

// TrustHost adds a federated identity credential for the assertions of a pod or
// a CI job. It panics where [ManagedIdentity.AddFederatedIdentityCredential] does.
func (m *ManagedIdentity) TrustHost(h *Host) *ManagedIdentity {
	return m.AddFederatedIdentityCredential(h.credential())
}

// noteAssertion says in the transcript which token of a pod an assertion is.
func (c *Cloud) noteAssertion(r *edge.Request, assertion string) { c.kubernetes.Note(r, assertion) }

// resetWorkloads forgets pods and jobs. Their token files stay until
// [Cloud.reproject] has looked who is there again.
func (c *Cloud) resetWorkloads() {
	c.runners.Reset()
	c.kubernetes.Reset()
}

// tokenProxyAuthority is the certificate authority of clusters, which vouches
// for token proxies in the place of [Cloud.CA]. c.projecting must be held.
func (c *Cloud) tokenProxyAuthority() (*pki.Authority, error) {
	everywhere, err := c.certificateAuthority()
	if err != nil {
		return nil, err
	}
	if c.clusterCA == nil {
		if c.clusterCA, err = pki.New(time.Now(), "ests.aks", "azmk8s.io"); err != nil {
			return nil, err
		}
	}
	for _, name := range c.tokenProxy.ServerNames() {
		everywhere.Delegate(name, c.clusterCA)
	}
	return c.clusterCA, nil
}

// loadWorkload makes a host of a scenario file what its source says.
func (c *Cloud) loadWorkload(h scenario.Host) error {
	w := h.Workload
	if w == (scenario.Workload{}) {
		return nil // a pod without workload identity, or a job that may not write ID tokens
	}
	switch Source(h.Source) {
	case AKS:
		return c.addPod(h.Name, Pod{Cluster: c.issuerNamed(w.Issuer), ServiceAccount: w.ServiceAccount, Identity: c.identityNamed(w.Client), IdentityBinding: w.IdentityBinding})
	case GitHub:
		return c.addGitHubJob(h.Name, GitHubJob{Issuer: c.issuerNamed(w.Issuer), Repository: w.Repository, Ref: w.Ref, Environment: w.Environment, Event: w.EventName,
			RepositoryID: w.RepositoryID, OwnerID: w.RepositoryOwnerID, JobWorkflowRef: w.JobWorkflowRef, Enterprise: w.Enterprise, ImmutableSubject: w.ImmutableSubject})
	case AzurePipelines:
		return c.addPipelinesJob(h.Name, PipelinesJob{Issuer: c.issuerNamed(w.Issuer), Organization: w.Organization, Project: w.Project, Pipeline: w.Pipeline,
			ServiceConnection: w.ServiceConnection, Identity: c.identityNamed(w.Client)})
	}
	return nil
}

// issuerNamed returns the issuer with a name in a scenario file, or nil.
func (c *Cloud) issuerNamed(name string) *Issuer {
	for _, i := range c.issuers.Issuers() {
		if i.Name == name {
			return &Issuer{c, i}
		}
	}
	return nil
}

// identityNamed returns the application or the managed identity with a name in a
// scenario file, or nil.
func (c *Cloud) identityNamed(name string) WorkloadIdentity {
	id := c.clientID(name)
	if _, ok := c.directory.Application(id); ok {
		return c.Application(name)
	}
	if _, ok := c.directory.ManagedIdentity(id); ok {
		return c.ManagedIdentity(name)
	}
	return nil
}

// assertionLifetime is how long tokens are valid that are asked for with claims.
const assertionLifetime = 10 * time.Minute

// SignToken returns a token of an issuer outside Entra, with the claims of an
// assertion where the caller says nothing else.
func (m manager) SignToken(name string, claims map[string]any) (string, error) {
	i := m.issuerNamed(name)
	if i == nil {
		var known []string
		for _, i := range m.issuers.Issuers() {
			known = append(known, i.Name)
		}
		if len(known) == 0 {
			return "", fmt.Errorf("this cloud has no issuer outside Entra; add %s under issuers in its scenario", name)
		}
		return "", fmt.Errorf("there is no issuer %q outside Entra; there are: %s", name, strings.Join(known, ", "))
	}
	now := m.Now()
	all := map[string]any{"iss": i.URL, "aud": m.environment.TokenExchangeAudience, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLifetime).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return i.Issuer.Sign(all)
}
