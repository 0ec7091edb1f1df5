// Package runner emulates the endpoints at which a job of a CI service asks
// for an OpenID Connect token of its own: those of GitHub Actions and of Azure
// Pipelines, under their production addresses. The token is what an application
// that trusts the service is exchanged for; nothing here issues tokens of Entra.
//
// Sources that comments and tables name in short: github-oidc is GitHub's page
// "OpenID Connect reference"; toolkit is actions/toolkit packages/core; oidctoken
// is Microsoft's REST reference "Oidctoken - Create"; variables is Microsoft's
// page "Define variables" of Azure Pipelines.
package runner

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// The hosts that answer. GitHub has several of the first kind, one of which a
// job is told; dev.azure.com is where organizations of Azure DevOps live.
const (
	gitHubHost    = "run-actions-1-azure-eastus.actions.githubusercontent.com"
	pipelinesHost = "dev.azure.com"
)

// An Issuer signs the tokens of jobs. Sign must allow calls from several
// goroutines.
type Issuer struct {
	URL  string // exactly as in the iss claim
	Sign func(claims map[string]any) (string, error)
}

// A Service answers for the jobs of all hosts of a cloud. Its methods may be
// called from several goroutines.
type Service struct {
	seed              string
	routes            []edge.Route
	gitHub, pipelines *edge.Table

	mu           sync.RWMutex
	gitHubJobs   map[string]GitHubJob    // by host
	pipelineJobs map[string]PipelinesJob // by host
}

var _ edge.Service = (*Service)(nil)

// New returns a Service without jobs. Identifiers are derived from seed.
func New(seed string) *Service {
	s := &Service{seed: seed}
	s.routes = []edge.Route{
		{Op: "runner.github-token", Method: "GET", Path: "/{number}/idtoken/{plan}/{job}", Do: s.gitHubToken, Fidelity: edge.Faithful, Source: "GitHub: OpenID Connect reference; actions/toolkit packages/core/src/oidc-utils.ts; recorded refusals"},
		{Op: "runner.pipelines-token", Method: "POST", Path: "/{organization}/{project}/_apis/distributedtask/hubs/{hub}/plans/{plan}/jobs/{job}/oidctoken", Do: s.pipelinesToken, Fidelity: edge.Faithful, Source: "Microsoft: REST reference of Azure DevOps, Oidctoken - Create; source of the SDKs' AzurePipelinesCredential"},
		{Op: "runner.unknown", Do: s.unknown, Fidelity: edge.Approximate, Source: "not an emulated endpoint"},
	}
	s.gitHub, s.pipelines = edge.NewTable(false, s.routes[:1]), edge.NewTable(true, s.routes[1:2])
	s.Reset()
	return s
}

// Reset forgets all jobs.
func (s *Service) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gitHubJobs, s.pipelineJobs = map[string]GitHubJob{}, map[string]PipelinesJob{}
}

// Hosts returns the host names that the service answers for: those of the CI
// services that a host of the cloud runs jobs of.
func (s *Service) Hosts() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	if len(s.gitHubJobs) > 0 {
		out = append(out, gitHubHost)
	}
	if len(s.pipelineJobs) > 0 {
		out = append(out, pipelinesHost)
	}
	return out
}

// Knows reports whether the service answers for a host name.
func (s *Service) Knows(hostname string) bool { return slices.Contains(s.Hosts(), hostname) }

// Variables returns the variables that the CI service sets for the job on a
// host, in the form of [os.Environ], or nothing if it runs none.
func (s *Service) Variables(host string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if j, ok := s.gitHubJobs[host]; ok {
		return j.variables(s.seed)
	}
	if j, ok := s.pipelineJobs[host]; ok {
		return j.variables(s.seed)
	}
	return nil
}

// Presents returns the iss and sub claims of the tokens of the job on a host; for
// a pipeline, those of its service connection. ok is false if it runs none.
func (s *Service) Presents(host string) (issuer, subject string, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if j, ok := s.gitHubJobs[host]; ok {
		return j.Issuer.URL, j.Subject(), true
	}
	j, ok := s.pipelineJobs[host]
	return j.Issuer.URL, j.subject(s.seed), ok
}

// Routes returns the operations of the service.
func (s *Service) Routes() []edge.Route { return s.routes }

// Resolve finds the operation that a request asks for at its host.
func (s *Service) Resolve(r *edge.Request) *edge.Route {
	if route, vars, _ := s.table(r).Match(r.Method, r.URL); route != nil {
		r.Vars = vars
		return route
	}
	return &s.routes[2]
}

func (s *Service) table(r *edge.Request) *edge.Table {
	if at(r, gitHubHost) {
		return s.gitHub
	}
	return s.pipelines
}

func at(r *edge.Request, hostname string) bool {
	return strings.EqualFold(strings.TrimSuffix(r.URL.Hostname(), "."), hostname)
}

// unknown answers what fits no operation, in the way of the host.
func (s *Service) unknown(r *edge.Request) edge.Response {
	service := pipelines
	if at(r, gitHubHost) {
		service = gitHub
	}
	if _, _, wrongMethod := s.table(r).Match(r.Method, r.URL); wrongMethod {
		return refuse(r, because(service+"-method", "%s is not a method of %s", r.Method, r.URL.Path).with("method", r.Method))
	}
	return refuse(r, because(service+"-not-found", "there is nothing at %s; the address of the job is in its variables", r.URL.Path))
}

// bearer returns the token of a request (RFC 6750 section 2.1). The scheme is
// the client's to spell: go-azure-sdk writes Bearer and GitHub's page bearer.
func bearer(r *edge.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "Bearer")
}

// authorized returns the refusal of a request without the token of its job, or
// nil. name is the variable that holds the token.
func authorized(r *edge.Request, row, name, want string) *refusal {
	switch got, ok := bearer(r); {
	case !ok:
		return because(row, "the request has no bearer token; expected the value of %s", name)
	case got != want:
		return because(row, "the bearer token is not that of this job; expected the value of %s", name)
	}
	return nil
}

// checkHost refuses a host that runs another job, or none that has a name.
func (s *Service) checkHost(host string, issuer Issuer) error {
	_, gitHub := s.gitHubJobs[host]
	_, pipeline := s.pipelineJobs[host]
	switch {
	case host == "" || gitHub || pipeline:
		return fmt.Errorf("host %q: the name is empty, or the host runs a job already", host)
	case issuer.URL == "" || issuer.Sign == nil:
		return fmt.Errorf("host %q: there is no issuer to sign the tokens of its job", host)
	}
	return nil
}
