package runner

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// The two services, as the names of rows begin.
const (
	gitHub    = "github"
	pipelines = "pipelines"
)

// A row is a refusal as a client sees it.
type row struct {
	name     string // for fault rules and the journal
	status   int
	text     string // {name} stands for a value of the refusal
	typeName string // of the exception, in Azure DevOps
	form     func(w row, text string) edge.Response
	fidelity edge.Fidelity
	source   string
}

const (
	webAPI     = "Microsoft.VisualStudio.Services.WebApi."
	foundation = "Microsoft.TeamFoundation.Framework.Server."
)

// rows are all refusals.
var rows = []row{
	{name: "github-audience", status: 400, text: "Can't issue ID_TOKEN for audience '{audience}'", form: runService, fidelity: edge.Faithful, source: "recorded answers in cysp/github-actions-id-token-exploration"},
	{name: "github-unauthorized", status: 401, text: "Unauthorized", form: runService, fidelity: edge.Approximate, source: "toolkit, oidc-utils.ts, where only the status counts"},
	{name: "github-query", status: 400, text: "The query string is malformed", form: runService, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.1"},
	{name: "github-version", status: 400, text: "The api-version is not supported", form: runService, fidelity: edge.Approximate, source: "toolkit, oidc-utils.ts: the version is in the address that the job is told"},
	{name: "github-not-found", status: 404, text: "Not Found", form: runService, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.5"},
	{name: "github-method", status: 405, text: "Method Not Allowed", form: runService, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.6"},

	{name: "pipelines-unauthorized", status: 401, text: "TF400813: The user 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa' is not authorized to access this resource.", typeName: foundation + "UnauthorizedRequestException", form: exception, fidelity: edge.Faithful, source: "Azure/azure-sdk-for-net#46135"},
	{name: "pipelines-sign-in", status: 302, text: `<html><head><title>Object moved</title></head><body><h2>Object moved to <a href="https://spsprodcus3.vssps.visualstudio.com/_signin?realm=dev.azure.com">here</a>.</h2></body></html>`, form: objectMoved, fidelity: edge.Approximate, source: "Azure/azure-sdk-for-js#29854; the address is shortened"},
	{name: "pipelines-version-missing", status: 400, text: `No api-version was supplied for the "POST" request. The version must be supplied either as part of the Accept header (e.g. "application/json; api-version=1.0") or as a query parameter (e.g. "?api-version=1.0").`, typeName: webAPI + "VssVersionNotSpecifiedException", form: exception, fidelity: edge.Faithful, source: "actions/runner src/Sdk/WebApi, VssApiResourceVersionExceptions.cs"},
	{name: "pipelines-version-range", status: 400, text: "The requested REST API version of {version} is out of range for this server. The latest REST API version this server supports is 7.2.", typeName: webAPI + "VssVersionOutOfRangeException", form: exception, fidelity: edge.Approximate, source: "recorded text of Azure DevOps; which versions there are is inferred"},
	{name: "pipelines-version-preview", status: 400, text: `The requested version "{version}" of the resource is under preview. The -preview flag must be supplied in the api-version for such requests. For example: "{version}-preview"`, typeName: webAPI + "VssInvalidPreviewVersionException", form: exception, fidelity: edge.Approximate, source: "Azure/azure-sdk-for-js#29854; which versions there are is inferred"},
	{name: "pipelines-query", status: 400, text: "The query string is malformed.", typeName: "System.ArgumentException", form: exception, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.1"},
	{name: "pipelines-connection", status: 400, text: "There is no explicit reference to service connection {id} from current stage " + stageName + "." + jobName + ".__default.", form: wrapped, fidelity: edge.Approximate, source: "dotnet/docker-tools#2012, which does not tell the status"},
	{name: "pipelines-not-found", status: 404, text: "The job could not be found.", typeName: "Microsoft.TeamFoundation.DistributedTask.WebApi.TimelineRecordNotFoundException", form: exception, fidelity: edge.Approximate, source: "oidctoken, which documents no error"},
	{name: "pipelines-method", status: 405, text: "The requested resource does not support http method '{method}'.", form: message, fidelity: edge.Approximate, source: "microsoft/terraform-provider-fabric#922 for the status"},

	{name: "too-large", status: 413, text: "The request is too large", form: runService, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.14"},
	{name: "failed", status: 500, text: "Internal Server Error", form: runService, fidelity: edge.Approximate, source: "RFC 9110 section 15.6.1"},
}

// runService is the form of GitHub's refusals.
func runService(w row, text string) edge.Response {
	return edge.JSON(w.status, struct {
		Source  string `json:"source"`
		Status  int    `json:"statusCode"`
		Message string `json:"errorMessage"`
	}{"actions-run-service", w.status, text})
}

// exception is the form in which Azure DevOps shows exceptions.
func exception(w row, text string) edge.Response {
	assembly := w.typeName[:max(0, strings.LastIndex(w.typeName, "."))]
	return edge.JSON(w.status, struct {
		ID      string  `json:"$id"`
		Inner   *string `json:"innerException"`
		Message string  `json:"message"`
		Name    string  `json:"typeName"`
		Key     string  `json:"typeKey"`
		Code    int     `json:"errorCode"`
		Event   int     `json:"eventId"`
	}{"1", nil, text, w.typeName + ", " + assembly, strings.TrimPrefix(w.typeName, assembly+"."), 0, 3000})
}

// wrapped is the form in which Azure DevOps shows text; count is its length.
func wrapped(w row, text string) edge.Response {
	return edge.JSON(w.status, gitHubAnswer{len(text), text})
}

// message is the form of refusals by the framework below Azure DevOps.
func message(w row, text string) edge.Response {
	return edge.JSON(w.status, map[string]any{"count": 1, "value": map[string]string{"Message": text}})
}

func objectMoved(w row, text string) edge.Response {
	return edge.Response{Status: w.status, Body: []byte(text), Header: http.Header{
		"Content-Type": {"text/html; charset=utf-8"}, "Location": {"https://spsprodcus3.vssps.visualstudio.com/_signin?realm=dev.azure.com"}}}
}

// A refusal names a row, says why it applies to this request, and holds what
// its text is about.
type refusal struct {
	row, why string
	values   []string
}

func because(row, format string, args ...any) *refusal {
	return &refusal{row: row, why: fmt.Sprintf(format, args...)}
}

func (no *refusal) with(name, value string) *refusal {
	no.values = append(no.values, "{"+name+"}", value)
	return no
}

func named(name string) (row, bool) {
	i := slices.IndexFunc(rows, func(w row) bool { return w.name == name })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

// refuse answers with a refusal and records it under the name of its row.
func refuse(r *edge.Request, no *refusal) edge.Response {
	w, _ := named(no.row) // a test provokes every row
	r.Explain(w.name, no.why)
	return w.render(r, no.values...)
}

func (w row) render(r *edge.Request, values ...string) edge.Response {
	resp := w.form(w, strings.NewReplacer(values...).Replace(w.text))
	if strings.HasPrefix(w.name, pipelines) {
		dress(r, resp.Header)
	}
	return resp
}

// dress adds the headers by which people of Azure DevOps find a request.
func dress(r *edge.Request, h http.Header) {
	h["Activityid"] = []string{r.ID}
	h["X-Vss-E2eid"] = []string{r.ID}
}

// Refuse answers with the row that a fault rule names.
func (s *Service) Refuse(r *edge.Request, code string) (edge.Response, bool) {
	w, ok := named(code)
	if !ok {
		return edge.Response{}, false
	}
	return refuse(r, because(w.name, "a fault rule asked for this refusal (%d %s)", w.status, w.text)), true
}

// TooLarge answers a request that is larger than the edge accepts.
func (s *Service) TooLarge(r *edge.Request) edge.Response {
	w, _ := named("too-large")
	return w.render(r)
}
