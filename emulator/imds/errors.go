package imds

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A row is a refusal as a client sees it.
type row struct {
	name   string // for fault rules and the journal
	status int
	// The answer is {"error":code,"error_description":text} in the category
	// identity, and {"error":plain} in the others (swagger, ErrorResponse);
	// plain is text if empty. body says otherwise.
	code, text  string
	plain       string
	body        string
	contentType string // of body; JSON if empty
	server      string // who says so, if it is not IMDS; "-" for nobody
	// form renders the row of another source; text may have one %s then.
	form     form
	fidelity edge.Fidelity
	source   string
}

// rows are all refusals. Those that no request provokes are there for fault
// rules, which name them in fault.Refuse. Where a text is not published the row
// is approximate: clients get the documented status and a body of the right
// shape.
var rows = []row{
	{name: "metadata-header", status: 400, code: "invalid_request", text: "Required metadata header not specified", plain: "Bad request. Required metadata header not specified", fidelity: edge.Faithful, source: "Azure/azure-sdk-for-js#11369; imds, Frequently asked questions"},
	{name: "forwarded-for", status: 400, code: "invalid_request", text: "Requests with the X-Forwarded-For header are not allowed", fidelity: edge.Approximate, source: "imds, section Security and authentication"},
	{name: "malformed-query", status: 400, code: "invalid_request", text: "The query string is malformed", fidelity: edge.Approximate, source: "swagger, error invalid_request"},
	{name: "duplicate-parameter", status: 400, code: "invalid_request", text: "Duplicate query parameter names are not allowed", fidelity: edge.Approximate, source: "imds, section Query parameters"},
	{name: "api-version", status: 400, body: `{"error":"Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds","newest-versions":["2025-04-07","2024-07-17","2024-03-15"]}`,
		fidelity: edge.Approximate, source: "imds, section Versions, where an instance request gets it"},
	{name: "resource-missing", status: 400, code: "invalid_request", text: "Required query variable 'resource' is missing", fidelity: edge.Faithful, source: "Azure/azure-sdk-for-net, tests of ManagedIdentityCredential"},
	{name: "two-selectors", status: 400, code: "invalid_request", text: "Only one of client_id, object_id and msi_res_id can be specified", fidelity: edge.Approximate, source: "vm-token, parameters of the token request"},
	{name: "bypass-cache", status: 400, code: "invalid_request", text: "The value of 'bypass_cache' is invalid", fidelity: edge.Approximate, source: "swagger, enum of bypass_cache"},
	{name: "identity-not-found", status: 400, code: "invalid_request", text: "Identity not found", fidelity: edge.Faithful, source: "recorded answers, 68 bytes long, of IMDS/150.870.65.797"},
	{name: "multiple-identities", status: 400, code: "invalid_request", text: "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
		fidelity: edge.Faithful, source: "vm-token, remark on default identities; recorded answers"},
	{name: "imdsv2-off", status: 400, code: "invalid_request", text: "Identity not supported", fidelity: edge.Approximate, source: "MSAL.NET ManagedIdentity/V2/ImdsV2ManagedIdentitySource.cs, where only the status counts"},
	{name: "format", status: 400, code: "bad_request", text: "Bad request. The format is not supported", fidelity: edge.Approximate, source: "imds, section Data format; the text is inferred"},
	{name: "leaf-format", status: 400, code: "bad_request", text: "Bad request. format=text is required for a leaf node", fidelity: edge.Approximate, source: "imds, section Errors and debugging; MicrosoftDocs/azure-docs#15283; the text is inferred"},
	{name: "nonce", status: 400, code: "bad_request", text: "Bad request. The nonce is invalid", fidelity: edge.Approximate, source: "swagger, parameter nonce; the text is inferred"},
	{name: "cred-api-version", status: 400, code: "invalid_request", text: "The value of 'cred-api-version' is invalid", fidelity: edge.Approximate, source: "MSAL.NET ManagedIdentity/V2/ImdsV2ManagedIdentitySource.cs sends 2.0; the text is inferred"},
	{name: "attestation-missing", status: 400, code: "invalid_request", text: "Attestation Token is missing / empty in the issue credential request", fidelity: edge.Faithful, source: "MSAL.NET, MockHelpers.cs of its tests"},
	{name: "csr", status: 400, code: "invalid_request", text: "The certificate signing request is invalid", fidelity: edge.Approximate, source: "MSAL.NET ManagedIdentity/V2/Csr.cs for what is valid; the text is inferred"},
	{name: "credential-failed", status: 500, code: "server_error", text: "Internal service error", fidelity: edge.Approximate, source: "swagger, error server_error; the text is inferred"},
	{name: "start-requests", status: 400, code: "bad_request", text: "Bad request. The request body is malformed", fidelity: edge.Approximate, source: "Microsoft: Azure Metadata Service, Scheduled Events, Start an event; the text is inferred"},
	{name: "event-unknown", status: 400, code: "bad_request", text: "Bad request. The event does not exist", fidelity: edge.Approximate, source: "inferred: Microsoft promises status 200 for valid event IDs only"},
	{name: "no-load-balancer", status: 404, code: "not_found", text: "No load balancer metadata is found. Check if your virtual machine is using any nonbasic SKU load balancer and retry later.",
		fidelity: edge.Approximate, source: "Microsoft: Common error codes when using IMDS to retrieve load balancer information; the form is inferred"},
	{name: "throttled", status: 429, code: "too_many_requests", text: "Temporarily throttled, too many requests", plain: "Too many requests",
		fidelity: edge.Approximate, source: "imds, section Rate limiting; recorded text; swagger, error too_many_requests"},
	{name: "signing-failed", status: 500, code: "server_error", text: "Internal service error", fidelity: edge.Approximate, source: "imds, section Errors and debugging; the text is inferred"},
	{name: "not-found", status: 404, code: "not_found", text: "The requested element does not exist", plain: "Not found. The requested element does not exist", fidelity: edge.Approximate, source: "imds, section Errors and debugging; swagger, error not_found"},
	{name: "method-not-allowed", status: 405, code: "method_not_allowed", text: "The method is not allowed", fidelity: edge.Approximate, source: "imds, section Errors and debugging; swagger, error method_not_allowed"},
	{name: "too-large", status: 413, code: "bad_request", text: "The request is too large", fidelity: edge.Approximate, source: "RFC 9110 section 15.5.14; swagger, error bad_request"},
	{name: "no-source", status: 404, code: "not_found", text: "This host has no managed identity endpoint", server: "-", fidelity: edge.Approximate, source: "none: on a real host without IMDS nothing answers"},
	{name: "entra-failed", status: 500, code: "unknown", text: "Failed to retrieve token from the Active directory. For details see logs in <file path>", fidelity: edge.Approximate, source: "vm-token, table of errors; the path is not published"},

	// What only faults bring about.
	{name: "updating-404", status: 404, code: "not_found", text: "IMDS is updating", fidelity: edge.Approximate, source: "vm-token, section Retry guidance"},
	{name: "updating-410", status: 410, code: "not_found", text: "IMDS is going through updates", fidelity: edge.Approximate, source: "vm-token, section Retry guidance: available again within 70 seconds"},
	{name: "unavailable", status: 503, code: "service_unavailable", text: "The service is unavailable", fidelity: edge.Approximate, source: "swagger, error service_unavailable; vm-token, section Retry guidance"},
	{name: "restarting", status: 500, body: "The service is restarting.", contentType: "text/plain", server: "Microsoft-IIS/10.0", fidelity: edge.Approximate, source: "MSAL.NET docs/msi_v2/vm_vmss_credential_probe.md: the wire server answers"},
	{name: "unknown-source", status: 401, code: "unknown_source", text: "Unknown Source http://169.254.169.254/metadata/identity/oauth2/token", fidelity: edge.Approximate, source: "vm-token, table of errors; only the retired VM extension sent it"},
	{name: "bad-request-102", status: 400, code: "bad_request_102", text: "Required metadata header not specified", fidelity: edge.Approximate, source: "vm-token, table of errors; today's service sends invalid_request"},
	{name: "docker-desktop", status: 403, contentType: "text/plain", server: "-", fidelity: edge.Faithful, source: "Azure/azure-sdk-for-go, tests of azidentity",
		body: "connecting to 169.254.169.254:80: connecting to 169.254.169.254:80: dial tcp 169.254.169.254:80: connectex: A socket operation was attempted to an unreachable network."},
	{name: "pod-identity", status: 500, body: "pod list is empty", contentType: "text/plain", server: "-", fidelity: edge.Faithful, source: "Azure/aad-pod-identity#681"},
	{name: "captive-portal", status: 200, body: "<html><body><h1>Sign in to the network</h1></body></html>", contentType: "text/html", server: "-", fidelity: edge.Approximate, source: "Azure/azure-sdk-for-net ImdsManagedIdentitySource.cs: a portal answers; the text is inferred"},
	{name: "bad-gateway", status: 502, body: "<html><body><h1>502 Bad Gateway</h1></body></html>", contentType: "text/html", server: "-", fidelity: edge.Approximate, source: "Azure/azure-sdk-for-net ImdsManagedIdentitySource.cs: a proxy answers"},
	{name: "gateway-timeout", status: 504, body: "<html><body><h1>504 Gateway Timeout</h1></body></html>", contentType: "text/html", server: "-", fidelity: edge.Approximate, source: "Azure/azure-sdk-for-net ImdsManagedIdentitySource.cs: a proxy answers"},
}

