package sts

import (
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// An instance is one entry of the instance discovery document.
type instance struct {
	PreferredNetwork string   `json:"preferred_network"`
	PreferredCache   string   `json:"preferred_cache"`
	Aliases          []string `json:"aliases"`
}

// instances are the five entries that the public service has listed in every
// recording.
func instances() []instance {
	return []instance{
		{"login.microsoftonline.com", "login.windows.net", []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}},
		{"login.partner.microsoftonline.cn", "login.partner.microsoftonline.cn", []string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"}},
		{"login.microsoftonline.de", "login.microsoftonline.de", []string{"login.microsoftonline.de"}},
		{"login.microsoftonline.us", "login.microsoftonline.us", []string{"login.microsoftonline.us", "login.usgovcloudapi.net"}},
		{"login-us.microsoftonline.com", "login-us.microsoftonline.com", []string{"login-us.microsoftonline.com"}},
	}
}

// A discovery is the answer to instance discovery. api-version 1.0 has no
// metadata.
type discovery struct {
	TenantDiscoveryEndpoint string     `json:"tenant_discovery_endpoint"`
	APIVersion              string     `json:"api-version"`
	Metadata                []instance `json:"metadata,omitempty"`
}

func (s *Service) instanceDiscovery(r *edge.Request) edge.Response {
	query := r.URL.Query()
	endpoint, err := url.Parse(query.Get("authorization_endpoint"))
	if err != nil || endpoint.Host == "" {
		return s.refuse(r, errParameter.because(values{"name": "authorization_endpoint"},
			"instance discovery was asked about %q, which is no URL", query.Get("authorization_endpoint")))
	}
	entries, known := listing(endpoint)
	if !known {
		return s.refuse(r, errUnknownInstance.because(nil,
			"the client was configured with an authority at %s, which is no login host of any cloud; use one of the cloud's own, or switch instance discovery off in the client", endpoint.Host))
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(endpoint.Path, "/"), "/")
	answer := discovery{TenantDiscoveryEndpoint: "https://" + endpoint.Host + "/" + tenant + "/v2.0/.well-known/openid-configuration", APIVersion: "1.1", Metadata: entries}
	if query.Get("api-version") == "1.0" {
		answer.APIVersion, answer.Metadata = "1.0", nil
		answer.TenantDiscoveryEndpoint = "https://" + endpoint.Host + "/" + tenant + "/.well-known/openid-configuration"
	}
	return s.publish(r, answer)
}

// listing returns the metadata for an authority. Entra knows its own hosts
// alone. An authority on a loopback address is added to them here: it is how a
// client is pointed at an emulator by configuration.
func listing(endpoint *url.URL) ([]instance, bool) {
	all := instances()
	host := strings.ToLower(endpoint.Host)
	if edge.Loopback(endpoint.Hostname()) {
		return append(all, instance{host, host, []string{host}}), true
	}
	return all, slices.ContainsFunc(all, func(i instance) bool { return slices.Contains(i.Aliases, strings.TrimSuffix(host, ":443")) })
}
