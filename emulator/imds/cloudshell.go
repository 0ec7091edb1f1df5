package imds

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// cloudShellAudiences are what Cloud Shell has tokens for, as its own refusals
// listed them in 2024 (microsoft/powerplatform-build-tools#972, which breaks off);
// the page "Acquiring a user token in Azure Cloud Shell" says that there is a
// list. The token exchange is not on it.
var cloudShellAudiences = []string{
	"https://management.core.windows.net", "https://management.azure.com", "https://graph.windows.net", "https://vault.azure.net",
	"cfa8b339-82a2-471a-a3c9-0fc0be7a4093", "https://datalake.azure.net", "https://outlook.office365.com", "https://graph.microsoft.com",
	"00000003-0000-0000-c000-000000000000", "https://batch.core.windows.net", "https://analysis.windows.net/powerbi/api",
	"https://storage.azure.com", "https://rest.media.azure.net", "https://api.loganalytics.io", "https://ossrdbms-aad.database.windows.net",
	"https://www.yammer.com", "https://digitaltwins.azure.net", "0b07f429-9f4b-4714-9392-cc5e8e80c8b0", "822c8694-ad95-4735-9c55-256f7db2f9b4",
	"https://dev.azuresynapse.net", "https://database.windows.net", "https://quantum.microsoft.com", "https://iothubs.azure.net",
	"2ff814a6-3304-4ab8-85cb-cd0e6f879c1d", "https://azuredatabricks.net", "ce34e7e5-485f-4d76-964f-b3d2b16d1e4f",
	"https://azure-devices-provisioning.net", "https://managedhsm.azure.net", "499b84ac-1321-427f-aa17-267ca6975798",
	"https://api.adu.microsoft.com", "https://purview.azure.net",
}

// cloudShellRows are the refusals of Cloud Shell.
var cloudShellRows = []row{
	{name: "cloudshell-metadata-header", status: 400, code: "bad_request_102", text: "Required metadata header not specified", form: cloudShellForm, fidelity: edge.Approximate, source: "quoted in sources of programs that stand in for it"},
	{name: "cloudshell-resource-missing", status: 400, code: "invalid_request", text: "Required audience parameter not specified", form: cloudShellForm, fidelity: edge.Approximate, source: "quoted in sources of programs that stand in for it"},
	{name: "AudienceNotSupported", status: 400, code: "AudienceNotSupported", text: "Audience %s is not a supported MSI token audience.", form: cloudShellForm, fidelity: edge.Faithful, source: "Azure/CloudShell#477; Azure/CloudShell#351 has an older form, which goes on with a list"},
	{name: "cloudshell-no-user", status: 400, code: "invalid_request", text: "Identity not found", form: cloudShellForm, fidelity: edge.Approximate, source: "none: a session always has a user"},
	{name: "cloudshell-not-found", status: 404, code: "not_found", text: "Not found", form: cloudShellForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.5"},
	{name: "cloudshell-method-not-allowed", status: 405, code: "method_not_allowed", text: "The method is not allowed", form: cloudShellForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.6"},
	{name: "cloudshell-too-large", status: 413, code: "invalid_request", text: "The request is too large", form: cloudShellForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.14"},
}

// cloudShellForm is the body of Azure/CloudShell#477.
func cloudShellForm(_ *edge.Request, w row) edge.Response {
	inner := ordered(field{"code", w.code}, field{"message", w.text})
	return bare(w.status, ordered(field{"error", json.RawMessage(inner)}))
}

// cloudShellRoutes are the path that MSI_ENDPOINT names, and the one of IMDS,
// which Cloud Shell answers too (Azure/CloudShell#477). MSAL4J asks with GET.
func (s *Service) cloudShellRoutes() []edge.Route {
	do, source := answered(s.cloudShellToken), "Microsoft: Acquiring a user token in Azure Cloud Shell; Azure/CloudShell#351 and #477; the identity that is assigned stands for the user"
	return []edge.Route{
		{Op: "cloudshell.token", Method: "POST GET", Path: "/oauth2/token", Do: do, Fidelity: edge.Approximate, Source: source},
		{Op: "cloudshell.token", Method: "GET", Path: "/metadata/identity/oauth2/token", Do: do, Fidelity: edge.Approximate, Source: source},
	}
}

// cloudShellToken hands out the token of the session's user. Users are not
// emulated, so an identity of the host stands for theirs.
func (s *Service) cloudShellToken(r *edge.Request) (edge.Response, *refusal) {
	if v := r.Header.Get("Metadata"); !strings.EqualFold(v, "true") {
		return edge.Response{}, because("cloudshell-metadata-header", "the header Metadata is %q; it must be true", v)
	}
	parameters, _ := queryOf(r)
	if r.Method == http.MethodPost {
		parameters, _ = url.ParseQuery(string(r.Data)) // what cannot be decoded is missing
	}
	resource := parameters.Get("resource")
	if resource == "" {
		return edge.Response{}, because("cloudshell-resource-missing", "the request has no resource; send resource=https://management.azure.com/ as a form, or the application ID URI of another service of Azure")
	}
	host, _ := s.Host(r.Caller.Host)
	m, missed := s.choose(host, selector{})
	noteChoice(r, m, resource, parameters, selector{})
	switch {
	case missed != nil:
		return edge.Response{}, because("cloudshell-no-user", "%s; the one identity that is assigned stands for the user", missed.why)
	case !slices.Contains(cloudShellAudiences, strings.TrimSuffix(resource, "/")):
		return edge.Response{}, unsupported(resource, "Cloud Shell has tokens of its user for services of Azure that are on a list, and "+resource+" is not; a token that an application trusts is to be had from a managed identity, not here")
	}
	a, err := s.granted(r, host, m, resource, false)
	if err != nil {
		return edge.Response{}, unsupported(resource, whyFailed(err))
	}
	return bare(http.StatusOK, ordered(field{"access_token", a.token}, field{"refresh_token", ""}, field{"expires_in", strconv.FormatInt(a.expires-r.Now.Unix(), 10)},
		field{"expires_on", strconv.FormatInt(a.expires, 10)}, field{"not_before", strconv.FormatInt(a.notBefore, 10)}, field{"resource", a.resource}, field{"token_type", "Bearer"})), nil
}

func unsupported(resource, why string) *refusal {
	return &refusal{row: "AudienceNotSupported", why: why, about: resource}
}
