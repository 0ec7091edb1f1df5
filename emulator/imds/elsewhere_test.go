package imds

import (
	"slices"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// The requests that bring the rows of the other sources about. {id} stands for
// the request identifier.
var elsewhere = []struct {
	row        string
	source     Source
	identities []directory.ClientID
	method     string
	url        string
	headers    []string
	status     int
	body, why  string
}{
	{"appservice-secret", AppService, just(agentClient), "GET", appURL, nil, 403, "", "the header X-Identity-Header is missing; send the value of the environment variable IDENTITY_HEADER"},
	{"appservice-secret", AppService, just(agentClient), "GET", appURL, []string{"Secret", "{secret}"}, 403, "", "the header X-Identity-Header is missing"},
	{"appservice-secret", AppService, just(agentClient), "GET", appURL, []string{"X-Identity-Header", "guessed"}, 403, "", "the header X-Identity-Header is not the secret of box;"},
	{"appservice-secret", ContainerApps, just(agentClient), "GET", appURL, nil, 403, "", "X-Identity-Header is missing"},
	{"appservice-secret", Functions, just(agentClient), "GET", oldURL, []string{"X-Identity-Header", "{secret}"}, 403, "", "the header Secret is missing"},
	{"appservice-malformed-query", AppService, just(agentClient), "GET", appURL + "&a=%zz", []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"The query string is malformed.","correlationId":"{id}"}`, `invalid URL escape "%zz"`},
	{"appservice-api-version", AppService, just(agentClient), "GET", "http://127.0.0.1:41741/msi/token?resource=x", []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"The api-version '' is not supported.","correlationId":"{id}"}`, `api-version is ""; send api-version=2019-08-01`},
	{"appservice-api-version", AppService, just(agentClient), "GET", "http://127.0.0.1:41741/msi/token?resource=x&api-version=2018-02-01", []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"The api-version '2018-02-01' is not supported.","correlationId":"{id}"}`, `"2018-02-01"`},
	{"appservice-api-version", ContainerApps, just(agentClient), "GET", oldURL, []string{"Secret", "{secret}"}, 400, `{"statusCode": 400, "message": "The api-version '2017-09-01' is not supported."}`, `"2017-09-01"`},
	{"appservice-resource-missing", AppService, just(agentClient), "GET", "http://127.0.0.1:41741/msi/token?api-version=2019-08-01", []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"The parameter 'resource' is required.","correlationId":"{id}"}`, "no resource"},
	{"appservice-two-selectors", AppService, just(agentClient), "GET", appURL + "&client_id=a&mi_res_id=b", []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"Only one of client_id, principal_id and mi_res_id can be specified.","correlationId":"{id}"}`, "client_id and mi_res_id"},
	{"appservice-identity-not-found", AppService, just(agentClient), "GET", appURL + "&client_id=" + string(deployerClient), []string{"X-Identity-Header", "{secret}"}, 400,
		`{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.","correlationId":"{id}"}`, "the client ID of deployer, which is not assigned to box"},
	{"appservice-identity-not-found", ContainerApps, just(agentClient), "GET", appURL + "&client_id=nobody", []string{"X-Identity-Header", "{secret}"}, 400,
		`{"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."}`, "stands for nothing"},
	{"appservice-no-system-identity", AppService, just(agentClient), "GET", appURL, []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"Unable to load the proper Managed Identity.","correlationId":"{id}"}`, "add client_id=33333333-3333-3333-3333-333333333333"},
	{"appservice-no-system-identity", Functions, just(agentClient, deployerClient), "GET", appURL, []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"Unable to load the proper Managed Identity.","correlationId":"{id}"}`, "send the client_id of one of them"},
	{"appservice-no-system-identity", AppService, nil, "GET", appURL, []string{"X-Identity-Header", "{secret}"}, 400, `{"statusCode":400,"message":"Unable to load the proper Managed Identity.","correlationId":"{id}"}`, "box has no managed identity"},
	{"appservice-token-failed", AppService, just(ownClient), "GET", "http://127.0.0.1:41741/msi/token?resource=api://nothing&api-version=2019-08-01", []string{"X-Identity-Header", "{secret}"}, 500,
		`{"statusCode":500,"message":"An unexpected error occured while fetching the AAD Token.","correlationId":"{id}"}`, "AADSTS500011: the resource is unknown"},
	{"appservice-not-found", AppService, just(ownClient), "GET", "http://127.0.0.1:41741/metadata/identity/oauth2/token", []string{"Metadata", "true"}, 404, `{"statusCode":404,"message":"Not found.","correlationId":"{id}"}`, "tokens are at /msi/token"},
	{"appservice-method-not-allowed", ContainerApps, just(ownClient), "POST", "http://localhost:42356/msi/token", nil, 405, "", "POST is not a method of /msi/token"},

	{"arc-metadata-header", Arc, just(ownClient), "GET", arcURL, nil, 400, `{"error":"invalid_request","error_description":"Required metadata header not specified"}`, `the header Metadata is ""`},
	{"arc-malformed-query", Arc, just(ownClient), "GET", arcURL + "&%zz", []string{"Metadata", "true"}, 400, `{"error":"invalid_request","error_description":"The query string is malformed"}`, "cannot be decoded"},
	{"arc-api-version", Arc, just(ownClient), "GET", "http://localhost:40342/metadata/identity/oauth2/token?resource=x&api-version=2018-02-01", []string{"Metadata", "true"}, 400, `{"error":"invalid_request","error_description":"The api-version is not supported"}`, "send api-version=2020-06-01"},
	{"arc-resource-missing", Arc, just(ownClient), "GET", "http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01", []string{"Metadata", "true"}, 400, `{"error":"invalid_request","error_description":"Required query variable 'resource' is missing"}`, "no resource"},
	{"arc-challenge", Arc, just(ownClient), "GET", arcURL, []string{"Metadata", "true"}, 401, `{"error":"unauthorized_client","error_description":"Authorization is required"}`, "read the file"},
	{"arc-key", Arc, just(ownClient), "GET", arcURL, []string{"Metadata", "true", "Authorization", "Basic guessed"}, 401, `{"error":"unauthorized_client","error_description":"The key is not valid"}`, "no base64"},
	{"arc-not-found", Arc, just(ownClient), "GET", "http://localhost:40342/metadata/instance", []string{"Metadata", "true"}, 404, `{"error":"not_found","error_description":"Not found"}`, "tokens are at /metadata/identity/oauth2/token"},
	{"arc-method-not-allowed", Arc, just(ownClient), "POST", arcURL, []string{"Metadata", "true"}, 405, `{"error":"method_not_allowed","error_description":"The method is not allowed"}`, "POST is not a method"},

	{"SecretHeaderNotFound", ServiceFabric, just(ownClient), "GET", fabricURL, nil, 400, fabricError("SecretHeaderNotFound", "Secret is not found in the request headers."), "the header Secret is missing"},
	{"ManagedIdentityNotFound", ServiceFabric, just(ownClient), "GET", fabricURL, []string{"Secret", "guessed"}, 404, fabricError("ManagedIdentityNotFound", "Managed identity not found for the specified application host."), "not the secret of box"},
	{"ManagedIdentityNotFound", ServiceFabric, nil, "GET", fabricURL, []string{"Secret", "{secret}"}, 404, fabricError("ManagedIdentityNotFound", "Managed identity not found for the specified application host."), "box has no managed identity"},
	{"ManagedIdentityNotFound", ServiceFabric, just(agentClient, deployerClient), "GET", fabricURL, []string{"Secret", "{secret}"}, 404, fabricError("ManagedIdentityNotFound", "Managed identity not found for the specified application host."), "no system-assigned one"},
	{"ArgumentNullOrEmpty", ServiceFabric, just(ownClient), "GET", "https://localhost:2377/metadata/identity/oauth2/token?api-version=2020-05-01", []string{"Secret", "{secret}"}, 400, fabricError("ArgumentNullOrEmpty", "The parameter 'resource' should not be null or empty string."), "no resource"},
	{"InvalidApiVersion", ServiceFabric, just(ownClient), "GET", "https://localhost:2377/metadata/identity/oauth2/token?resource=x&api-version=2017-09-01", []string{"Secret", "{secret}"}, 400,
		fabricError("InvalidApiVersion", "The api-version '2017-09-01' is not supported. Supported version is '2019-07-01-preview'."), `api-version is "2017-09-01"`},
	{"InternalServerError", ServiceFabric, just(ownClient), "GET", "https://localhost:2377/metadata/identity/oauth2/token?resource=api://nothing&api-version=2020-05-01", []string{"Secret", "{secret}"}, 500, fabricError("InternalServerError", "An error occurred."), "the resource is unknown"},
	{"servicefabric-not-found", ServiceFabric, just(ownClient), "GET", "https://localhost:2377/", nil, 404, fabricError("servicefabric-not-found", "Not found."), "nothing at /"},
	{"servicefabric-method-not-allowed", ServiceFabric, just(ownClient), "PUT", fabricURL, nil, 405, fabricError("servicefabric-method-not-allowed", "The method is not allowed."), "PUT is not a method"},

	{"cloudshell-metadata-header", CloudShell, just(ownClient), "GET", shellURL + "?resource=https://management.azure.com/", nil, 400, `{"error":{"code":"bad_request_102","message":"Required metadata header not specified"}}`, `the header Metadata is ""`},
	{"cloudshell-resource-missing", CloudShell, just(ownClient), "POST", shellURL + "?resource=https://management.azure.com/", []string{"Metadata", "true"}, 400, `{"error":{"code":"invalid_request","message":"Required audience parameter not specified"}}`, "as a form"},
	{"AudienceNotSupported", CloudShell, just(ownClient), "GET", shellURL + "?resource=" + exchange, []string{"Metadata", "true"}, 400, `{"error":{"code":"AudienceNotSupported","message":"Audience api://AzureADTokenExchange is not a supported MSI token audience."}}`, "not here"},
	{"cloudshell-no-user", CloudShell, nil, "GET", shellURL + "?resource=https://management.azure.com/", []string{"Metadata", "true"}, 400, `{"error":{"code":"invalid_request","message":"Identity not found"}}`, "stands for the user"},
	{"cloudshell-not-found", CloudShell, just(ownClient), "GET", "http://localhost:50342/", nil, 404, `{"error":{"code":"not_found","message":"Not found"}}`, "tokens are at /oauth2/token"},
	{"cloudshell-method-not-allowed", CloudShell, just(ownClient), "DELETE", shellURL, nil, 405, `{"error":{"code":"method_not_allowed","message":"The method is not allowed"}}`, "DELETE"},

	{"azureml-secret", AzureML, just(ownClient), "GET", mlURL, nil, 401, `{"error":"unauthorized","error_description":"The secret header is missing or invalid"}`, "the header Secret is missing; send the value of the environment variable MSI_SECRET"},
	{"azureml-secret", AzureML, just(ownClient), "GET", mlURL, []string{"Secret", "guessed"}, 401, `{"error":"unauthorized","error_description":"The secret header is missing or invalid"}`, "not the secret of box"},
	{"azureml-api-version", AzureML, just(ownClient), "GET", "http://127.0.0.1:46808/MSI/auth/?resource=x&api-version=2019-08-01", []string{"Secret", "{secret}"}, 400, `{"error":"invalid_request","error_description":"The api-version is not supported"}`, "send api-version=2017-09-01"},
	{"azureml-resource-missing", AzureML, just(ownClient), "GET", "http://127.0.0.1:46808/MSI/auth/?api-version=2017-09-01", []string{"Secret", "{secret}"}, 400, `{"error":"invalid_request","error_description":"The parameter resource is required"}`, "no resource"},
	{"azureml-identity-not-found", AzureML, just(agentClient), "GET", mlURL + "&clientid=" + string(deployerClient), []string{"Secret", "{secret}"}, 400, `{"error":"invalid_request","error_description":"Identity not found"}`, "deployer, which is not assigned"},
	{"azureml-token-failed", AzureML, just(ownClient), "GET", "http://127.0.0.1:46808/MSI/auth/?resource=api://nothing&api-version=2017-09-01", []string{"Secret", "{secret}"}, 500, `{"error":"server_error","error_description":"Failed to acquire a token"}`, "the resource is unknown"},
	{"azureml-not-found", AzureML, just(ownClient), "GET", "http://127.0.0.1:46808/", nil, 404, `{"error":"not_found","error_description":"Not found"}`, "tokens are at /MSI/auth/"},
	{"azureml-method-not-allowed", AzureML, just(ownClient), "POST", mlURL, nil, 405, `{"error":"method_not_allowed","error_description":"The method is not allowed"}`, "POST"},
}

