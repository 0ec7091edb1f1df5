package runner

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// provocations bring rows about. {gh} and {az} in a target stand for the
// addresses of the jobs; the header Authorization is right unless spelled.
var provocations = []struct {
	row, method, target string
	headers             []string
	status              int
	body                string // what the body holds
	why                 string // what the reason begins with
}{
	{"github-unauthorized", "GET", "{gh}", []string{"Authorization", ""}, 401, `{"source":"actions-run-service","statusCode":401,"errorMessage":"Unauthorized"}`, "the request has no bearer token"},
	{"github-unauthorized", "GET", "{gh}", []string{"Authorization", "Basic eA=="}, 401, `"statusCode":401`, "the request has no bearer token"},
	{"github-unauthorized", "GET", "{gh}", []string{"Authorization", "Bearer x"}, 401, `"statusCode":401`, "the bearer token is not that of this job"},
	{"github-audience", "GET", "{gh}&audience=https://github.com/apps/x", nil, 400, `{"source":"actions-run-service","statusCode":400,"errorMessage":"Can't issue ID_TOKEN for audience 'https://github.com/apps/x'"}`, `GitHub issues no token for the audience "https://github.com/apps/x"`},
	{"github-query", "GET", "{gh}&audience=%zz", nil, 400, `"statusCode":400`, `the query "api-version=2.0&audience=%zz" cannot be read`},
	{"github-version", "GET", "{gh}9", nil, 400, `"statusCode":400`, `api-version is "2.09"`},
	{"github-not-found", "GET", "https://run-actions-1-azure-eastus.actions.githubusercontent.com/1//idtoken/a/b?api-version=2.0", nil, 404, `"statusCode":404`, "no job of this cloud asks at /1//idtoken/a/b"},
	{"github-not-found", "GET", "https://run-actions-1-azure-eastus.actions.githubusercontent.com/", nil, 404, `"statusCode":404`, "there is nothing at /"},
	{"github-method", "POST", "{gh}", nil, 405, `"statusCode":405`, "POST is not a method of /1//idtoken/"},
	{"pipelines-unauthorized", "POST", "{az}?api-version=7.1", []string{"Authorization", "Bearer x", "X-TFS-FedAuthRedirect", "Suppress"}, 401,
		`{"$id":"1","innerException":null,"message":"TF400813: The user 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa' is not authorized to access this resource.","typeName":"Microsoft.TeamFoundation.Framework.Server.UnauthorizedRequestException, Microsoft.TeamFoundation.Framework.Server","typeKey":"UnauthorizedRequestException","errorCode":0,"eventId":3000}`, "the bearer token is not that of this job"},
	{"pipelines-sign-in", "POST", "{az}?api-version=7.1", []string{"Authorization", "Bearer x"}, 302, "<h2>Object moved to <a href=", "the bearer token is not that of this job; expected the value of SYSTEM_ACCESSTOKEN; without X-TFS-FedAuthRedirect: Suppress"},
	{"pipelines-version-missing", "POST", "{az}", nil, 400, `"message":"No api-version was supplied for the \"POST\" request.`, "the request names no version"},
	{"pipelines-version-range", "POST", "{az}?api-version=9.9", nil, 400, `"message":"The requested REST API version of 9.9 is out of range for this server. The latest REST API version this server supports is 7.2."`, `api-version is "9.9"`},
	{"pipelines-version-range", "POST", "{az}?api-version=seven", nil, 400, `"typeKey":"VssVersionOutOfRangeException"`, `api-version is "seven"`},
	{"pipelines-version-preview", "POST", "{az}?api-version=6.0", nil, 400, `"typeKey":"VssInvalidPreviewVersionException"`, `api-version is "6.0", in which the resource is under preview`},
	{"pipelines-query", "POST", "{az}?api-version=%zz", nil, 400, `"typeKey":"ArgumentException"`, `the query "api-version=%zz" cannot be read`},
	{"pipelines-connection", "POST", "{az}?api-version=7.1&serviceConnectionId=x", nil, 400, `{"count":98,"value":"There is no explicit reference to service connection x from current stage __default.Job.__default."}`, "the job refers to the service connection"},
	{"pipelines-connection", "POST", "{modern}?api-version=7.1", nil, 400, `"value":"There is no explicit reference`, "the request names no service connection"},
	{"pipelines-not-found", "POST", "https://dev.azure.com/contoso/p/_apis/distributedtask/hubs/build/plans/a/jobs/b/oidctoken?api-version=7.1", nil, 404, `"message":"The job could not be found."`, "no job of this cloud asks at /contoso/p/_apis/"},
	{"pipelines-not-found", "GET", "https://dev.azure.com/contoso/_apis/projects", nil, 404, `"message":"The job could not be found."`, "there is nothing at /contoso/_apis/projects"},
	{"pipelines-method", "GET", "{az}?api-version=7.1", nil, 405, `{"count":1,"value":{"Message":"The requested resource does not support http method 'GET'."}}`, "GET is not a method of /contoso/"},
}

