package imds

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// Sources that this file names in short: app-service is Microsoft's page "How to
// use managed identities for App Service and Azure Functions", section REST
// endpoint reference; container-apps its page "Managed identities in Azure
// Container Apps".

// The versions of the protocol. The older one calls header and parameters
// otherwise, and has dates.
const (
	appService2017 = "2017-09-01"
	appService2019 = "2019-08-01"
)

// appServiceSelectors are those of app-service, which has object_id as an alias
// of principal_id.
var appServiceSelectors = map[string]spelling{
	appService2017: {client: []string{"clientid"}},
	appService2019: {client: []string{"client_id"}, object: []string{"principal_id", "object_id"}, resource: []string{"mi_res_id"}},
}

// appServiceRows are the refusals of App Service, Functions and Container Apps.
var appServiceRows = []row{
	{name: "appservice-malformed-query", status: 400, text: "The query string is malformed.", form: appServiceForm, fidelity: edge.Approximate, source: "app-service; what is said of a malformed query is not published"},
	{name: "appservice-secret", status: 403, form: forbiddenForm, fidelity: edge.Approximate, source: "AzureAD/microsoft-authentication-library-for-dotnet#5077: a container app without the header; inferred for a wrong one and for App Service"},
	{name: "appservice-api-version", status: 400, text: "The api-version '%s' is not supported.", form: appServiceForm, fidelity: edge.Approximate, source: "app-service; microsoft/azure-container-apps#341 for the status of 2017-09-01 in a container app; the text is inferred"},
	{name: "appservice-resource-missing", status: 400, text: "The parameter 'resource' is required.", form: appServiceForm, fidelity: edge.Approximate, source: "app-service, where resource is required; the text is inferred"},
	{name: "appservice-two-selectors", status: 400, text: "Only one of client_id, principal_id and mi_res_id can be specified.", form: appServiceForm, fidelity: edge.Approximate, source: "app-service, where they exclude each other; the text is inferred"},
	{name: "appservice-identity-not-found", status: 400, text: "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.", form: appServiceForm, fidelity: edge.Faithful, source: "integration tests of MSAL.NET and MSAL4J; many issues"},
	{name: "appservice-no-system-identity", status: 400, text: "Unable to load the proper Managed Identity.", form: appServiceForm, fidelity: edge.Faithful, source: "Azure/azure-sdk-for-net#43691"},
	{name: "appservice-token-failed", status: 500, text: "An unexpected error occured while fetching the AAD Token.", form: appServiceForm, fidelity: edge.Faithful, source: "tests of MSAL.NET and MSAL4J; the spelling is Microsoft's"},
	{name: "appservice-not-found", status: 404, text: "Not found.", form: appServiceForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.5"},
	{name: "appservice-method-not-allowed", status: 405, form: forbiddenForm, fidelity: edge.Approximate, source: "microsoft/azure-container-apps#502, where only the status is seen"},
	{name: "appservice-too-large", status: 413, form: forbiddenForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.14"},
}

// appServiceHeaders are those of Azure/azure-sdk-for-net#43691.
func appServiceHeaders(r *edge.Request) http.Header {
	return http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Server": {"Kestrel"}, "X-Correlation-Id": {r.ID}}
}

// appServiceForm is the body of App Service. Container Apps leaves out the
// correlation ID, and has blanks.
func appServiceForm(r *edge.Request, w row) edge.Response {
	resp := edge.Response{Status: w.status, Header: appServiceHeaders(r)}
	if strings.HasPrefix(string(r.Op), "containerapps.") {
		resp.Body = []byte(`{"statusCode": ` + strconv.Itoa(w.status) + `, "message": ` + quote(w.text) + `}`)
		return resp
	}
	resp.Body = ordered(field{"statusCode", int64(w.status)}, field{"message", w.text}, field{"correlationId", r.ID})
	return resp
}

// forbiddenForm has no body.
func forbiddenForm(r *edge.Request, w row) edge.Response {
	h := appServiceHeaders(r)
	h.Del("Content-Type")
	return edge.Response{Status: w.status, Header: h}
}

// appServiceRoutes are those of App Service and Functions.
func (s *Service) appServiceRoutes() []edge.Route {
	return []edge.Route{{Op: "appservice.token", Method: "GET", Path: "/msi/token", Do: answered(s.appServiceToken), Fidelity: edge.Faithful,
		Source: "Microsoft: How to use managed identities for App Service and Azure Functions, REST endpoint reference; Azure/azure-sdk-for-net#43691"}}
}

// containerAppsRoutes are the same under another name, for faults and the journal.
func (s *Service) containerAppsRoutes() []edge.Route {
	return []edge.Route{{Op: "containerapps.token", Method: "GET", Path: "/msi/token", Do: answered(s.appServiceToken), Fidelity: edge.Faithful,
		Source: "Microsoft: Managed identities in Azure Container Apps; AzureAD/microsoft-authentication-library-for-dotnet#5077"}}
}

// appServiceToken hands out a token of an identity of an app.
func (s *Service) appServiceToken(r *edge.Request) (edge.Response, *refusal) {
	query, malformed := queryOf(r)
	if malformed != "" {
		return edge.Response{}, because("appservice-malformed-query", "%s", malformed)
	}
	version := query.Get("api-version")
	if no := s.checkApp(r, version); no != nil {
		return edge.Response{}, no
	}
	resource := query.Get("resource")
	if resource == "" {
		return edge.Response{}, because("appservice-resource-missing", "the query has no resource; add resource=api://AzureADTokenExchange, or the application ID URI of what the token is for")
	}
	host, _ := s.Host(r.Caller.Host)
	m, no := s.appIdentity(r, host, query, version)
	if no != nil {
		return edge.Response{}, no
	}
	a, err := s.granted(r, host, m, resource, false)
	if err != nil {
		return edge.Response{}, because("appservice-token-failed", "%s", whyFailed(err))
	}
	return edge.Response{Status: http.StatusOK, Header: appServiceHeaders(r), Body: appServiceBody(a, version, host.Machine.OS)}, nil
}

// checkApp checks the secret, whose header depends on the version, and then the
// version. Which of them App Service looks at first is not known.
func (s *Service) checkApp(r *edge.Request, version string) *refusal {
	header := "X-Identity-Header"
	if version == appService2017 {
		header = "Secret"
	}
	if wrong := s.wrongSecret(r, header); wrong != "" {
		return because("appservice-secret", "%s", wrong)
	}
	host, _ := s.Host(r.Caller.Host)
	switch {
	case version == appService2019:
		return nil
	case version == appService2017 && host.Source != ContainerApps:
		return nil
	}
	no := because("appservice-api-version", "api-version is %q; send api-version=%s", version, appService2019)
	no.about = version
	return no
}

// appIdentity finds the identity that a query means. Without a selector it is the
// system-assigned one, and no other (app-service, parameter client_id).
func (s *Service) appIdentity(r *edge.Request, host Host, query url.Values, version string) (directory.ManagedIdentity, *refusal) {
	sel, no := appServiceSelectors[version].of(query)
	if no != nil {
		no.row = "appservice-two-selectors"
		return directory.ManagedIdentity{}, no
	}
	m, missed := s.choose(host, sel)
	noteChoice(r, m, query.Get("resource"), query, sel)
	switch {
	case missed != nil && missed.selected:
		return m, because("appservice-identity-not-found", "%s", missed.why)
	case missed != nil:
		return m, because("appservice-no-system-identity", "%s", missed.why)
	case sel.name == "" && m.Kind != directory.SystemAssigned:
		return directory.ManagedIdentity{}, because("appservice-no-system-identity", "the query selects no identity, which means the system-assigned one here, and %s; add client_id=%s to the query", inventory(host, s.Assigned(host.Name)), m.ClientID)
	}
	return m, nil
}

// appServiceBody has the members of app-service, in alphabetical order.
func appServiceBody(a *answer, version, os string) []byte {
	if version == appService2017 {
		return ordered(field{"access_token", a.token}, field{"expires_on", dated(a.expires, os)}, field{"resource", a.resource}, field{"token_type", "Bearer"})
	}
	return ordered(field{"access_token", a.token}, field{"client_id", string(a.identity)}, field{"expires_on", strconv.FormatInt(a.expires, 10)},
		field{"not_before", strconv.FormatInt(a.notBefore, 10)}, field{"resource", a.resource}, field{"token_type", "Bearer"})
}

// dated renders a time as App Service did until 2019: 06/19/2019 23:42:01 +00:00
// on Linux (Azure/azure-cli#20215), 1/16/2020 5:24:12 AM +00:00 on Windows
// (Azure/azure-sdk-for-python#9480).
func dated(seconds int64, os string) string {
	layout := "01/02/2006 15:04:05 -07:00"
	if os == "Windows" {
		layout = "1/2/2006 3:04:05 PM -07:00"
	}
	return time.Unix(seconds, 0).UTC().Format(layout)
}

// whyFailed says why there is no token, in the words of the token service if it
// refused one.
func whyFailed(err error) string {
	if entra, ok := errors.AsType[Refusal](err); ok {
		return entra.Code() + ": " + entra.Why()
	}
	return "the token service failed: " + err.Error()
}