func fabricError(code, message string) string {
	return `{"error":{"correlationId":"{id}","code":"` + code + `","message":"` + message + `"}}`
}

func TestEveryRefusalOfAnotherSourceIsProvokedByItsRequest(t *testing.T) {
	for _, tc := range elsewhere {
		w := newPlace(t, tc.source, tc.identities...)
		resp := w.ask(t, tc.method, tc.url, tc.headers...)
		got, want := w.last().Decision, strings.ReplaceAll(tc.body, "{id}", ident.Request("test", 1))
		if resp.Status != tc.status || string(resp.Body) != want || got.Code != tc.row || !strings.Contains(got.Why, tc.why) {
			t.Errorf("%s %s at %s:\ngot  %d %s %s: %s\nwant %d %s %s: %s", tc.method, tc.url, tc.source, resp.Status, resp.Body, got.Code, got.Why, tc.status, want, tc.row, tc.why)
		}
		if server := resp.Header.Get("Server"); strings.Contains(server, "IMDS") {
			t.Errorf("%s at %s: the answer comes from %s", tc.url, tc.source, server)
		}
	}
}

// After the challenge of Azure Arc, which every client meets first.
func TestRefusalsOfAzureArcAfterItsChallenge(t *testing.T) {
	for _, tc := range []struct {
		row        string
		identities []directory.ClientID
		query      string
		status     int
		body, why  string
	}{
		{"arc-two-selectors", just(ownClient), "&client_id=a&object_id=b", 400, `{"error":"invalid_request","error_description":"Only one of client_id, object_id and msi_res_id can be specified"}`, "client_id and object_id"},
		{"arc-identity-not-found", just(ownClient), "&client_id=" + string(agentClient), 400, `{"error":"invalid_request","error_description":"Identity not found"}`, "build-agent, which is not assigned to box"},
		{"arc-multiple-identities", just(agentClient, deployerClient), "", 400, `{"error":"invalid_request","error_description":"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"}`, "selects no identity"},
		{"arc-token-failed", just(ownClient), "&resource=api://nothing", 500, `{"error":"server_error","error_description":"Failed to acquire a token"}`, "the resource is unknown"},
	} {
		w := newPlace(t, Arc, tc.identities...)
		url := arcURL + tc.query
		if strings.Contains(tc.query, "resource") {
			url = strings.Replace(url, "resource="+exchange+"&", "", 1)
		}
		resp := w.shown(t, url)
		if got := w.last().Decision; resp.Status != tc.status || string(resp.Body) != tc.body || got.Code != tc.row || !strings.Contains(got.Why, tc.why) {
			t.Errorf("%s: %d %s, %+v", tc.row, resp.Status, resp.Body, got)
		}
	}
}

