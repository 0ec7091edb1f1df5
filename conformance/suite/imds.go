package suite

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// Pages that several checks follow.
const (
	pageVMToken = "https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token"
	pageFIC     = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity"
	pageIMDS    = "https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service"
)

var needsIMDS = []driver.Capability{driver.IMDS}

// imdsChecks are about requests to IMDS.
func imdsChecks() []*Check {
	return []*Check{
		{
			ID: "IMDS-01", Level: Must, Tags: []string{"core"}, Title: "GET of the token path, without a body",
			Requirement: "Tokens are asked for with GET /metadata/identity/oauth2/token and no body. IMDS reads over letter case and further slashes, and so does this check.",
			Sources:     []string{pageVMToken + "#get-a-token-using-http"},
			Provokes:    "Nothing.",
			Passes:      "every request for a token is a GET of that path without a body",
			Needs:       needsIMDS,
			Cases: []Case{{Run: func(s *Session) {
				got := s.Token()
				for _, x := range s.identityRequests() {
					s.Want("method", x.Method == http.MethodGet, "GET", "%s", x.Method)
					s.Want("body", len(x.Body) == 0, "no body", "%d bytes", len(x.Body))
				}
				s.WantToken(got)
			}}},
		},
		{
			ID: "IMDS-02", Level: Must, Tags: []string{"core"}, Title: "the header Metadata: true",
			Requirement: "Requests for tokens carry the header Metadata once, with the value true in lower case. A probe may leave it out, since IMDS gives it no token.",
			Sources:     []string{pageVMToken},
			Provokes:    "Nothing; IMDS refuses requests without the header, as in Azure.",
			Passes:      "every request but for probes has exactly one header Metadata, and it is true",
			Needs:       needsIMDS,
			Cases: []Case{{Run: func(s *Session) {
				got := s.Token()
				asked := 0
				for _, x := range s.Reached(lab.IMDSToken) {
					if values := x.Header.Values("Metadata"); len(values) > 0 {
						s.Want("header", len(values) == 1 && values[0] == "true", "one header Metadata: true", "%q", values)
						asked++
					}
				}
				s.Want("asked", asked > 0, "a request with the header", "%d", asked)
				s.WantToken(got)
			}}},
		},
		{
			ID: "IMDS-03", Level: Must, Tags: []string{"core"}, Title: "api-version of 2018-02-01 or later",
			Requirement: "Requests for tokens name one api-version, which is 2018-02-01 or a later date.",
			Sources:     []string{pageVMToken},
			Provokes:    "Nothing; once for a user-assigned identity and once for the system-assigned one.",
			Passes:      "every request for a token has one parameter api-version, a date from 2018-02-01 on",
			Needs:       needsIMDS,
			Cases: []Case{
				{Name: "user-assigned", Run: apiVersion},
				{Name: "system-assigned", Needs: []driver.Capability{driver.IdentitySystem}, Run: func(s *Session) {
					s.Config.Identity = driver.Identity{Kind: "system"}
					apiVersion(s)
				}},
			},
		},
		{
			ID: "IMDS-04", Level: Must, Tags: []string{"core"}, Title: "the resource is the audience of the token exchange",
			Requirement: "The parameter resource is the audience that the client was configured with, byte for byte: that of the cloud's token exchange.",
			Sources:     []string{pageFIC, "https://github.com/AzureAD/microsoft-identity-web/issues/2796"},
			Provokes:    "Nothing; in the public cloud and two national ones.",
			Passes:      "every request for a token has one parameter resource, which equals the audience after URL decoding",
			Needs:       needsIMDS,
			Known:       []string{"Microsoft.Identity.Web 2.18.0: not met (reported)"},
			Cases: []Case{
				audience(fakeentra.AzurePublic), audience(fakeentra.AzureUSGovernment), audience(fakeentra.AzureChina),
			},
		},
		{
			ID: "IMDS-05", Level: Must, Tags: []string{"core"}, Title: "a resource, no scope",
			Requirement: "IMDS takes a resource. A client that is configured with a scope, as the driver of one has it, takes /.default off, and sends no parameter scope.",
			Sources:     []string{pageVMToken, "https://github.com/apache/arrow-rs/issues/4096", "https://github.com/apache/arrow-rs-object-store/issues/174"},
			Provokes:    "Nothing.",
			Passes:      "no request to IMDS has a parameter scope, or a resource with .default in it",
			Needs:       needsIMDS,
			Cases: []Case{{Run: func(s *Session) {
				got := s.Token()
				for _, x := range s.identityRequests() {
					q := x.Query()
					s.Want("scope", !q.Has("scope"), "no parameter scope", "%q", q["scope"])
					s.Want("suffix", !strings.Contains(q.Get("resource"), ".default"), "a resource without .default", "%q", q["resource"])
				}
				s.WantToken(got)
			}}},
		},
		{
			ID: "IMDS-06", Level: Should, Tags: []string{"core"}, Title: "a slash at the end of the resource is kept",
			Requirement: "The audience of a token is what was asked for to the last character, so a resource that ends in a slash is sent with it.",
			Sources:     []string{"https://github.com/Azure/azure-sdk-for-net/issues/4090", "https://github.com/AzureAD/microsoft-authentication-library-for-js/issues/1735"},
			Provokes:    "The client is configured with the audience https://management.azure.com/, which is the scope https://management.azure.com//.default.",
			Passes:      "every request for a token has a resource that ends in one slash",
			Needs:       needsIMDS,
			Cases: []Case{{Run: func(s *Session) {
				s.Config.Audience = "https://management.azure.com/"
				s.Token()
				for _, x := range s.identityRequests() {
					got := x.Query().Get("resource")
					s.Want("slash", got == s.Config.Audience, s.Config.Audience, "%q", got)
				}
			}}},
		},
		{
			ID: "IMDS-07", Level: Must, Tags: []string{"core"}, Title: "the configured identity is selected",
			Requirement: "A client that is configured with a user-assigned identity names it in exactly one of client_id, object_id and msi_res_id.",
			Sources:     []string{pageVMToken, "https://github.com/hashicorp/packer-plugin-azure/issues/353", "https://github.com/Azure/terraform-provider-azapi/issues/108"},
			Provokes:    "The machine has two user-assigned identities and the system-assigned one, which IMDS takes for a request that selects none.",
			Passes:      "every request for a token has the one right selector, and the assertion in the exchange is of that identity",
			Needs:       needsIMDS,
			Cases: []Case{
				selects("client_id", driver.IdentityClientID, "client_id"),
				selects("object_id", driver.IdentityObjectID, "object_id"),
				selects("resource_id", driver.IdentityResourceID, "msi_res_id", "mi_res_id"),
			},
		},
		{
			ID: "IMDS-08", Level: Must, Tags: []string{"core"}, Title: "no empty selector",
			Requirement: "A client that is configured with no identity sends no selector, not even an empty one.",
			Sources:     []string{pageVMToken, "https://github.com/microsoft/Agents-for-js/issues/1075", "https://github.com/Azure/azure-sdk-for-net/issues/37100"},
			Provokes:    "The client is configured with the system-assigned identity.",
			Passes:      "no request for a token has a parameter that selects an identity, by any of the names that sources use",
			Needs:       []driver.Capability{driver.IMDS, driver.IdentitySystem},
			Cases: []Case{{Run: func(s *Session) {
				s.Config.Identity = driver.Identity{Kind: "system"}
				got := s.Token()
				for _, x := range s.identityRequests() {
					names := selectorsOf(x)
					s.Want("selector", len(names) == 0, "no selector", "%q", names)
				}
				s.WantToken(got)
			}}},
		},
		imdsProxy(), imdsRedirect(), imdsAddress(), imdsSecrets(), imdsHang(), imdsProbe(),
	}
}

