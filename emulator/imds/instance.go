package imds

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// computeMetadata is the part of instance metadata that token clients read:
// MSAL looks for its region, the Azure MCP server for the environment. All
// values of IMDS are strings, and those that do not apply are empty.
type computeMetadata struct {
	Environment    string `json:"azEnvironment"`
	Location       string `json:"location"`
	Name           string `json:"name"`
	Provider       string `json:"provider"`
	ResourceGroup  string `json:"resourceGroupName"`
	ResourceID     string `json:"resourceId"`
	SubscriptionID string `json:"subscriptionId"`
	VMID           string `json:"vmId"`
}

// azEnvironments are the values of azEnvironment (imds), and a region that each
// of the clouds has.
var azEnvironments = map[string]struct{ name, location string }{
	environment.Public.Name:       {"AzurePublicCloud", "westeurope"},
	environment.USGovernment.Name: {"AzureUSGovernmentCloud", "usgovvirginia"},
	environment.China.Name:        {"AzureChinaCloud", "chinaeast2"},
}

// metadata describes the host. vmId is derived from the resource ID, so that
// it is the same in every run.
func (h Host) metadata() computeMetadata {
	env := azEnvironments[cmp.Or(h.Environment.Name, environment.Public.Name)]
	return computeMetadata{
		Environment: env.name, Location: env.location, Name: h.Name, Provider: "Microsoft.Compute",
		ResourceGroup:  segmentAfter(string(h.ResourceID), "resourceGroups"),
		ResourceID:     string(h.ResourceID),
		SubscriptionID: segmentAfter(string(h.ResourceID), "subscriptions"),
		VMID:           ident.GUID("vmId", strings.ToLower(string(h.ResourceID)), h.Name),
	}
}

// segmentAfter returns the segment of a resource ID that follows the one called
// name, or "".
func segmentAfter(id, name string) string {
	segments := strings.Split(id, "/")
	for i, s := range segments[:len(segments)-1] {
		if strings.EqualFold(s, name) {
			return segments[i+1]
		}
	}
	return ""
}

// compute answers with the compute part alone. format=text, which IMDS has for
// single values, is not emulated.
func (s *Service) compute(r *edge.Request) (edge.Response, *refusal) {
	return s.describe(r, func(c computeMetadata) any { return c })
}

// instance answers with all that is emulated of instance metadata.
func (s *Service) instance(r *edge.Request) (edge.Response, *refusal) {
	return s.describe(r, func(c computeMetadata) any {
		return struct {
			Compute computeMetadata `json:"compute"`
			Network json.RawMessage `json:"network"`
		}{c, json.RawMessage(`{"interface":[]}`)}
	})
}

func (s *Service) describe(r *edge.Request, shape func(computeMetadata) any) (edge.Response, *refusal) {
	query, no := parameters(r)
	if no != nil {
		return edge.Response{}, no
	}
	if no := checkVersion(query, instanceSince); no != nil {
		return edge.Response{}, no
	}
	host, _ := s.Host(r.Caller.Host)
	return answerJSON(r, edge.JSON(http.StatusOK, shape(host.metadata())).Body), nil
}
