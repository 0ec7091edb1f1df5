package imds

import (
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// azureMLRows are the refusals of Azure Machine Learning. None of its bodies is
// published.
var azureMLRows = []row{
	{name: "azureml-secret", status: 401, code: "unauthorized", text: "The secret header is missing or invalid", form: azureMLForm, fidelity: edge.Approximate, source: "AzureAD/microsoft-authentication-library-for-dotnet#4984: the header is required"},
	{name: "azureml-api-version", status: 400, code: "invalid_request", text: "The api-version is not supported", form: azureMLForm, fidelity: edge.Approximate, source: "all SDKs send 2017-09-01"},
	{name: "azureml-resource-missing", status: 400, code: "invalid_request", text: "The parameter resource is required", form: azureMLForm, fidelity: edge.Approximate, source: "all SDKs send it"},
	{name: "azureml-identity-not-found", status: 400, code: "invalid_request", text: "Identity not found", form: azureMLForm, fidelity: edge.Approximate, source: "Azure/azure-cli#25543, where only the status is seen"},
	{name: "azureml-token-failed", status: 500, code: "server_error", text: "Failed to acquire a token", form: azureMLForm, fidelity: edge.Approximate, source: "none"},
	{name: "azureml-not-found", status: 404, code: "not_found", text: "Not found", form: azureMLForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.5"},
	{name: "azureml-method-not-allowed", status: 405, code: "method_not_allowed", text: "The method is not allowed", form: azureMLForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.6"},
	{name: "azureml-too-large", status: 413, code: "invalid_request", text: "The request is too large", form: azureMLForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.14"},
}

func azureMLForm(_ *edge.Request, w row) edge.Response {
	return bare(w.status, ordered(field{"error", w.code}, field{"error_description", w.text}))
}

func (s *Service) azureMLRoutes() []edge.Route {
	return []edge.Route{{Op: "azureml.token", Method: "GET", Path: "/MSI/auth", Do: answered(s.azureMLToken), Fidelity: edge.Approximate,
		Source: "sources of MSAL (MachineLearningManagedIdentitySource); AzureAD/microsoft-authentication-library-for-dotnet#5167 for expires_on; errors are inferred"}}
}

// azureMLToken hands out a token of an identity of a compute. MSAL Go sends an
// empty clientid where DEFAULT_IDENTITY_CLIENT_ID is not set, which means the
// default identity.
func (s *Service) azureMLToken(r *edge.Request) (edge.Response, *refusal) {
	query, _ := queryOf(r) // what cannot be decoded is missing
	host, _ := s.Host(r.Caller.Host)
	sel := selector{of: spelling{client: []string{"clientid"}}}
	if id := query.Get("clientid"); id != "" {
		sel.name, sel.value = "clientid", id
	}
	if wrong := s.wrongSecret(r, "Secret"); wrong != "" {
		return edge.Response{}, because("azureml-secret", "%s", wrong)
	}
	if v := query.Get("api-version"); v != appService2017 {
		return edge.Response{}, because("azureml-api-version", "api-version is %q; send api-version=%s", v, appService2017)
	}
	resource := query.Get("resource")
	if resource == "" {
		return edge.Response{}, because("azureml-resource-missing", "the query has no resource; add resource=api://AzureADTokenExchange, or the application ID URI of what the token is for")
	}
	m, missed := s.choose(host, sel)
	noteChoice(r, m, resource, query, sel)
	if missed != nil {
		return edge.Response{}, because("azureml-identity-not-found", "%s", missed.why)
	}
	a, err := s.granted(r, host, m, resource, false)
	if err != nil {
		return edge.Response{}, because("azureml-token-failed", "%s", whyFailed(err))
	}
	return bare(http.StatusOK, ordered(field{"access_token", a.token}, field{"client_id", string(a.identity)}, field{"expires_on", a.expires},
		field{"resource", a.resource}, field{"token_type", "Bearer"})), nil
}
