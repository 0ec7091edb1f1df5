package imds

import (
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// A Source is the way a host hands out managed identity tokens.
type Source string

// The sources that exist. The last four hand out none: code there gets its
// assertions elsewhere, or not at all.
const (
	IMDS          Source = "imds"          // a virtual machine with the Instance Metadata Service
	AppService    Source = "appservice"    // a web app of Azure App Service
	Functions     Source = "functions"     // a function app, which has the endpoint of App Service
	ContainerApps Source = "containerapps" // a container app, likewise
	Arc           Source = "arc"           // a machine elsewhere with the agent of Azure Arc
	ServiceFabric Source = "servicefabric" // an application in a Service Fabric cluster
	CloudShell    Source = "cloudshell"    // a session of Azure Cloud Shell
	AzureML       Source = "azureml"       // a compute of Azure Machine Learning

	AKS            Source = "aks"            // a pod with workload identity
	GitHub         Source = "github"         // a runner of GitHub Actions
	AzurePipelines Source = "azurepipelines" // an agent of Azure Pipelines
	NoSource       Source = "none"           // a laptop: 169.254.169.254 does not answer
)

// A place is what is particular to a source.
type place struct {
	source Source
	// origin is where the endpoint of the real place listens; empty where
	// there is none besides 169.254.169.254.
	origin string
	// metadata says whether 169.254.169.254 answers. Nodes of Service Fabric
	// and Kubernetes are virtual machines, whose IMDS is that of the node and
	// not of what runs on it.
	metadata bool
	path     string // of tokens
	prefix   string // of the names of the endpoint's refusals
}

// places are all sources. The ports are those that SDKs, their tests and
// quoted environments name; Azure promises none of them.
var places = []place{
	{IMDS, "", true, "/metadata/identity/oauth2/token", ""},
	{AppService, "http://127.0.0.1:41741", false, "/msi/token", "appservice-"},
	{Functions, "http://127.0.0.1:41741", false, "/msi/token", "appservice-"},
	{ContainerApps, "http://localhost:42356", false, "/msi/token", "appservice-"},
	{Arc, "http://localhost:40342", false, "/metadata/identity/oauth2/token", "arc-"},
	{ServiceFabric, "https://localhost:2377", true, "/metadata/identity/oauth2/token", "servicefabric-"},
	{CloudShell, "http://localhost:50342", false, "/oauth2/token", "cloudshell-"},
	{AzureML, "http://127.0.0.1:46808", false, "/MSI/auth/", "azureml-"},
	{AKS, "", true, "", ""},
	{GitHub, "", false, "", ""},
	{AzurePipelines, "", false, "", ""},
	{NoSource, "", false, "", ""},
}

// Sources returns all sources, in the order of documentation.
func Sources() []Source {
	out := make([]Source, len(places))
	for i, p := range places {
		out[i] = p.source
	}
	return out
}

func (s Source) place() (place, bool) {
	i := slices.IndexFunc(places, func(p place) bool { return p.source == s })
	if i < 0 {
		return place{}, false
	}
	return places[i], true
}

// Origin returns the scheme and the authority of the endpoint at the real
// place, such as http://localhost:40342. It is empty where the endpoint is
// 169.254.169.254, and where there is none.
func (s Source) Origin() string {
	p, _ := s.place()
	return p.origin
}

// HasMetadata reports whether 169.254.169.254 answers. At Service Fabric and AKS
// it is the service of the node, and has none of the host's identities: which
// ones a node has is another matter.
func (s Source) HasMetadata() bool {
	p, _ := s.place()
	return p.metadata
}

// HandsOut reports whether a host has an endpoint for tokens of managed
// identities, so that identities can be assigned to it.
func (s Source) HandsOut() bool { return s == IMDS || s.Origin() != "" }

// Variables returns the variables, in the form of os.Environ, by which Azure
// tells programs on a host where its managed identity endpoint is. origin is its
// scheme and authority; that of the real place is [Source.Origin]. At Service
// Fabric the thumbprint of the server's certificate comes on top, which only the
// server knows.
func (s *Service) Variables(host, origin string) []string {
	h, _ := s.Host(host)
	p, _ := h.Source.place()
	if p.origin == "" {
		return nil
	}
	origin = strings.TrimSuffix(origin, "/")
	endpoint, secret := origin+p.path, s.secret(h)
	switch h.Source {
	case Arc:
		return []string{"IDENTITY_ENDPOINT=" + endpoint, "IMDS_ENDPOINT=" + origin}
	case ServiceFabric:
		return []string{"IDENTITY_ENDPOINT=" + endpoint, "IDENTITY_HEADER=" + secret, "IDENTITY_API_VERSION=" + serviceFabricVersions[1]}
	case CloudShell:
		return []string{"MSI_ENDPOINT=" + endpoint}
	case AzureML:
		return append([]string{"MSI_ENDPOINT=" + endpoint, "MSI_SECRET=" + secret}, s.defaultIdentity(host)...)
	}
	// The older pair is still set beside the newer one (pull request 7512 of
	// AzureAD/microsoft-authentication-library-for-js).
	return []string{"IDENTITY_ENDPOINT=" + endpoint, "IDENTITY_HEADER=" + secret, "MSI_ENDPOINT=" + endpoint, "MSI_SECRET=" + secret}
}

// secret is what programs on a host send along, which those elsewhere do not
// know: a defence against forged requests. It is empty for sources without.
func (s *Service) secret(h Host) string {
	switch h.Source {
	case AppService, Functions, ContainerApps, ServiceFabric, AzureML:
		return ident.GUID(s.seed, "identity-header", h.Name)
	}
	return ""
}

// defaultIdentity names the user-assigned identity of a compute (Microsoft: Set
// up authentication between Azure Machine Learning and other services).
func (s *Service) defaultIdentity(host string) []string {
	for _, m := range s.Assigned(host) {
		if m.Kind == directory.UserAssigned {
			return []string{"DEFAULT_IDENTITY_CLIENT_ID=" + string(m.ClientID)}
		}
	}
	return nil
}
