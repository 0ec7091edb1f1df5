package runner

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pipelines asks for a token as the SDKs' AzurePipelinesCredential does. id is
// that of a service connection; the job's own if it is "own".
func (w *world) pipelines(t testing.TB, host, id string) map[string]any {
	t.Helper()
	address := w.variable(host, "SYSTEM_OIDCREQUESTURI") + "?api-version=7.1"
	if id == "own" {
		id = w.variable(host, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")
	}
	if id != "" {
		address += "&serviceConnectionId=" + id
	}
	return claims(t, w.ask(t, "POST", address, "Authorization", "Bearer "+w.variable(host, "SYSTEM_ACCESSTOKEN"), "X-TFS-FedAuthRedirect", "Suppress"), "oidcToken")
}

func TestATokenOfAServiceConnectionHasTheRecordedClaims(t *testing.T) {
	w := newWorld(t)
	got := w.pipelines(t, "agent", "own")
	delete(got, "jti")
	want := map[string]any{"iss": devOpsIssuer, "aud": "api://AzureADTokenExchange", "sub": "sc://contoso/Exporter/azure-prod",
		"iat": float64(noon.Unix()), "nbf": float64(noon.Unix() - 600), "exp": float64(noon.Unix() + 300)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if got, want := w.last().String(), "1 runner.pipelines-token 200 contoso/Exporter subject=sc://contoso/Exporter/azure-prod"; got != want {
		t.Errorf("the transcript says %q, want %q", got, want)
	}
}

func TestATokenOfThePipelineItselfNamesItsRun(t *testing.T) {
	w := newWorld(t)
	got := w.pipelines(t, "agent", "")
	for name, want := range map[string]string{"sub": "p://contoso/Exporter/Exporter", "iss": devOpsIssuer, "org_id": "6804a3a0-e94c-41ae-9343-c5676fd58375",
		"prj_id": w.variable("agent", "SYSTEM_TEAMPROJECTID"), "rpo_ref": "refs/heads/main", "def_id": "1", "run_id": "1"} {
		if got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
}

// The prefix was decoded from subjects that people published: the tenant and
// Azure DevOps as packed GUIDs.
func TestEntraIssuesTokensOfServiceConnectionsBelowAzureDevOps(t *testing.T) {
	w := newWorld(t)
	got := w.pipelines(t, "modern", "own")
	want := "/eid1/c/pub/t/EREREREREREREREREREREQ/a/rISbSSETf0KqFyZ8ppdXmA/sc/" + w.variable("modern", "SYSTEM_COLLECTIONID") + "/" + w.variable("modern", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")
	if got["sub"] != want || got["iss"] != "https://login.microsoftonline.com/"+contoso+"/v2.0" || got["aud"] != "fb60f99c-7a34-4190-8149-302f77469936" || got["azp"] != devOpsApp {
		t.Errorf("claims %v, want the subject %s", got, want)
	}
	if issuer, subject, ok := w.Presents("modern"); issuer != got["iss"] || subject != want || !ok {
		t.Errorf("Presents returns %s, %s, %v", issuer, subject, ok)
	}
}

func TestAzurePipelinesTakesVersionsWhereClientsPutThem(t *testing.T) {
	w := newWorld(t)
	address := w.variable("agent", "SYSTEM_OIDCREQUESTURI")
	for _, tc := range [][2]string{{"?api-version=7.1-preview.1", ""}, {"?api-version=7.2-preview", ""}, {"?api-version=6.0-preview", ""}, {"", "application/json; api-version=7.1"}, {"", "application/json;api-version=7.1;excludeUrls=true"}} {
		resp := w.ask(t, "POST", address+tc[0], "Authorization", "Bearer "+w.variable("agent", "SYSTEM_ACCESSTOKEN"), "Accept", tc[1])
		if resp.Status != 200 {
			t.Errorf("%v: %d %s", tc, resp.Status, resp.Body)
		}
	}
}

func TestAzurePipelinesTakesTheNameOfTheProjectInTheAddress(t *testing.T) {
	w := newWorld(t)
	address := strings.Replace(w.variable("agent", "SYSTEM_OIDCREQUESTURI"), w.variable("agent", "SYSTEM_TEAMPROJECTID"), "exporter", 1)
	if resp := w.ask(t, "POST", address+"?api-version=7.1", "Authorization", "Bearer "+w.variable("agent", "SYSTEM_ACCESSTOKEN")); resp.Status != 200 {
		t.Errorf("%d %s", resp.Status, resp.Body)
	}
}

func TestTheServiceAnswersForTheHostsOfItsJobsAlone(t *testing.T) {
	w := newWorld(t)
	want := []string{"run-actions-1-azure-eastus.actions.githubusercontent.com", "dev.azure.com"}
	if got := w.Hosts(); !slices.Equal(got, want) || !w.Knows("dev.azure.com") {
		t.Errorf("hosts %v, want %v", got, want)
	}
	w.Reset()
	if _, _, ok := w.Presents("agent"); ok {
		t.Error("after Reset the host agent still presents something")
	}
	if w.Hosts() != nil || w.Knows("dev.azure.com") || w.Variables("agent") != nil || w.Variables("runner") != nil {
		t.Errorf("after Reset: hosts %v, variables %v", w.Hosts(), w.Variables("agent"))
	}
}

func TestJobsThatCouldNotBeAreRefused(t *testing.T) {
	w := newWorld(t)
	gh := GitHubJob{Host: "h", Issuer: unsigned(gitHubIssuer), Repository: "contoso/exporter"}
	az := PipelinesJob{Host: "h", Issuer: unsigned(devOpsIssuer), Organization: "o", Project: "p", ServiceConnection: "s"}
	with := func(edit func(*GitHubJob)) error { j := gh; edit(&j); return w.AddGitHub(j) }
	withPipeline := func(edit func(*PipelinesJob)) error { j := az; edit(&j); return w.AddPipelines(j) }
	for want, err := range map[string]error{
		`host "h": "exporter" is not a repository; expected owner/name`:                       with(func(j *GitHubJob) { j.Repository = "exporter" }),
		`host "h": "main" is not a ref; expected one such as refs/heads/main`:                 with(func(j *GitHubJob) { j.Ref = "main" }),
		`host "h": "x" and "" are not numbers of a repository and its owner; expected digits`: with(func(j *GitHubJob) { j.RepositoryID = "x" }),
		`host "runner": the name is empty, or the host runs a job already`:                    with(func(j *GitHubJob) { j.Host = "runner" }),
		`host "h": there is no issuer to sign the tokens of its job`:                          with(func(j *GitHubJob) { j.Issuer = Issuer{} }),
		`host "agent": the name is empty, or the host runs a job already`:                     withPipeline(func(j *PipelinesJob) { j.Host = "agent" }),
		`host "h": "contoso.com" is not a tenant ID; the subject of tokens that Entra issues is made of one`: withPipeline(func(j *PipelinesJob) {
			j.Issuer, j.TenantID = unsigned("https://login.microsoftonline.com/x/v2.0"), "contoso.com"
		}),
		`host "h": "a/b" is not the name of a project; expected one without slashes and the characters that Azure DevOps forbids`: withPipeline(func(j *PipelinesJob) { j.Project, j.Pipeline = "a/b", "c" }),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
