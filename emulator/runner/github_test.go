package runner

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gitHubToken asks for a token as actions/toolkit does: by appending to the
// address.
func (w *world) gitHub(t testing.TB, host, audience string) map[string]any {
	t.Helper()
	address := w.variable(host, "ACTIONS_ID_TOKEN_REQUEST_URL")
	if audience != "" {
		address += "&audience=" + url.QueryEscape(audience)
	}
	return claims(t, w.ask(t, "GET", address, "Authorization", "Bearer "+w.variable(host, "ACTIONS_ID_TOKEN_REQUEST_TOKEN")), "value")
}

func TestATokenOfGitHubHasTheClaimsOfItsPage(t *testing.T) {
	w := newWorld(t)
	got := w.gitHub(t, "runner", "api://AzureADTokenExchange")
	want := map[string]any{
		"iss": gitHubIssuer, "aud": "api://AzureADTokenExchange", "sub": "repo:contoso/exporter:ref:refs/heads/main",
		"iat": float64(noon.Unix()), "nbf": float64(noon.Unix() - 600), "exp": float64(noon.Unix() + 300),
		"ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "false", "head_ref": "", "base_ref": "",
		"repository": "contoso/exporter", "repository_owner": "contoso", "repository_visibility": "private",
		"run_number": "1", "run_attempt": "1", "runner_environment": "github-hosted", "actor": "octocat", "event_name": "push",
		"workflow": "deploy", "workflow_ref": "contoso/exporter/.github/workflows/deploy.yml@refs/heads/main",
		"job_workflow_ref": "contoso/exporter/.github/workflows/deploy.yml@refs/heads/main",
	}
	for _, derived := range []string{"jti", "sha", "workflow_sha", "job_workflow_sha", "repository_id", "repository_owner_id", "run_id", "actor_id"} {
		text, _ := got[derived].(string)
		if len(text) < 9 {
			t.Errorf("%s is %q", derived, text)
		}
		delete(got, derived)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if got, want := w.last().String(), "1 runner.github-token 200 contoso/exporter subject=repo:contoso/exporter:ref:refs/heads/main audience=api://AzureADTokenExchange"; got != want {
		t.Errorf("the transcript says %q, want %q", got, want)
	}
}

func TestTheSubjectOfGitHubFollowsTheJob(t *testing.T) {
	for name, tc := range map[string]struct {
		job     GitHubJob
		subject string
	}{
		"branch":                         {GitHubJob{Ref: "refs/heads/release/1"}, "repo:contoso/exporter:ref:refs/heads/release/1"},
		"tag":                            {GitHubJob{Ref: "refs/tags/v1"}, "repo:contoso/exporter:ref:refs/tags/v1"},
		"pull request":                   {GitHubJob{Ref: "refs/pull/7/merge", Event: "pull_request"}, "repo:contoso/exporter:pull_request"},
		"environment":                    {GitHubJob{Environment: "production"}, "repo:contoso/exporter:environment:production"},
		"environment of a pull request":  {GitHubJob{Environment: "eu:west", Event: "pull_request"}, "repo:contoso/exporter:environment:eu%3Awest"},
		"immutable":                      {GitHubJob{ImmutableSubject: true, OwnerID: "65", RepositoryID: "74"}, "repo:contoso@65/exporter@74:ref:refs/heads/main"},
		"immutable, with an environment": {GitHubJob{ImmutableSubject: true, OwnerID: "65", RepositoryID: "74", Environment: "prod"}, "repo:contoso@65/exporter@74:environment:prod"},
	} {
		w := newWorld(t)
		tc.job.Host, tc.job.Issuer, tc.job.Repository = "h", unsigned(gitHubIssuer), "contoso/exporter"
		must(t, w.AddGitHub(tc.job))
		if got := w.gitHub(t, "h", "")["sub"]; got != tc.subject {
			t.Errorf("%s: the token has %v, want %s", name, got, tc.subject)
		}
		if issuer, got, ok := w.Presents("h"); issuer != gitHubIssuer || got != tc.subject || !ok {
			t.Errorf("%s: Presents returns %s, %s, %v", name, issuer, got, ok)
		}
	}
}

func TestWhatAJobSaysOfItselfIsInItsTokenOfGitHub(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddGitHub(GitHubJob{Host: "h", Issuer: unsigned(gitHubIssuer), Repository: "contoso/exporter", Environment: "prod", Event: "pull_request", Ref: "refs/pull/7/merge",
		RepositoryID: "74", OwnerID: "65", JobWorkflowRef: "contoso/shared/.github/workflows/x.yml@v1", Enterprise: "contoso-ltd"}))
	got := w.gitHub(t, "h", "")
	for name, want := range map[string]string{"environment": "prod", "repository_id": "74", "repository_owner_id": "65", "enterprise": "contoso-ltd",
		"job_workflow_ref": "contoso/shared/.github/workflows/x.yml@v1", "head_ref": "feature", "base_ref": "main", "event_name": "pull_request"} {
		if got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
}

// The answers are those of the runs recorded in
// cysp/github-actions-id-token-exploration, with other names.
func TestGitHubIssuesForTheAudiencesThatItWasSeenToIssueFor(t *testing.T) {
	w := newWorld(t)
	for audience, issued := range map[string]bool{
		"api://AzureADTokenExchange": true, "sts.amazonaws.com": true, "[\"a\"]": true, " ": true, "https://mygithub.org/apps/x": true,
		"github.com": true, "https://GITHUB.com/": true, "https://github.com/contoso": true, "ftp://token@github.com/contoso/": true,
		"https://github.com/contoso/exporter": true, "https://github.com/contoso/exporter/issues?next=https://github.com/apps/x": true, "https://notgithub.com/contoso": true,
		"https://github.com/apps/x": false, "https://github.com/octo-org": false, "https://github.com/contoso/other": false, "https://github.com/contoso/?x": false,
		"https://github.com/contoso.": false, "https://github.com/contoso/exporter?x": false, "https://github.com/contoso/exporter-extra": false,
		"https://github.com.example.com": false, "https://github.com:443/contoso": false, "prefix github.com suffix": false, "git@github.com:contoso/exporter.git": false,
	} {
		resp := w.ask(t, "GET", w.variable("runner", "ACTIONS_ID_TOKEN_REQUEST_URL")+"&audience="+url.QueryEscape(audience), "Authorization", "bearer "+w.variable("runner", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
		if (resp.Status == 200) != issued || (resp.Status != 200 && resp.Status != 400) {
			t.Errorf("%q: %d %s", audience, resp.Status, resp.Body)
		}
		if issued && claims(t, resp, "value")["aud"] != audience {
			t.Errorf("%q: the token is for %v", audience, claims(t, resp, "value")["aud"])
		}
	}
	if got := w.gitHub(t, "runner", "")["aud"]; got != "https://github.com/contoso" {
		t.Errorf("without an audience the token is for %v, want that of the owner", got)
	}
}

func TestTheAnswerOfGitHubCountsTheCharactersOfTheToken(t *testing.T) {
	w := newWorld(t)
	resp := w.ask(t, "GET", w.variable("runner", "ACTIONS_ID_TOKEN_REQUEST_URL"), "Authorization", "Bearer "+w.variable("runner", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	var body gitHubAnswer
	must(t, json.Unmarshal(resp.Body, &body))
	if body.Count != len(body.Value) || body.Count == 0 {
		t.Errorf("count is %d, and the token has %d characters", body.Count, len(body.Value))
	}
}

func TestTheVariablesOfGitHubSayWhatTheTokenSays(t *testing.T) {
	w := newWorld(t)
	token := w.gitHub(t, "runner", "")
	for variable, claim := range map[string]string{"GITHUB_REPOSITORY": "repository", "GITHUB_REPOSITORY_ID": "repository_id", "GITHUB_REPOSITORY_OWNER_ID": "repository_owner_id",
		"GITHUB_REF": "ref", "GITHUB_SHA": "sha", "GITHUB_RUN_ID": "run_id", "GITHUB_ACTOR_ID": "actor_id", "GITHUB_EVENT_NAME": "event_name", "GITHUB_WORKFLOW_REF": "workflow_ref"} {
		if got := w.variable("runner", variable); got == "" || got != token[claim] {
			t.Errorf("%s is %q and the claim %s is %v", variable, got, claim, token[claim])
		}
	}
	if got := w.variable("runner", "GITHUB_REF_NAME"); got != "main" {
		t.Errorf("GITHUB_REF_NAME is %q, want main", got)
	}
}