// A probe asks whether there is an IMDS. It has no header Metadata, so that no
// token can come of it.
func probe(x *lab.Exchange) bool { return len(x.Header.Values("Metadata")) == 0 }

// requestsForIdentity returns the requests for a token of a managed identity so
// far, at IMDS or at another source, but for probes.
func (s *Session) requestsForIdentity() []*lab.Exchange {
	return slices.DeleteFunc(s.Exchanges(lab.IMDSToken, lab.EndpointToken), func(x *lab.Exchange) bool {
		return x.Op == lab.IMDSToken && probe(x)
	})
}

// identityRequests is requestsForIdentity of a case that is about them.
func (s *Session) identityRequests() []*lab.Exchange {
	seen := s.requestsForIdentity()
	s.Proven(len(seen) > 0, "request for a token of the managed identity")
	return seen
}

// identityFault arms a rule for requests for a token of a managed identity, but
// for probes: it acts on the first times, or on all if that is 0.
func (s *Session) identityFault(times int, do lab.Act) *lab.Rule {
	return s.Arm(&lab.Rule{
		Name: "answer to a request for a token of the managed identity", Ops: []lab.Op{lab.IMDSToken, lab.EndpointToken}, Times: times, Do: do,
		When: func(x *lab.Exchange) bool { return x.Op == lab.EndpointToken || !probe(x) },
	})
}

