package fakeentra

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/imds"
	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// A Source is the way a host hands out managed identity tokens.
type Source = imds.Source

// The sources.
const (
	IMDS          = imds.IMDS          // a virtual machine with 169.254.169.254
	AppService    = imds.AppService    // a web app
	Functions     = imds.Functions     // a function app
	ContainerApps = imds.ContainerApps // a container app
	Arc           = imds.Arc           // a machine elsewhere with the agent of Azure Arc
	ServiceFabric = imds.ServiceFabric // an application in a Service Fabric cluster
	CloudShell    = imds.CloudShell    // a session of Cloud Shell
	AzureML       = imds.AzureML       // a compute of Azure Machine Learning

	AKS            = imds.AKS            // a pod with workload identity
	GitHub         = imds.GitHub         // a runner of GitHub Actions
	AzurePipelines = imds.AzurePipelines // an agent of Azure Pipelines
	NoSource       = imds.NoSource       // a laptop: 169.254.169.254 does not answer
)

// A Host is an Azure compute resource, or a laptop, on which the code under test
// pretends to run.
type Host struct {
	cloud *Cloud
	name  string
}

// A HostOption makes a host differ from what is usual at its source.
type HostOption func(*imds.Host)

// WithWindows makes a host run Windows. The older protocol of App Service writes
// dates in another way there.
func WithWindows() HostOption { return func(h *imds.Host) { h.Machine.OS = "Windows" } }

// WithOlderAgent makes the agent of Azure Arc one of before 2026, which hands out
// the token of the system-assigned identity, whichever is asked for.
func WithOlderAgent() HostOption { return func(h *imds.Host) { h.IgnoresSelectors = true } }

// AddHost adds a place where code can run.
func (c *Cloud) AddHost(name string, s Source, opts ...HostOption) *Host {
	h := imds.Host{Name: name, Source: s, ResourceID: scenario.HostResourceID(string(s), c.seed, "", name), Environment: c.environment}
	for _, change := range opts {
		change(&h)
	}
	must(c.addHost(h))
	return &Host{c, name}
}

func (c *Cloud) addHost(h imds.Host) error {
	if err := c.imds.AddHost(h); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts = append(c.hosts, h.Name)
	return nil
}

// Host returns the host that was added under name. It panics if there is none.
func (c *Cloud) Host(name string) *Host {
	must(c.checkHost(name))
	return &Host{c, name}
}

// Hosts returns the names of all hosts in the order they were added.
func (c *Cloud) Hosts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.hosts)
}

func (c *Cloud) checkHost(name string) error {
	if _, ok := c.imds.Host(name); !ok {
		return fmt.Errorf("there is no host %q; there are: %s", name, strings.Join(c.Hosts(), ", "))
	}
	return nil
}

// Name returns the name of the host.
func (h *Host) Name() string { return h.name }

// Assign attaches managed identities to the host. It panics when an identity
// belongs to another tenant, or is system-assigned and taken.
func (h *Host) Assign(ms ...*ManagedIdentity) *Host {
	for _, m := range ms {
		must(h.cloud.imds.Assign(h.name, m.ClientID))
	}
	return h
}

// Client returns an HTTP client that behaves as if it ran on h. It opens no
// socket and speaks no TLS. Give it to an SDK as its transport: both MSAL Go
// and the Azure SDK for Go take one.
func (h *Host) Client() *http.Client {
	return &http.Client{Transport: &door.Transport{
		Router: h.cloud.line.front, Host: h.name, NoMetadata: !h.Source().HasMetadata(), Endpoint: h.Endpoint(), Passthrough: h.cloud.passesThrough,
	}}
}

// Source returns the way the host hands out managed identity tokens.
func (h *Host) Source() Source {
	host, _ := h.cloud.imds.Host(h.name)
	return host.Source
}

func (c *Cloud) passesThrough(hostname string) bool { return slices.Contains(c.passthrough, hostname) }
