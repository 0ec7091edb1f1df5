package control

import (
	"net/http"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// An Info says what a cloud is made of, so that a test needs to spell nothing
// that a scenario derives. It holds no secret. Things refer to each other by
// name. Lists that are empty are left out of the JSON.
type Info struct {
	Version           string            `json:"version"`            // of fakeentra
	Scenario          string            `json:"scenario,omitempty"` // name of its file; empty if built in Go
	Environment       string            `json:"environment"`        // public, usgov or china
	Tenants           []Tenant          `json:"tenants,omitempty"`
	Applications      []Application     `json:"applications,omitempty"`
	ManagedIdentities []ManagedIdentity `json:"managedIdentities,omitempty"`
	Issuers           []Issuer          `json:"issuers,omitempty"`
	Hosts             []Host            `json:"hosts,omitempty"`
	StorageAccounts   []StorageAccount  `json:"storageAccounts,omitempty"`
	// Doors are the ways in, by kind, such as proxy, tls, imds and control.
	Doors map[string]string `json:"doors,omitempty"`
	// Host is the name of the host that clients of the doors seem to run on.
	Host string `json:"host,omitempty"`
	// Names are the host names that the cloud answers for, without the regional
	// ones of the token service, which are too many.
	Names []string `json:"names,omitempty"`
	// Requests is the number of the newest entry of the journal, which may still
	// be open.
	Requests int `json:"requests"`
}

// A Tenant is an Entra tenant.
type Tenant struct {
	Name    string             `json:"name"`
	ID      directory.TenantID `json:"id"`
	Domains []string           `json:"domains,omitempty"`
}

// An Application is an application registration.
type Application struct {
	Name              string             `json:"name"`
	Tenant            string             `json:"tenant"` // the one it is registered in
	ClientID          directory.ClientID `json:"clientId"`
	ObjectID          directory.ObjectID `json:"objectId,omitempty"` // of the application itself
	ServicePrincipals []ServicePrincipal `json:"servicePrincipals,omitempty"`
}

// A ServicePrincipal is the presence of an application in a tenant.
type ServicePrincipal struct {
	Tenant      string             `json:"tenant"`
	PrincipalID directory.ObjectID `json:"principalId"`
}

// A ManagedIdentity is a managed identity.
type ManagedIdentity struct {
	Name        string               `json:"name"`
	Tenant      string               `json:"tenant"`
	Kind        string               `json:"kind"` // user-assigned or system-assigned
	ClientID    directory.ClientID   `json:"clientId"`
	PrincipalID directory.ObjectID   `json:"principalId"`
	ResourceID  directory.ResourceID `json:"resourceId"`
}

// An Issuer is an OpenID Connect issuer outside Entra.
type Issuer struct {
	Name string `json:"name"`
	URL  string `json:"url"` // the iss claim, letter by letter
}

// A Host is a place where code runs.
type Host struct {
	Name       string               `json:"name"`
	Source     string               `json:"source"` // imds, or none for a laptop
	ResourceID directory.ResourceID `json:"resourceId,omitempty"`
	Identities []string             `json:"identities,omitempty"` // names of managed identities
}

// A StorageAccount is an account of the Blob service.
type StorageAccount struct {
	Name         string               `json:"name"`
	Tenant       string               `json:"tenant"`
	ResourceID   directory.ResourceID `json:"resourceId"`
	BlobEndpoint string               `json:"blobEndpoint"` // URL, as in Azure
	Containers   []string             `json:"containers,omitempty"`
}

// Health is the answer to whether a cloud is up.
type Health struct {
	Status   string `json:"status"` // ok
	Version  string `json:"version"`
	Scenario string `json:"scenario,omitempty"`
}

func getHealth(c *call) (edge.Response, *refusal) {
	info := c.Info()
	return edge.JSON(http.StatusOK, Health{Status: "ok", Version: info.Version, Scenario: info.Scenario}), nil
}

func getInfo(c *call) (edge.Response, *refusal) {
	return edge.JSON(http.StatusOK, c.Info()), nil
}