// exchangeFault arms a rule that acts on the first times requests at the token endpoint.
func (s *Session) exchangeFault(times int, do lab.Act) *lab.Rule {
	return s.Fault(lab.Token, times, do)
}

func apiVersion(s *Session) {
	got := s.Token()
	for _, x := range s.identityRequests() {
		versions := x.Query()["api-version"]
		s.Want("version", len(versions) == 1 && dateFrom(versions[0], "2018-02-01"), "one api-version, of 2018-02-01 or later", "%q", versions)
	}
	s.WantToken(got)
}

// dateFrom reports whether a version is a date that is not before another one.
func dateFrom(version, first string) bool {
	date, err := time.Parse(time.DateOnly, version)
	from, _ := time.Parse(time.DateOnly, first)
	return err == nil && !date.Before(from)
}

func audience(e fakeentra.Environment) Case {
	return Case{
		Name:    cloudNames[e.Name],
		Fixture: func(f *lab.Fixture) { f.Environment = e },
		Run: func(s *Session) {
			got := s.Token()
			for _, x := range s.identityRequests() {
				resources := x.Query()["resource"]
				s.Want("resource", len(resources) == 1 && resources[0] == s.Config.Audience, fmt.Sprintf("one resource, %q", s.Config.Audience), "%q", resources)
			}
			s.WantToken(got)
		},
	}
}

// selectorNames are how sources call the parameters that select an identity.
var selectorNames = []string{"client_id", "clientid", "object_id", "principal_id", "principalId", "msi_res_id", "mi_res_id", "msi-res-id"}

func selectorsOf(x *lab.Exchange) []string {
	q := x.Query()
	return slices.DeleteFunc(slices.Clone(selectorNames), func(name string) bool { return !q.Has(name) })
}

// identityOf names an identity in one of the ways of a configuration.
func identityOf(m *fakeentra.ManagedIdentity, kind string) driver.Identity {
	return driver.Identity{Kind: kind, Value: map[string]string{
		"client_id": string(m.ClientID), "object_id": string(m.ObjectID), "resource_id": string(m.ResourceID),
	}[kind]}
}

// selects is a case in which the second identity is configured. names are the
// parameters that may select it.
func selects(kind string, need driver.Capability, names ...string) Case {
	return Case{Name: kind, Needs: []driver.Capability{need}, Run: func(s *Session) { s.wantSelection(kind, names...) }}
}

// wantSelection expects a client to get the token of the identity that it is
// configured with.
func (s *Session) wantSelection(kind string, names ...string) {
	s.Config.Identity = identityOf(s.Second, kind)
	got := s.Token()
	for _, x := range s.identityRequests() {
		sent := selectorsOf(x)
		right := len(sent) == 1 && slices.Contains(names, sent[0]) && strings.EqualFold(x.Query().Get(sent[0]), s.Config.Identity.Value)
		s.Want("selector", right, fmt.Sprintf("%s=%s and no other selector", strings.Join(names, " or "), s.Config.Identity.Value), "%q", x.URL.RawQuery)
	}
	for _, x := range s.Reached(lab.Token) {
		subject := lab.Claim(x.Form().Get("client_assertion"), "sub")
		s.Want("subject", subject == string(s.Second.ObjectID), "an assertion of the identity "+string(s.Second.ObjectID), "%q", subject)
	}
	s.WantToken(got)
}
