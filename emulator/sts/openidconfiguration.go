package sts

import (
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
	"github.com/fakeentra/fakeentra/internal/pattern"
)

// domain is a DNS name with at least one dot, as verified domains are.
var domain = pattern.New(`^(?i)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

func plausible(tenant string) bool { return ident.IsGUID(tenant) || domain.MatchString(tenant) }

// A configurationV2 is the OpenID Provider Metadata of the v2.0 endpoint, with
// the members and in the order that Entra serves.
type configurationV2 struct {
	TokenEndpoint               string            `json:"token_endpoint"`
	TokenEndpointAuthMethods    []string          `json:"token_endpoint_auth_methods_supported"`
	JWKSURI                     string            `json:"jwks_uri"`
	ResponseModes               []string          `json:"response_modes_supported"`
	SubjectTypes                []string          `json:"subject_types_supported"`
	IDTokenSigningAlgs          []string          `json:"id_token_signing_alg_values_supported"`
	ResponseTypes               []string          `json:"response_types_supported"`
	Scopes                      []string          `json:"scopes_supported"`
	Issuer                      string            `json:"issuer"`
	RequestURIParameter         bool              `json:"request_uri_parameter_supported"`
	UserinfoEndpoint            string            `json:"userinfo_endpoint"`
	AuthorizationEndpoint       string            `json:"authorization_endpoint"`
	DeviceAuthorizationEndpoint string            `json:"device_authorization_endpoint"`
	HTTPLogout                  bool              `json:"http_logout_supported"`
	FrontchannelLogout          bool              `json:"frontchannel_logout_supported"`
	EndSessionEndpoint          string            `json:"end_session_endpoint"`
	Claims                      []string          `json:"claims_supported"`
	KerberosEndpoint            string            `json:"kerberos_endpoint"`
	MTLSAliases                 map[string]string `json:"mtls_endpoint_aliases,omitempty"`
	MTLSBoundTokens             bool              `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	cloudMembers
}

// A configurationV1 is the same of the v1.0 endpoint.
type configurationV1 struct {
	TokenEndpoint               string   `json:"token_endpoint"`
	TokenEndpointAuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	JWKSURI                     string   `json:"jwks_uri"`
	ResponseModes               []string `json:"response_modes_supported"`
	SubjectTypes                []string `json:"subject_types_supported"`
	IDTokenSigningAlgs          []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes               []string `json:"response_types_supported"`
	Scopes                      []string `json:"scopes_supported"`
	Issuer                      string   `json:"issuer"`
	MultiRefreshToken           bool     `json:"microsoft_multi_refresh_token"`
	AuthorizationEndpoint       string   `json:"authorization_endpoint"`
	DeviceAuthorizationEndpoint string   `json:"device_authorization_endpoint"`
	HTTPLogout                  bool     `json:"http_logout_supported"`
	FrontchannelLogout          bool     `json:"frontchannel_logout_supported"`
	EndSessionEndpoint          string   `json:"end_session_endpoint"`
	Claims                      []string `json:"claims_supported"`
	CheckSessionIframe          string   `json:"check_session_iframe"`
	UserinfoEndpoint            string   `json:"userinfo_endpoint"`
	KerberosEndpoint            string   `json:"kerberos_endpoint"`
	cloudMembers
}

type cloudMembers struct {
	TenantRegionScope  *string `json:"tenant_region_scope"` // null in the documents of common and organizations
	CloudInstanceName  string  `json:"cloud_instance_name"`
	CloudGraphHostName string  `json:"cloud_graph_host_name"`
	GraphHost          string  `json:"msgraph_host"`
	RBACURL            string  `json:"rbac_url"`
}

func cloudOf(e environment.Environment, shared bool) cloudMembers {
	region := "WW"
	m := cloudMembers{CloudInstanceName: e.CloudInstanceName, CloudGraphHostName: e.CloudGraphHostName, GraphHost: e.GraphHost, RBACURL: "https://pas.windows.net"}
	if !shared {
		m.TenantRegionScope = &region
	}
	return m
}

// consumersTenant is the tenant that consumers is another name for.
const consumersTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// issuerName returns the tenant as it stands in URLs and in issuers: a document
// asked for by domain name holds the tenant ID, and the documents of common and
// organizations have a template for the issuer.
func (s *Service) issuerName(r *edge.Request) (inURLs, inIssuer string, err *Error) {
	switch segment := strings.ToLower(r.Vars["tenant"]); {
	case segment == "consumers" || segment == consumersTenant:
		return segment, consumersTenant, nil
	case shared(segment):
		return segment, "{tenantid}", nil
	}
	t, err := s.tenant(r, errMetadataTenantNotFound)
	r.Note("", t.Name)
	return string(t.ID), string(t.ID), err
}

