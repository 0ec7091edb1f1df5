package sts

import (
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// errorCodes is Microsoft's page of codes.
const errorCodes = "Microsoft Entra authentication and authorization error codes (reference-error-codes)"

// moreKeys ends the messages about keys of an application.
const moreKeys = "Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{client}'. Review the documentation at https://docs.microsoft.com/en-us/graph/deployments to determine the corresponding service endpoint and https://docs.microsoft.com/en-us/graph/api/application-get?view=graph-rest-1.0&tabs=http to build a query request URL, such as 'https://graph.microsoft.com/beta/applications/{client}']."

const certificateCredentials = " Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."

// The refusals that concern the request, the tenant, the client and the
// resource, as far as client_credentials raises them.
var (
	errMethod = row(Refusal{
		Name: "method", Code: 900561, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "The endpoint only accepts {valid} requests. Received a {method} request.",
		Source: errorCodes,
	})
	errMalformed = row(Refusal{
		Name: "malformed-request", Code: 9002313, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "Invalid request. Request is malformed or invalid.",
		Source: "AzureAD/microsoft-authentication-library-for-android#558 has the text, with invalid_grant; its use for a body that is no form is inferred",
	})
	errMissing = row(Refusal{
		Name: "missing-parameter", Code: 900144, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "The request body must contain the following parameter: '{name}'.",
		Source: errorCodes,
	})
	errParameter = row(Refusal{
		Name: "invalid-parameter", Code: 90100, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "{name} parameter is empty or not valid.",
		Source: errorCodes + "; which parameters raise it is inferred",
	})
	errResourceParameter = row(Refusal{
		Name: "resource-on-v2", Code: 901002, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "The 'resource' request parameter is not supported.",
		Source: errorCodes,
	})
	errGrantType = row(Refusal{
		Name: "grant-type", Code: 70003, OAuth: "unsupported_grant_type", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "The app requested an unsupported grant type '{grant}'.",
		Source: errorCodes + "; the value in the text is inferred",
	})
	errTenantNotFound = row(Refusal{
		Name: "tenant-not-found", Code: 90002, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.",
		Source: "recorded SDK traffic (token endpoint)",
	})
	errMetadataTenantNotFound = row(Refusal{
		Name: "metadata-tenant-not-found", Code: 90002, OAuth: "invalid_tenant", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   errTenantNotFound.Text,
		Source: "recorded SDK traffic (OpenID configuration)",
	})
	errTenantIdentifier = row(Refusal{
		Name: "tenant-identifier", Code: 900023, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.",
		Source: "response quoted in public",
	})
	errNoTenant = row(Refusal{
		Name: "no-tenant", Code: 50059, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "No tenant-identifying information found in either the request or implied by any provided credentials.",
		Source: errorCodes + "; that client_credentials raises it for /common is inferred",
	})
	errUnknownInstance = row(Refusal{
		Name: "unknown-instance", Code: 50049, OAuth: "invalid_instance", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "Unknown or invalid instance.",
		Source: "test data of MSAL.NET (DiscoveryFailedResponse)",
	})
	errClientNotFound = row(Refusal{
		Name: "application-not-found", Code: 700016, OAuth: "unauthorized_client", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
		Source: "Azure/azure-sdk-for-python#8314, Azure/azure-powershell#9156; the status is general knowledge",
	})
	errNoServicePrincipal = row(Refusal{
		Name: "no-service-principal", Code: 7000229, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "The client application {client} is missing service principal in the tenant {tenant}. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
		Source: "Azure/azure-sdk-for-net#46762; the status is general knowledge",
	})
	errDisabled = row(Refusal{
		Name: "application-disabled", Code: 7000112, OAuth: "unauthorized_client", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "Application '{client}'({name}) is disabled.",
		Source: "general knowledge; the error name is not verified",
	})
	errNoClientCredential = row(Refusal{
		Name: "no-credential", Code: 7000216, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
		Source: "response quoted in public; the status is general knowledge",
	})
	errPublicClient = row(Refusal{
		Name: "public-client", Code: 700025, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
		Source: errorCodes,
	})
	errSecret = row(Refusal{
		Name: "wrong-secret", Code: 7000215, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'.",
		Source: "azidentity TROUBLESHOOTING.md, keycloak/keycloak#31294",
	})
	errSecretExpired = row(Refusal{
		Name: "expired-secret", Code: 7000222, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
		Source: errorCodes + "; the long text is general knowledge",
	})
	errIdentitySecret = row(Refusal{
		Name: "secret-for-managed-identity", Code: 7000232, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "MSI identity ({client}) should not use ClientSecretCredential",
		Source: "response quoted in public",
	})
	errAssertionMalformed = row(Refusal{
		Name: "malformed-assertion", Code: 50027, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "JWT token is invalid or malformed.",
		Source: "panva/openid-client#348; the error name is inferred from AADSTS5002730",
	})
	errAlgorithm = row(Refusal{
		Name: "algorithm", Code: 5002730, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "Invalid JWT token. Unsupported key for the signing algorithm.",
		Source: "AzureAD/microsoft-authentication-library-for-dotnet#4712",
	})
	errAssertionIssuer = row(Refusal{
		Name: "assertion-client-mismatch", Code: 700021, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Client assertion application identifier doesn't match 'client_id' parameter." + certificateCredentials,
		Source: "response quoted in public; the status is general knowledge",
	})
	errAssertionSubject = row(Refusal{
		Name: "assertion-subject-mismatch", Code: 50048, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "Subject mismatches Issuer claim in the client assertion.",
		Source: errorCodes + "; the status is inferred",
	})
	errAssertionAudience = row(Refusal{
		Name: "assertion-audience", Code: 700023, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Client assertion audience claim does not match Realm issuer." + certificateCredentials,
		Source: "response quoted in public; the status is general knowledge",
	})
	errAssertionTime = row(Refusal{
		Name: "assertion-time", Code: 700024, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {from}, expiry time of assertion {until}." + certificateCredentials,
		Source: "AzureAD/microsoft-authentication-library-for-dotnet#4951, -for-java#984",
	})
	errKeyNotRegistered = row(Refusal{
		Name: "key-not-registered", Code: 700027, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '{thumbprint}', " + moreKeys,
		Source: "keycloak/keycloak#19425, AzureAD/passport-azure-ad#453 and a response of 2023",
	})
	errSignature = row(Refusal{
		Name: "assertion-signature", Code: 7000274, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "Client assertion contains an invalid signature.",
		Source: "AzureAD/microsoft-identity-web lists the code; that a wrong signature with a known key raises it is inferred",
	})
	errCertificateTime = row(Refusal{
		Name: "certificate-expired", Code: 1000502, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "The provided certificate is not within its specified validity period.",
		Source: "AzureAD/microsoft-identity-web lists the code; the text is general knowledge",
	})
	errScopeSuffix = row(Refusal{
		Name: "scope-without-default", Code: 1002012, OAuth: "invalid_scope", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).",
		Source: "response quoted in public",
	})
	errScope = row(Refusal{
		Name: "scope", Code: 70011, OAuth: "invalid_scope", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "The provided value for the input parameter 'scope' isn't valid. The scope {scope} isn't valid.",
		Source: errorCodes,
	})
	errResource = row(Refusal{
		Name: "resource-not-found", Code: 500011, OAuth: "invalid_resource", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
		Source: "response quoted in public",
	})
	errNotAssigned = row(Refusal{
		Name: "not-assigned", Code: 501051, OAuth: "invalid_client", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "Application '{client}'({name}) is not assigned to a role for the application '{resource}'({api}).",
		Source: errorCodes + "; a field report has invalid_grant instead of the documented invalid_client",
	})
	errConditionalAccess = row(Refusal{
		Name: "conditional-access", Code: 53003, OAuth: "invalid_grant", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:     "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
		Suberror: "message_only", Claims: `{"access_token":{"capolids":{"essential":true,"values":["00000000-0000-0000-0000-000000000000"]}}}`,
		Source: "response quoted in public",
	})
	// A cloud has the tenants of its own national cloud alone, and says 90002 of
	// others.
	_ = row(crossCloud("cross-cloud", 900382))
	_ = row(crossCloud("cross-cloud-tenant", 900432))
	_ = row(Refusal{
		Name: "request-loop", Code: 50196, OAuth: "invalid_grant", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.",
		Source: "MsalServiceExceptionFactory of MSAL.NET; only raised by a fault",
	})
	_ = row(Refusal{
		Name: "tenant-throttled", Code: 90055, OAuth: "temporarily_unavailable", Status: http.StatusTooManyRequests, Fidelity: edge.Approximate,
		Text:   "There are too many incoming requests.",
		Source: errorCodes + "; error name and status are inferred; only raised by a fault",
	})
	_ = row(Refusal{
		Name: "transient", Code: 90033, OAuth: "temporarily_unavailable", Status: http.StatusServiceUnavailable, Fidelity: edge.Approximate,
		Text:   "A transient error has occurred. Please try again.",
		Source: errorCodes + "; the body is general knowledge; only raised by a fault",
	})
)

// crossCloud describes a refusal of a client that signs in at the authority of
// another national cloud.
func crossCloud(name string, code int) Refusal {
	return Refusal{
		Name: name, Code: code, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Approximate,
		Text:   "Confidential Client is not supported in Cross Cloud request.",
		Source: errorCodes + "; error name and status are inferred; only raised by a fault",
	}
}
