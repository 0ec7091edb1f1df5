package runner

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pattern"
)

// A GitHubJob is a job of a GitHub Actions workflow that may write ID tokens
// (permissions: id-token: write). Host, Issuer and Repository must be set.
type GitHubJob struct {
	Host        string // the emulated host it runs on
	Issuer      Issuer
	Repository  string // owner/name
	Ref         string // refs/heads/main if empty
	Environment string // of the deployment, if it is one
	Event       string // that started the workflow; push if empty
	// RepositoryID and OwnerID are the numbers that GitHub never reuses; derived
	// if empty.
	RepositoryID, OwnerID string
	// JobWorkflowRef names a reusable workflow that the job is of; that of the
	// workflow itself if empty.
	JobWorkflowRef string
	Enterprise     string // slug; no enterprise claim if empty
	// ImmutableSubject puts the numbers of owner and repository into the
	// subject, as a setting of the repository does since 2026 (Microsoft:
	// "Migrate GitHub Actions federated credentials to immutable subjects").
	ImmutableSubject bool
}

var (
	repositoryName = pattern.New(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
	digits         = pattern.New(`^[0-9]*$`)
)

// AddGitHub adds a job. It fails when the host runs one already, and when what
// it says could not be of GitHub.
func (s *Service) AddGitHub(j GitHubJob) error {
	j.Ref, j.Event = cmp.Or(j.Ref, "refs/heads/main"), cmp.Or(j.Event, "push")
	switch {
	case !repositoryName.MatchString(j.Repository):
		return fmt.Errorf("host %q: %q is not a repository; expected owner/name", j.Host, j.Repository)
	case !strings.HasPrefix(j.Ref, "refs/"):
		return fmt.Errorf("host %q: %q is not a ref; expected one such as refs/heads/main", j.Host, j.Ref)
	case !digits.MatchString(j.RepositoryID) || !digits.MatchString(j.OwnerID):
		return fmt.Errorf("host %q: %q and %q are not numbers of a repository and its owner; expected digits", j.Host, j.RepositoryID, j.OwnerID)
	}
	j.RepositoryID = cmp.Or(j.RepositoryID, number(s.seed, "repository", j.Repository))
	j.OwnerID = cmp.Or(j.OwnerID, number(s.seed, "owner", j.owner()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkHost(j.Host, j.Issuer); err != nil {
		return err
	}
	s.gitHubJobs[j.Host] = j
	return nil
}

func (j GitHubJob) owner() string {
	owner, _, _ := strings.Cut(j.Repository, "/")
	return owner
}

// Subject returns the sub claim of the job's tokens: the environment counts more
// than the event, and a pull request more than the ref (github-oidc, section
// Example subject claims).
func (j GitHubJob) Subject() string {
	repository := j.Repository
	if j.ImmutableSubject {
		owner, name, _ := strings.Cut(j.Repository, "/")
		repository = owner + "@" + j.OwnerID + "/" + name + "@" + j.RepositoryID
	}
	switch {
	case j.Environment != "":
		return "repo:" + repository + ":environment:" + strings.ReplaceAll(j.Environment, ":", "%3A")
	case j.pullRequest():
		return "repo:" + repository + ":pull_request"
	}
	return "repo:" + repository + ":ref:" + j.Ref
}

func (j GitHubJob) pullRequest() bool { return j.Event == "pull_request" }

// The workflow of every job, because nothing about it is emulated.
const (
	workflowName = "deploy"
	workflowFile = ".github/workflows/deploy.yml"
	actor        = "octocat"
)

func (j GitHubJob) workflowRef() string { return j.Repository + "/" + workflowFile + "@" + j.Ref }

// refType returns what kind of thing the ref names.
func (j GitHubJob) refType() string {
	if strings.HasPrefix(j.Ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

// branches returns the source and the target of a pull request, and nothing for
// other events.
func (j GitHubJob) branches() (head, base string) {
	if j.pullRequest() {
		return "feature", "main"
	}
	return "", ""
}

// gitHubLifetime and gitHubBackdated are those of the example of github-oidc.
const (
	gitHubLifetime  = 5 * time.Minute
	gitHubBackdated = 10 * time.Minute
)

// claims returns the claims of a token of the job, all of them text but the
// times (github-oidc, OIDC token claims).
func (j GitHubJob) claims(seed, requestID, audience string, now time.Time) map[string]any {
	head, base := j.branches()
	sha := commit(seed, j.Repository, j.Ref)
	c := map[string]any{
		"jti": guid(seed, "jti", requestID), "sub": j.Subject(), "aud": audience, "iss": j.Issuer.URL,
		"iat": now.Unix(), "nbf": now.Add(-gitHubBackdated).Unix(), "exp": now.Add(gitHubLifetime).Unix(),
		"ref": j.Ref, "ref_type": j.refType(), "ref_protected": "false", "sha": sha, "head_ref": head, "base_ref": base,
		"repository": j.Repository, "repository_owner": j.owner(), "repository_visibility": "private",
		"repository_id": j.RepositoryID, "repository_owner_id": j.OwnerID,
		"run_id": number(seed, "run", j.Host), "run_number": "1", "run_attempt": "1", "runner_environment": "github-hosted",
		"actor": actor, "actor_id": number(seed, "actor", actor), "event_name": j.Event,
		"workflow": workflowName, "workflow_ref": j.workflowRef(), "workflow_sha": sha,
		"job_workflow_ref": cmp.Or(j.JobWorkflowRef, j.workflowRef()), "job_workflow_sha": sha,
	}
	if j.Environment != "" {
		c["environment"] = j.Environment
	}
	if j.Enterprise != "" {
		c["enterprise"] = j.Enterprise
	}
	return c
}

// variables returns what the runner sets besides what is about files and
// folders ("Variables reference" of GitHub's documentation).
func (j GitHubJob) variables(seed string) []string {
	head, base := j.branches()
	sha := commit(seed, j.Repository, j.Ref)
	return []string{
		"CI=true", "GITHUB_ACTIONS=true",
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + j.requestURL(seed), "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + j.requestToken(seed),
		"GITHUB_SERVER_URL=https://github.com", "GITHUB_API_URL=https://api.github.com", "GITHUB_GRAPHQL_URL=https://api.github.com/graphql",
		"GITHUB_REPOSITORY=" + j.Repository, "GITHUB_REPOSITORY_ID=" + j.RepositoryID,
		"GITHUB_REPOSITORY_OWNER=" + j.owner(), "GITHUB_REPOSITORY_OWNER_ID=" + j.OwnerID,
		"GITHUB_REF=" + j.Ref, "GITHUB_REF_NAME=" + shortRef(j.Ref), "GITHUB_REF_TYPE=" + j.refType(), "GITHUB_REF_PROTECTED=false",
		"GITHUB_HEAD_REF=" + head, "GITHUB_BASE_REF=" + base, "GITHUB_SHA=" + sha, "GITHUB_EVENT_NAME=" + j.Event,
		"GITHUB_ACTOR=" + actor, "GITHUB_ACTOR_ID=" + number(seed, "actor", actor), "GITHUB_TRIGGERING_ACTOR=" + actor,
		"GITHUB_JOB=" + workflowName, "GITHUB_WORKFLOW=" + workflowName, "GITHUB_WORKFLOW_REF=" + j.workflowRef(), "GITHUB_WORKFLOW_SHA=" + sha,
		"GITHUB_RUN_ID=" + number(seed, "run", j.Host), "GITHUB_RUN_NUMBER=1", "GITHUB_RUN_ATTEMPT=1",
		"RUNNER_ENVIRONMENT=github-hosted",
	}
}

func shortRef(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/pull/"} {
		if short, ok := strings.CutPrefix(ref, prefix); ok {
			return short
		}
	}
	return ref
}

// requestURL returns where the job asks for tokens. The double slash and the
// query are the service's own: clients append &audience= to it.
func (j GitHubJob) requestURL(seed string) string {
	return "https://" + gitHubHost + "/1//idtoken/" + guid(seed, "plan", j.Host) + "/" + guid(seed, "job", j.Host) + "?api-version=2.0"
}

func (j GitHubJob) requestToken(seed string) string { return secret(seed, "github", j.Host) }

// A gitHubAnswer is the body of a success; count is the length of the value, as
// Azure DevOps wraps text.
type gitHubAnswer struct {
	Count int    `json:"count"`
	Value string `json:"value"`
}

func (s *Service) gitHubToken(r *edge.Request) edge.Response {
	j, ok := s.gitHubJobAt(r)
	if !ok {
		return refuse(r, because("github-not-found", "no job of this cloud asks at %s; the address of one is in its variable ACTIONS_ID_TOKEN_REQUEST_URL", r.URL.Path))
	}
	r.Note("", j.Repository)
	audience, no := j.check(s.seed, r)
	if no != nil {
		return refuse(r, no)
	}
	r.Note("subject", j.Subject())
	r.Note("audience", audience)
	return s.issue(r, j.Issuer, j.claims(s.seed, r.ID, audience, r.Now), func(token string) any { return gitHubAnswer{len(token), token} })
}

func (s *Service) gitHubJobAt(r *edge.Request) (GitHubJob, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for host, j := range s.gitHubJobs {
		if strings.EqualFold(r.Vars["plan"], guid(s.seed, "plan", host)) && strings.EqualFold(r.Vars["job"], guid(s.seed, "job", host)) {
			return j, true
		}
	}
	return GitHubJob{}, false
}

// check returns the audience that a request asks for, which is that of the
// repository's owner if it names none. An audience of no characters is none
// (cysp/github-actions-id-token-exploration).
func (j GitHubJob) check(seed string, r *edge.Request) (audience string, no *refusal) {
	if no := authorized(r, "github-unauthorized", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", j.requestToken(seed)); no != nil {
		return "", no
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", because("github-query", "the query %q cannot be read: %v", r.URL.RawQuery, err)
	}
	if version := query.Get("api-version"); version != "2.0" {
		return "", because("github-version", "api-version is %q; the address in ACTIONS_ID_TOKEN_REQUEST_URL ends in ?api-version=2.0, to which &audience= is appended", version)
	}
	audience = cmp.Or(query.Get("audience"), "https://github.com/"+j.owner())
	if !j.mayAsk(audience) {
		return "", because("github-audience", "GitHub issues no token for the audience %q: what follows github.com in one has to be this owner or this repository; expected api://AzureADTokenExchange for Entra", audience).with("audience", audience)
	}
	return audience, nil
}

// mayAsk reports whether GitHub issues tokens for an audience: any, unless it
// contains github.com, whatever the letter case. Then what follows is nothing,
// the owner, the repository, or a path below the repository (runs recorded in
// cysp/github-actions-id-token-exploration).
func (j GitHubJob) mayAsk(audience string) bool {
	i := strings.Index(strings.ToLower(audience), "github.com")
	if i < 0 {
		return true
	}
	rest := audience[i+len("github.com"):]
	exact := []string{"", "/", "/" + j.owner(), "/" + j.owner() + "/", "/" + j.Repository}
	return slices.Contains(exact, rest) || strings.HasPrefix(rest, "/"+j.Repository+"/")
}

// issue signs claims and answers with what wrap makes of the token.
func (s *Service) issue(r *edge.Request, by Issuer, claims map[string]any, wrap func(token string) any) edge.Response {
	token, err := by.Sign(claims)
	if err != nil {
		return refuse(r, because("failed", "the token could not be signed: %v", err))
	}
	r.Issued(token)
	return edge.JSON(http.StatusOK, wrap(token))
}