// provoke sends the request of a provocation.
func (w *world) provoke(t testing.TB, method, target string, headers ...string) edge.Response {
	t.Helper()
	token := w.variable("agent", "SYSTEM_ACCESSTOKEN")
	if strings.HasPrefix(target, "{gh}") || strings.Contains(target, "githubusercontent") {
		token = w.variable("runner", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	}
	if strings.HasPrefix(target, "{modern}") {
		token = w.variable("modern", "SYSTEM_ACCESSTOKEN")
	}
	target = strings.NewReplacer("{gh}", w.variable("runner", "ACTIONS_ID_TOKEN_REQUEST_URL"), "{az}", w.variable("agent", "SYSTEM_OIDCREQUESTURI"), "{modern}", w.variable("modern", "SYSTEM_OIDCREQUESTURI")).Replace(target)
	return w.ask(t, method, target, append([]string{"Authorization", "Bearer " + token}, headers...)...)
}

func TestEveryBadRequestIsRefusedAndExplained(t *testing.T) {
	for _, tc := range provocations {
		w := newWorld(t)
		resp := w.provoke(t, tc.method, tc.target, tc.headers...)
		if resp.Status != tc.status || !strings.Contains(string(resp.Body), tc.body) {
			t.Errorf("%s: %s %s: %d %s; want %d %s", tc.row, tc.method, tc.target, resp.Status, resp.Body, tc.status, tc.body)
		}
		if got := w.last().Decision; got.Code != tc.row || !strings.HasPrefix(got.Why, tc.why) {
			t.Errorf("%s: the journal says %s: %s; want %s", tc.row, got.Code, got.Why, tc.why)
		}
	}
}

func TestATokenThatCannotBeSignedIsAnInternalError(t *testing.T) {
	w := newWorld(t)
	broken := Issuer{gitHubIssuer, func(map[string]any) (string, error) { return "", errors.New("the key ring is empty") }}
	must(t, w.AddGitHub(GitHubJob{Host: "h", Issuer: broken, Repository: "contoso/exporter"}))
	resp := w.ask(t, "GET", w.variable("h", "ACTIONS_ID_TOKEN_REQUEST_URL"), "Authorization", "Bearer "+w.variable("h", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	if got := w.last().Decision; resp.Status != 500 || got.Code != "failed" || got.Why != "the token could not be signed: the key ring is empty" {
		t.Errorf("%d %s, %+v", resp.Status, resp.Body, got)
	}
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t)
	if resp := w.provoke(t, "GET", "{gh}", "X-Long", strings.Repeat("x", edge.MaxHeaders)); resp.Status != 413 || !strings.Contains(string(resp.Body), `"statusCode":413`) {
		t.Errorf("%d %s", resp.Status, resp.Body)
	}
}

func TestAFaultCanAskForAnyRow(t *testing.T) {
	for _, row := range rows {
		w := newWorld(t)
		w.edge.Faults.Add(fault.Rule{Op: "runner.github-token", Times: 1, Do: fault.Refuse(row.name)})
		if resp := w.provoke(t, "GET", "{gh}"); resp.Status != row.status || w.last().Decision.Code != row.name {
			t.Errorf("%s: %d, want %d", row.name, resp.Status, row.status)
		}
		if resp := w.provoke(t, "GET", "{gh}"); resp.Status != 200 {
			t.Errorf("%s: the request after the fault got %d", row.name, resp.Status)
		}
	}
	if _, ok := newWorld(t).Refuse(&edge.Request{}, "no-such-row"); ok {
		t.Error("Refuse claims to have a row that does not exist")
	}
}

func TestEveryRowIsProvokedAndHasASource(t *testing.T) {
	tested := map[string]bool{"failed": true, "too-large": true} // by the tests of their names above
	for _, tc := range provocations {
		tested[tc.row] = true
	}
	for _, w := range rows {
		if !tested[w.name] || w.source == "" || w.fidelity == "" || w.form == nil || w.text == "" || w.status < 300 {
			t.Errorf("row %s: tested %v, source %q, fidelity %q", w.name, tested[w.name], w.source, w.fidelity)
		}
		delete(tested, w.name)
	}
	if len(tested) > 0 {
		t.Errorf("tests for rows that do not exist, or are there twice: %v", tested)
	}
}

// FuzzRequest sends any request with the right token. It is answered, in JSON
// unless it is led away, and a token is for the audience that was asked for.
func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	for _, seed := range [][2]string{{"GET", "{gh}"}, {"GET", "{gh}&audience=api%3A%2F%2FAzureADTokenExchange"}, {"GET", "{gh}&audience=%zz"}, {"POST", "{az}?api-version=7.1"}, {"POST", "{az}?api-version=999.9-preview.1&serviceConnectionId=%00"}, {"PUT", "{modern}"}, {"GET", "https://dev.azure.com//%2F"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		expanded := strings.NewReplacer("{gh}", w.variable("runner", "ACTIONS_ID_TOKEN_REQUEST_URL"), "{az}", w.variable("agent", "SYSTEM_OIDCREQUESTURI"), "{modern}", w.variable("modern", "SYSTEM_OIDCREQUESTURI")).Replace(target)
		u, err := url.ParseRequestURI(expanded)
		if err != nil || u.Host == "" || method == "" || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) || strings.ContainsAny(expanded, " \r\n\t\"") {
			return
		}
		resp := w.provoke(t, method, target)
		if !json.Valid(resp.Body) {
			t.Errorf("%s %s: %d %s", method, target, resp.Status, resp.Body)
		}
		if resp.Status == 200 && strings.Contains(string(resp.Body), "value") {
			if got, asked := claims(t, resp, "value")["aud"], u.Query().Get("audience"); asked != "" && got != inJSON(t, asked) {
				t.Errorf("%s: the token is for %q", target, got)
			}
		}
	})
}

// inJSON returns text as it arrives through JSON, which has no other bytes than
// those of UTF-8.
func inJSON(t testing.TB, s string) (out string) {
	t.Helper()
	raw, err := json.Marshal(s)
	must(t, err)
	must(t, json.Unmarshal(raw, &out))
	return out
}