// base returns the URL that the endpoints of a document begin with: the host
// that was asked, as in the documents of login.chinacloudapi.cn that MSAL.js
// carries (AuthorityMetadata.ts). MSAL Go relies on it to stay in a region: it
// takes the token endpoint from the document of westeurope.login.microsoft.com.
// A client that was led here by a loopback address finds its way back in the
// same manner. That sts.windows.net names the preferred host instead is general
// knowledge.
func (s *Service) base(r *edge.Request) string {
	name := strings.ToLower(r.URL.Hostname())
	switch {
	case edge.Loopback(name):
		return r.URL.Scheme + "://" + r.URL.Host + "/"
	case name != s.Environment.V1IssuerHost && s.answersAt(name):
		return "https://" + name + "/"
	}
	return "https://" + s.Environment.LoginHost + "/"
}

// answersAt reports whether a host is one of the token service's own.
func (s *Service) answersAt(hostname string) bool {
	return s.Environment.Regional(hostname) || slices.Contains(s.Environment.LoginAliases, hostname)
}

func (s *Service) openIDConfigurationV2(r *edge.Request) edge.Response {
	tenant, issuer, err := s.issuerName(r)
	if err != nil {
		return s.refuse(r, err)
	}
	at := s.base(r) + tenant
	doc := configurationV2{
		TokenEndpoint: at + "/oauth2/v2.0/token", JWKSURI: at + "/discovery/v2.0/keys",
		TokenEndpointAuthMethods: []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		ResponseModes:            []string{"query", "fragment", "form_post"},
		SubjectTypes:             []string{"pairwise"},
		IDTokenSigningAlgs:       []string{"RS256"},
		ResponseTypes:            []string{"code", "id_token", "code id_token", "id_token token"},
		Scopes:                   []string{"openid", "profile", "email", "offline_access"},
		Issuer:                   s.Environment.IssuerV2(issuer),
		UserinfoEndpoint:         "https://" + s.Environment.GraphHost + "/oidc/userinfo",
		AuthorizationEndpoint:    at + "/oauth2/v2.0/authorize", DeviceAuthorizationEndpoint: at + "/oauth2/v2.0/devicecode",
		HTTPLogout: true, FrontchannelLogout: true, EndSessionEndpoint: at + "/oauth2/v2.0/logout",
		Claims: []string{"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat",
			"auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"},
		KerberosEndpoint: at + "/kerberos", cloudMembers: cloudOf(s.Environment, shared(tenant)),
	}
	if s.Environment.Name == environment.Public.Name {
		doc.MTLSAliases = map[string]string{"token_endpoint": "https://mtlsauth.microsoft.com/" + tenant + "/oauth2/v2.0/token"}
		doc.MTLSBoundTokens = true
	}
	return s.publish(r, doc)
}

func (s *Service) openIDConfigurationV1(r *edge.Request) edge.Response {
	tenant, issuer, err := s.issuerName(r)
	if err != nil {
		return s.refuse(r, err)
	}
	at := s.base(r) + tenant
	return s.publish(r, configurationV1{
		TokenEndpoint: at + "/oauth2/token", JWKSURI: s.base(r) + "common/discovery/keys",
		TokenEndpointAuthMethods: []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		ResponseModes:            []string{"query", "fragment", "form_post"},
		SubjectTypes:             []string{"pairwise"},
		IDTokenSigningAlgs:       []string{"RS256"},
		ResponseTypes:            []string{"code", "id_token", "code id_token", "token id_token", "token"},
		Scopes:                   []string{"openid"},
		Issuer:                   s.Environment.IssuerV1(issuer), MultiRefreshToken: true,
		AuthorizationEndpoint: at + "/oauth2/authorize", DeviceAuthorizationEndpoint: at + "/oauth2/devicecode",
		HTTPLogout: true, FrontchannelLogout: true, EndSessionEndpoint: at + "/oauth2/logout",
		Claims: []string{"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat",
			"auth_time", "acr", "amr", "nonce", "email", "given_name", "family_name", "nickname"},
		CheckSessionIframe: at + "/oauth2/checksession", UserinfoEndpoint: at + "/openid/userinfo",
		KerberosEndpoint: at + "/kerberos", cloudMembers: cloudOf(s.Environment, shared(tenant)),
	})
}