func TestOtherRefusalsOfOtherSources(t *testing.T) {
	for source, want := range map[Source]string{AppService: "appservice", Arc: "arc", ServiceFabric: "servicefabric", CloudShell: "cloudshell", AzureML: "azureml"} {
		w := newPlace(t, source, ownClient)
		resp := w.ask(t, "GET", "http://127.0.0.1"+tokenPath(source), "X-Long", strings.Repeat("x", edge.MaxHeaders))
		if row, ok := named(want + "-too-large"); !ok || resp.Status != 413 || string(resp.Body) != string(row.render(&edge.Request{ID: ident.Request("test", 1)}).Body) {
			t.Errorf("%s: %d %s", source, resp.Status, resp.Body)
		}
	}
	w := newPlace(t, Arc, ownClient)
	w.keys.(*shelf).full = true
	if resp := w.ask(t, "GET", arcURL, "Metadata", "true"); resp.Status != 500 || w.last().Decision.Code != "arc-key-folder" || w.last().Decision.Why != "the disk is full" {
		t.Errorf("a full disk: %d, %+v", resp.Status, w.last().Decision)
	}
	w = newPlace(t, ServiceFabric, ownClient)
	w.edge.Faults.Add(fault.Rule{Op: "servicefabric.token", Do: fault.Refuse("servicefabric-throttled")})
	if resp := w.ask(t, "GET", fabricURL); resp.Status != 429 || !strings.Contains(string(resp.Body), `"code":"servicefabric-throttled"`) {
		t.Errorf("throttled: %d %s", resp.Status, resp.Body)
	}
}

func tokenPath(s Source) string {
	p, _ := s.place()
	return p.path
}

func TestEveryRowOfAnotherSourceHasATestASourceAndAGrade(t *testing.T) {
	tested := map[string]bool{"arc-key-folder": true, "servicefabric-throttled": true, "arc-two-selectors": true, "arc-identity-not-found": true, "arc-multiple-identities": true, "arc-token-failed": true}
	for _, prefix := range []string{"appservice", "arc", "servicefabric", "cloudshell", "azureml"} {
		tested[prefix+"-too-large"] = true
	}
	for _, tc := range elsewhere {
		tested[tc.row] = true
	}
	for _, row := range slices.Concat(appServiceRows, arcRows, serviceFabricRows, cloudShellRows, azureMLRows) {
		if !tested[row.name] || row.source == "" || row.fidelity == "" || row.form == nil {
			t.Errorf("row %q: tested %v, source %q, fidelity %q", row.name, tested[row.name], row.source, row.fidelity)
		}
		delete(tested, row.name)
	}
	if len(tested) > 0 {
		t.Errorf("tests for rows that do not exist, or twice: %v", tested)
	}
}
