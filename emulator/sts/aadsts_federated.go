package sts

import (
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// Tails that many messages about federated identity credentials share.
const (
	pleaseCheck = " Please check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation"
	check       = " Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
	noRecord    = "No matching federated identity record found for presented assertion"
)

// The refusals of federated identity credentials. Rows whose text was only
// paraphrased in public are approximate, and say so.
var (
	errLegacyMismatch2022 = row(Refusal{
		Name: "no-matching-record-2022", Code: 70021, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful,
		Text:   noRecord + ". Assertion Issuer: '{iss}'. Assertion Subject: '{sub}'. Assertion Audience: '{aud}'. https://docs.microsoft.com/en-us/azure/active-directory/develop/workload-identity-federation",
		Source: "Azure/azure-workload-identity#616 (2022)",
	})
	errLegacyMismatch = row(Refusal{
		Name: "no-matching-record", Code: 70021, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   errLegacyMismatch2022.Text,
		Source: "responses until October 2023; the documentation still names it for credentials that have not propagated",
	})
	errNoCredentials = row(Refusal{
		Name: "no-federated-credentials", Code: 70025, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "The client '{client}'({name}) has no configured federated identity credentials.",
		Source: "responses quoted in public, 2024 and later",
	})
	errIssuerMismatch = row(Refusal{
		Name: "issuer-mismatch", Code: 700211, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful, NoURI: true,
		Text:   noRecord + " issuer '{iss}'." + pleaseCheck,
		Source: "Azure/azure-workload-identity#1200 (March 2024)",
	})
	errAudienceMismatch = row(Refusal{
		Name: "audience-mismatch", Code: 700212, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   noRecord + " audience '{aud}'." + pleaseCheck,
		Source: "response quoted in public",
	})
	errEntraAudienceMismatch = row(Refusal{
		Name: "entra-audience-mismatch", Code: 7002121, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   noRecord + " audience '{aud}'." + check,
		Source: "field reports of a token for https://management.azure.com/; the end of the text is inferred",
	})
	errSubjectMismatch = row(Refusal{
		Name: "subject-mismatch", Code: 700213, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   noRecord + " subject '{sub}'." + check,
		Source: "Azure/azure-workload-identity#1200 (April 2025), dotnet/maui#31978 (October 2025)",
	})
	errPathSubjectMismatch = row(Refusal{
		Name: "fmi-subject-mismatch", Code: 7002137, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   noRecord + " subject '{sub}'. Please make sure the federated identity credential Subject is '{want}'.",
		Source: "microsoft/Agents#202; which suggestion Entra makes is inferred",
	})
	errSubjectCase = row(Refusal{
		Name: "subject-case", Code: 7002138, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text: noRecord + " subject '{sub}'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity credential Subject, Audience and Issuer against the presented assertion." +
			" See documentation at: https://learn.microsoft.com/entra/workload-id/workload-identity-federation. See breaking change notification and remediation at: https://learn.microsoft.com/en-us/entra/identity-platform/reference-breaking-changes#august-2024.",
		Source: "Azure/login#515",
	})
	errAgentSubjectMismatch = row(Refusal{
		Name: "agent-subject-mismatch", Code: 7002142, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   noRecord + " subject '{sub}', requested agent identity is '{agent}'." + check,
		Source: "field reports that quote parts of the text; the rest is inferred",
	})
	errUserSubjectMismatch = row(Refusal{
		Name: "user-credential-subject-mismatch", Code: 7002203, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   noRecord + " subject '{sub}'." + check,
		Source: "field reports about the user_fic grant; the end of the text is inferred",
	})
	errCredentialAudience = row(Refusal{
		Name: "credential-audience", Code: 700214, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "The audience of the federated identity credential must be '{want}'.",
		Source: "field reports that paraphrase the text: the audience of a credential with an Entra issuer must be the URI",
	})
	errEntraIssued = row(Refusal{
		Name: "entra-issued", Code: 700222, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "AAD-issued tokens may not be used for federated identity flows.",
		Source: "AzureAD/microsoft-identity-web#2519 (October 2023)",
	})
	errFederationDisabled = row(Refusal{
		Name: "federation-disabled", Code: 700223, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "Workload identity federation is disabled for the tenant '{tenant}'.",
		Source: "Azure DevOps documentation, \"Troubleshoot a workload identity service connection\", names the code; the text is not public",
	})
	errNotManagedIdentity = row(Refusal{
		Name: "not-a-managed-identity", Code: 700226, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Only MSI tokens may be used as Federated Identity Credentials for AAD issuer.",
		Source: "response quoted in public",
	})
	errForbiddenAudience = row(Refusal{
		Name: "forbidden-audience", Code: 700227, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "Forbidden token audience.",
		Source: "field report of a v1.0 token whose issuer and audience the credential names; the rest of the text is not public",
	})
	errOtherCloudAudience = row(Refusal{
		Name: "other-cloud-audience", Code: 7002206, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "Forbidden token audience. Token audience must match the cloud-specific AAD Token Exchange App Uri.",
		Source: "documents in the MSAL.NET repository (symbol UserFederatedIdentityTokenAudienceMustBeTokenExchange)",
	})
	errUserToken = row(Refusal{
		Name: "user-token", Code: 700229, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Forbidden token type. Only app-only tokens may be used as Federated Identity Credentials for AAD issuer.",
		Source: "MicrosoftDocs/azure-docs#109083",
	})
	errChained = row(Refusal{
		Name: "chained", Code: 700231, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Token obtained using a federated identity credential may not be used as a federated identity credential.",
		Source: "responses quoted in several public repositories; one of them words it slightly differently",
	})
	errOtherTenant = row(Refusal{
		Name: "other-tenant", Code: 700236, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Entra ID tokens issued by issuer '{iss}' may not be used for federated identity credential flows for applications or managed identities registered in this tenant.",
		Source: "responses quoted in public, December 2024 to August 2026",
	})
	errOtherCloud = row(Refusal{
		Name: "other-cloud", Code: 700238, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "Entra ID tokens issued by issuer '{iss}' of another cloud may not be used for federated identity credential flows.",
		Source: "field report that paraphrases the text; the Azure DevOps documentation gives the code another meaning",
	})
	errGitHubEnterprise = row(Refusal{
		Name: "github-enterprise", Code: 7002381, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "Federated identity credentials issued by 'https://token.actions.githubusercontent.com/' for applications or managed identities registered in this tenant must contain the enterprise claim with value {allowed} but actual value is '{got}'.",
		Source: "responses quoted in several public repositories",
	})
	errDuplicateSubject = row(Refusal{
		Name: "duplicate-subject", Code: 700263, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Approximate,
		Text:   "More than one federated identity credential with the subject '{sub}' was found for the client '{client}'.",
		Source: "one field report of a v1.0 and a v2.0 credential side by side; the text is paraphrased there",
	})
	errKeyNotPublished = row(Refusal{
		Name: "key-not-published", Code: 7000272, OAuth: "invalid_client", Status: http.StatusUnauthorized, Fidelity: edge.Faithful,
		Text:   "The certificate with identifier {kid} used to sign the federated credential could not be found in the metadata of identity provider {iss}. Please validate that your Identity Provider's metadata exposes the key used to sign the incoming token.",
		Source: "Azure/azure-workload-identity#1232 (January 2024)",
	})
	errIssuerUnreachable = row(Refusal{
		Name: "issuer-unreachable", Code: 50166, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful, NoURI: true,
		Text:   "Request to External OIDC endpoint failed.",
		Source: "Azure/azure-workload-identity#642 (2022) to #1130 (2023)",
	})
	errIssuerUnreachable2023 = row(Refusal{
		Name: "issuer-unreachable-2023", Code: 501661, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful, NoURI: true,
		Text:   errIssuerUnreachable.Text,
		Source: "Azure/login#283 (December 2022)",
	})
	errIssuerUnreachable2022 = row(Refusal{
		Name: "issuer-unreachable-2022", Code: 90061, OAuth: "invalid_request", Status: http.StatusBadRequest, Fidelity: edge.Faithful, NoURI: true,
		Text:   errIssuerUnreachable.Text,
		Source: "Azure/azure-workload-identity#605 (October 2022)",
	})
)
