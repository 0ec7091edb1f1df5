// Package scenario reads scenario files: strict, versioned YAML that describes
// a cloud. It turns a file into plain data with every identifier resolved and
// every reference checked; building a cloud from it is left to the importer.
//
// The keys of the format are the property names of Microsoft Graph and Azure
// Resource Manager in kebab case. Things are keyed by name, names are unique
// per kind over the whole file, and {name.property} is the only substitution.
package scenario

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/fault"
)

// Version is the version of the format, the value of the first key of a file.
const Version = 1

// A Scenario is what a file describes. Slices keep the order of the file; Line
// is where the thing's name stands in it. A Scenario is data: it may be read
// from several goroutines.
type Scenario struct {
	Name            string    // of the file, as given to [Parse]
	Cloud           string    // public, usgov or china; see [environment.Named]
	Clock           time.Time // what the clock shows at the start; zero means the host's time
	Seed            string    // what identifiers are derived from
	Era             string    // generation of refusals: 2022, 2023 or 2025
	TokenLifetimes  TokenLifetimes
	Tenants         []Tenant
	Issuers         []Issuer
	Hosts           []Host
	StorageAccounts []StorageAccount
	Faults          []Fault

	lines map[string]int // of everything in the file, by path
}

// Environment returns the national cloud of the scenario.
func (s *Scenario) Environment() environment.Environment {
	e, _ := environment.Named(s.Cloud)
	return e
}

// TokenLifetimes say how long access tokens are valid.
type TokenLifetimes struct {
	ManagedIdentity time.Duration // of tokens that hosts hand out
	Application     time.Duration // of tokens that the token service issues
}

// A Tenant is an Entra tenant and what is registered in it.
type Tenant struct {
	Name              string // its key in the file
	Line              int
	ID                directory.TenantID
	DisplayName       string
	Domains           []string
	Policies          directory.Policies
	ManagedIdentities []ManagedIdentity
	Applications      []Application
	ServicePrincipals []ServicePrincipal // of applications of other tenants
}

// A ManagedIdentity is a managed identity of the tenant it is listed in.
type ManagedIdentity struct {
	Name        string
	Line        int
	ClientID    directory.ClientID
	PrincipalID directory.ObjectID
	ResourceID  directory.ResourceID
	Kind        directory.ManagedIdentityKind
	Federated   []FederatedIdentityCredential
}

// An Application is an application registered in the tenant it is listed in.
type Application struct {
	Name             string
	Line             int
	ClientID         directory.ClientID
	ObjectID         directory.ObjectID // of the application, not of its service principal
	MultiTenant      bool
	Public           bool
	Secrets          []directory.ClientSecret
	Certificates     []*x509.Certificate
	IdentifierURIs   []string
	TokenVersion     int  // requestedAccessTokenVersion: 1 or 2
	AssignmentNeeded bool // appRoleAssignmentRequired
	// ServicePrincipal is the application's own in its home tenant; nil if the
	// file says that there is none.
	ServicePrincipal *ServicePrincipal
	Federated        []FederatedIdentityCredential
}

// A ServicePrincipal is the presence of an application in a tenant.
type ServicePrincipal struct {
	Application string // its name in the file
	Line        int
	ClientID    directory.ClientID
	PrincipalID directory.ObjectID
	Disabled    bool
	Blocked     bool                            // by Conditional Access
	AppRoles    map[directory.ClientID][]string // by resource
}

// A FederatedIdentityCredential is a federated identity credential with its
// substitutions made and the short form "trusts" written out.
type FederatedIdentityCredential struct {
	Name                     string
	Line                     int
	Issuer                   string
	Subject                  string
	Audiences                []string
	ClaimsMatchingExpression string
	Description              string
	// VisibleAfter is how long after the start the token service learns of the
	// credential.
	VisibleAfter time.Duration
}

// Directory returns the credential as the directory keeps it, in a cloud that
// starts at start.
func (c FederatedIdentityCredential) Directory(start time.Time) directory.FederatedIdentityCredential {
	d := directory.FederatedIdentityCredential{
		Name: c.Name, Issuer: c.Issuer, Subject: c.Subject, Audiences: c.Audiences,
		ClaimsMatchingExpression: c.ClaimsMatchingExpression,
	}
	if c.VisibleAfter > 0 {
		d.VisibleFrom = start.Add(c.VisibleAfter)
	}
	return d
}

// An Issuer is an OpenID Connect issuer outside Entra.
type Issuer struct {
	Name string
	Line int
	URL  string // the iss claim, letter by letter
}

// The sources of managed identity tokens that a host can have. Those from
// SourceAKS on hand out none.
const (
	SourceIMDS          = "imds" // a virtual machine with 169.254.169.254
	SourceAppService    = "appservice"
	SourceFunctions     = "functions"
	SourceContainerApps = "containerapps"
	SourceArc           = "arc"
	SourceServiceFabric = "servicefabric"
	SourceCloudShell    = "cloudshell"
	SourceAzureML       = "azureml"

	SourceAKS            = "aks"
	SourceGitHub         = "github"
	SourceAzurePipelines = "azurepipelines"
	SourceNone           = "none" // a laptop: 169.254.169.254 does not answer
)

// HandsOut reports whether a source has an endpoint for tokens of managed
// identities.
func HandsOut(source string) bool {
	return !slices.Contains([]string{SourceAKS, SourceGitHub, SourceAzurePipelines, SourceNone}, source)
}

// A Host is a place where code runs.
type Host struct {
	Name       string
	Line       int
	Source     string
	Tenant     string // name; that of its first identity unless spelled, and empty if nothing tells
	ResourceID directory.ResourceID
	Identities []string // names of managed identities
	OS         string   // of App Service: Linux, Windows or empty
	OlderAgent bool     // of Azure Arc: ignores selectors
	Machine    Machine
	Events     []ScheduledEvent
	Workload   Workload
}

// A Machine is what instance metadata tells of a host; what the file does not
// say is empty.
type Machine struct {
	Location, Size, OS, Zone string
	Tags                     []Tag
	UserData                 string // base64
	PublicIP                 string
	RateLimits, IMDSv2       bool
}

// A Tag is a tag of a virtual machine.
type Tag struct{ Name, Value string }

// A ScheduledEvent is maintenance that a virtual machine is told of.
type ScheduledEvent struct {
	Type        string
	In          time.Duration // after the start; zero for the least notice of its type
	Description string
	Source      string // Platform, User or empty
	Seconds     int    // of the interruption; -1 unless spelled
}

// A StorageAccount is an account of the Blob service.
type StorageAccount struct {
	Name                  string
	Line                  int
	Tenant                string // name of the tenant whose tokens it accepts
	ResourceID            directory.ResourceID
	AllowBlobPublicAccess bool
	Containers            []Container
	Roles                 []RoleAssignment
}

// A Container is a container of blobs.
type Container struct {
	Name  string
	Line  int
	Blobs []Blob
}

// A Blob is a block blob.
type Blob struct {
	Name        string
	Line        int
	Content     []byte
	ContentType string // empty unless spelled
}

// A RoleAssignment gives an application or a managed identity a role on an
// account or on one of its containers.
type RoleAssignment struct {
	Principal   string // name of an application or a managed identity
	Line        int
	PrincipalID directory.ObjectID // in the tenant of the account
	Role        directory.Role
	Container   string // empty for the whole account
	Scope       directory.ResourceID
}

// A Fault is a rule of what to break.
type Fault struct {
	Line int
	fault.Rule
}