// A refusal names a row and says why it applies to this request.
type refusal struct{ row, why, about string }

func because(row, format string, args ...any) *refusal {
	return &refusal{row: row, why: fmt.Sprintf(format, args...)}
}

func named(name string) (row, bool) {
	for _, table := range [][]row{rows, appServiceRows, arcRows, serviceFabricRows, cloudShellRows, azureMLRows} {
		if i := slices.IndexFunc(table, func(w row) bool { return w.name == name }); i >= 0 {
			return table[i], true
		}
	}
	return row{}, false
}

// refuse answers with a refusal and records it under the name of its row,
// because nearly all share the wire code invalid_request.
func refuse(r *edge.Request, no *refusal) edge.Response {
	w, _ := named(no.row) // a test provokes every row
	r.Explain(w.name, no.why)
	w.text = strings.Replace(w.text, "%s", no.about, 1)
	return w.render(r)
}

// render gives a row its wire form.
func (w row) render(r *edge.Request) edge.Response {
	if w.form != nil {
		return w.form(r, w)
	}
	resp := edge.Response{Status: w.status, Header: headers(r), Body: []byte(w.body)}
	switch {
	case w.body != "":
	case plainErrors(r.URL.Path):
		resp.Body = []byte(`{ "error": ` + quote(cmp.Or(w.plain, w.text)) + ` }`) // with the blanks of recorded answers
	default:
		resp.Body = edge.JSON(w.status, struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}{w.code, w.text}).Body
	}
	if w.contentType != "" {
		resp.Header.Set("Content-Type", w.contentType)
	}
	if w.server != "" {
		resp.Header = http.Header{"Content-Type": resp.Header["Content-Type"], "Server": {w.server}}
	}
	if w.server == "-" {
		resp.Header.Del("Server")
	}
	return resp
}

// plainErrors reports whether a path is in a category whose errors are one
// sentence: all but identity. Recorded in hashicorp/terraform-azurerm-consul#38
// and MicrosoftDocs/azure-docs#91624.
func plainErrors(path string) bool {
	parts := segments(strings.ToLower(path))
	return len(parts) > 1 && parts[0] == "metadata" && parts[1] != "identity"
}

// Refuse answers with the row that a fault rule names, such as "throttled" or
// "updating-410".
func (s *Service) Refuse(r *edge.Request, code string) (edge.Response, bool) {
	w, ok := named(code)
	if !ok {
		return edge.Response{}, false
	}
	return refuse(r, because(w.name, "a fault rule asked for this refusal (%d %s)", w.status, cmp.Or(w.text, w.body))), true
}

// TooLarge answers a request that is larger than the edge accepts, which says
// why in the journal. What the endpoints answer is not known.
func (s *Service) TooLarge(r *edge.Request) edge.Response {
	w, _ := named(s.calledPlace(r).prefix + "too-large")
	return w.render(r)
}
