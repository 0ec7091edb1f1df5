package imds

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// service-fabric, as the table below has it, is Microsoft's page "How to leverage
// a Service Fabric application's managed identity to access Azure services".

// serviceFabricVersions are what service-fabric says is still supported, and what
// MSAL.NET sends.
var serviceFabricVersions = []string{"2019-07-01-preview", "2020-05-01"}

// serviceFabricRows are the refusals of Service Fabric. The page says 404 of one
// of them, and 4xx or 5xx of the rest.
var serviceFabricRows = []row{
	{name: "SecretHeaderNotFound", status: 400, text: "Secret is not found in the request headers.", form: serviceFabricForm, fidelity: edge.Approximate, source: "service-fabric, section Error handling; the status is inferred"},
	{name: "ManagedIdentityNotFound", status: 404, text: "Managed identity not found for the specified application host.", form: serviceFabricForm, fidelity: edge.Faithful, source: "service-fabric, section Error handling"},
	{name: "ArgumentNullOrEmpty", status: 400, text: "The parameter 'resource' should not be null or empty string.", form: serviceFabricForm, fidelity: edge.Approximate, source: "service-fabric, section Error handling; the status is inferred"},
	{name: "InvalidApiVersion", status: 400, text: "The api-version '%s' is not supported. Supported version is '2019-07-01-preview'.", form: serviceFabricForm, fidelity: edge.Faithful, source: "Azure/azure-sdk-for-net#8298"},
	{name: "InternalServerError", status: 500, text: "An error occurred.", form: serviceFabricForm, fidelity: edge.Faithful, source: "service-fabric, section Error handling: most likely the resource is wrong"},
	{name: "servicefabric-not-found", status: 404, text: "Not found.", form: serviceFabricForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.5"},
	{name: "servicefabric-method-not-allowed", status: 405, text: "The method is not allowed.", form: serviceFabricForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.6"},
	{name: "servicefabric-too-large", status: 413, text: "The request is too large.", form: serviceFabricForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.14"},
	{name: "servicefabric-throttled", status: 429, text: "An error occurred.", form: serviceFabricForm, fidelity: edge.Approximate, source: "service-fabric, section Retry guidance, which has no body"},
}

// serviceFabricForm is the body of service-fabric's sample error.
func serviceFabricForm(r *edge.Request, w row) edge.Response {
	inner := ordered(field{"correlationId", r.ID}, field{"code", w.name}, field{"message", w.text})
	return bare(w.status, ordered(field{"error", json.RawMessage(inner)}))
}

func (s *Service) serviceFabricRoutes() []edge.Route {
	return []edge.Route{{Op: "servicefabric.token", Method: "GET", Path: "/metadata/identity/oauth2/token", Do: answered(s.serviceFabricToken), Fidelity: edge.Faithful,
		Source: "Microsoft: How to leverage a Service Fabric application's managed identity to access Azure services; Azure/azure-sdk-for-net#8298"}}
}

// serviceFabricToken hands out the token of an application's identity. Which one
// that is depends on the configuration of the service alone, so parameters that
// select do nothing (MSAL Go says so, and refuses to send any).
func (s *Service) serviceFabricToken(r *edge.Request) (edge.Response, *refusal) {
	query, _ := queryOf(r) // what cannot be decoded is missing
	host, _ := s.Host(r.Caller.Host)
	if no := s.checkFabric(r, query.Get("api-version"), query.Get("resource")); no != nil {
		return edge.Response{}, no
	}
	m, missed := s.choose(host, selector{})
	noteChoice(r, m, query.Get("resource"), query, selector{})
	if missed != nil {
		return edge.Response{}, because("ManagedIdentityNotFound", "%s", missed.why)
	}
	a, err := s.granted(r, host, m, query.Get("resource"), false)
	if err != nil {
		return edge.Response{}, because("InternalServerError", "%s", whyFailed(err))
	}
	return bare(http.StatusOK, ordered(field{"token_type", "Bearer"}, field{"access_token", a.token}, field{"expires_on", a.expires}, field{"resource", a.resource})), nil
}

// checkFabric checks everything but the identity. The order is not known.
func (s *Service) checkFabric(r *edge.Request, version, resource string) *refusal {
	switch wrong := s.wrongSecret(r, "Secret"); {
	case !slices.Contains(serviceFabricVersions, version):
		no := because("InvalidApiVersion", "api-version is %q; send that of the environment variable IDENTITY_API_VERSION, %s", version, serviceFabricVersions[1])
		no.about = version
		return no
	case r.Header.Get("Secret") == "":
		return because("SecretHeaderNotFound", "%s", wrong)
	case resource == "":
		return because("ArgumentNullOrEmpty", "the query has no resource; add resource=api://AzureADTokenExchange, or the application ID URI of what the token is for")
	case wrong != "":
		return because("ManagedIdentityNotFound", "%s", wrong)
	}
	return nil
}
