// Package environment knows the national clouds of Azure: their host names,
// issuers and the audience that a managed identity token must have to be
// exchanged.
//
// Sources: the tables of Microsoft's "National clouds" page and of "Configure
// an application to trust a managed identity"; the aliases are those of the
// instance discovery document.
package environment

import "strings"

// An Environment is a national cloud. Environments are compared by Name; treat
// their slices as read-only.
type Environment struct {
	// Name is what scenario files call the environment: public, usgov, china.
	Name string
	// LoginHost is the preferred host of the token service.
	LoginHost string
	// LoginAliases are all hosts that the token service answers on, the
	// preferred one first.
	LoginAliases []string
	// V1IssuerHost is the host in the iss claim of v1.0 tokens, as in
	// https://sts.windows.net/{tenant}/.
	V1IssuerHost string
	// TokenExchangeAudience is the only audience that a federated identity
	// credential with an Entra issuer may have.
	TokenExchangeAudience string
	// BlobSuffix follows the account name in the host of a Blob endpoint.
	BlobSuffix string
	// MetadataDomain is what the certificates are for that the Instance
	// Metadata Service signs with, and everything below it (Microsoft: Azure
	// Instance Metadata Service, Signature validation guidance).
	MetadataDomain string
	// MutualTLSHost is where the token service asks for client certificates,
	// itself and below the names of regions (MSAL.NET,
	// docs/sni_mtls_pop_token_design.md).
	MutualTLSHost string
	// GraphHost and ManagementHost are the hosts of Microsoft Graph and of
	// Azure Resource Manager.
	GraphHost, ManagementHost string
	// CloudInstanceName and CloudGraphHostName are members of the OpenID
	// configuration.
	CloudInstanceName, CloudGraphHostName string
}

// The environments that can be emulated. The v1 issuer hosts of the sovereign
// clouds are not documented; they are general knowledge.
var (
	Public = Environment{
		Name:                  "public",
		LoginHost:             "login.microsoftonline.com",
		LoginAliases:          []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"},
		V1IssuerHost:          "sts.windows.net",
		TokenExchangeAudience: "api://AzureADTokenExchange",
		BlobSuffix:            "blob.core.windows.net",
		MetadataDomain:        "metadata.azure.com",
		MutualTLSHost:         "mtlsauth.microsoft.com",
		GraphHost:             "graph.microsoft.com",
		ManagementHost:        "management.azure.com",
		CloudInstanceName:     "microsoftonline.com",
		CloudGraphHostName:    "graph.windows.net",
	}
	USGovernment = Environment{
		Name:                  "usgov",
		LoginHost:             "login.microsoftonline.us",
		LoginAliases:          []string{"login.microsoftonline.us", "login.usgovcloudapi.net"},
		V1IssuerHost:          "sts.windows.net",
		TokenExchangeAudience: "api://AzureADTokenExchangeUSGov",
		BlobSuffix:            "blob.core.usgovcloudapi.net",
		MetadataDomain:        "metadata.azure.us",
		MutualTLSHost:         "mtlsauth.microsoftonline.us",
		GraphHost:             "graph.microsoft.us",
		ManagementHost:        "management.usgovcloudapi.net",
		CloudInstanceName:     "microsoftonline.us",
		CloudGraphHostName:    "graph.windows.net",
	}
	China = Environment{
		Name:                  "china",
		LoginHost:             "login.partner.microsoftonline.cn",
		LoginAliases:          []string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"},
		V1IssuerHost:          "sts.chinacloudapi.cn",
		TokenExchangeAudience: "api://AzureADTokenExchangeChina",
		BlobSuffix:            "blob.core.chinacloudapi.cn",
		MetadataDomain:        "metadata.azure.cn",
		MutualTLSHost:         "mtlsauth.partner.microsoftonline.cn",
		GraphHost:             "microsoftgraph.chinacloudapi.cn",
		ManagementHost:        "management.chinacloudapi.cn",
		CloudInstanceName:     "partner.microsoftonline.cn",
		CloudGraphHostName:    "graph.chinacloudapi.cn",
	}
)

// All returns every environment that can be emulated, Public first.
func All() []Environment { return []Environment{Public, USGovernment, China} }

// Named returns the environment that scenario files call name.
func Named(name string) (Environment, bool) {
	for _, e := range All() {
		if e.Name == name {
			return e, true
		}
	}
	return Environment{}, false
}

// Regional reports whether a host name, in lower case, is one of the regional
// endpoints of the token service, such as westeurope.login.microsoft.com or
// usgovvirginia.login.microsoftonline.us. Source: AADInstanceDiscovery of MSAL
// Go 1.10, which puts the region before login.microsoft.com in the public cloud
// and before the preferred host in the others.
func (e Environment) Regional(hostname string) bool {
	parent := e.LoginHost
	if e.Name == Public.Name {
		parent = "login.microsoft.com"
	}
	return strings.HasSuffix(hostname, "."+parent)
}

// MutualTLS reports whether a host name, in lower case, is one at which the token
// service asks for client certificates.
func (e Environment) MutualTLS(hostname string) bool {
	return hostname == e.MutualTLSHost || strings.HasSuffix(hostname, "."+e.MutualTLSHost)
}

// Authority returns the authority of a tenant, without a trailing slash.
func (e Environment) Authority(tenant string) string {
	return "https://" + e.LoginHost + "/" + tenant
}

// IssuerV2 returns the iss claim of v2.0 tokens of a tenant.
func (e Environment) IssuerV2(tenant string) string {
	return "https://" + e.LoginHost + "/" + tenant + "/v2.0"
}

// IssuerV1 returns the iss claim of v1.0 tokens of a tenant, with its trailing
// slash.
func (e Environment) IssuerV1(tenant string) string {
	return "https://" + e.V1IssuerHost + "/" + tenant + "/"
}

// TenantOf returns the tenant that an issuer of this environment stands for,
// and which version of tokens it issues. ok is false for every other issuer,
// also for one that differs in a letter's case or in a slash: the comparison
// is as exact as that of federated identity credentials.
func (e Environment) TenantOf(issuer string) (tenant string, version int, ok bool) {
	if rest, found := strings.CutPrefix(issuer, "https://"+e.LoginHost+"/"); found {
		if t, v2 := strings.CutSuffix(rest, "/v2.0"); v2 && t != "" && !strings.Contains(t, "/") {
			return t, 2, true
		}
	}
	if rest, found := strings.CutPrefix(issuer, "https://"+e.V1IssuerHost+"/"); found {
		if t, slash := strings.CutSuffix(rest, "/"); slash && t != "" && !strings.Contains(t, "/") {
			return t, 1, true
		}
	}
	return "", 0, false
}

// Elsewhere returns the environment that issuer belongs to when that is not e.
// Sovereign clouds that share a v1 issuer host with e are not told apart.
func (e Environment) Elsewhere(issuer string) (Environment, bool) {
	if _, _, own := e.TenantOf(issuer); own {
		return Environment{}, false
	}
	for _, other := range All() {
		if _, _, ok := other.TenantOf(issuer); ok && other.Name != e.Name {
			return other, true
		}
	}
	return Environment{}, false
}
