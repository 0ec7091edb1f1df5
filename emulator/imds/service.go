// Package imds emulates the endpoints that hand out tokens of managed
// identities. Which one answers depends on the host that asks: a virtual
// machine has the Instance Metadata Service at 169.254.169.254, other places an
// endpoint on their loopback interface that environment variables name.
//
// Sources that comments and tables name in short: vm-token is Microsoft's page
// "How to use managed identities for Azure resources on an Azure VM to acquire
// an access token"; imds is the page "Azure Instance Metadata Service"; swagger
// is Azure/azure-rest-api-specs specification/imds 2023-07-01.
package imds

import (
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// An Issuer mints the tokens that managed identity endpoints hand out; the
// token service implements it. It must allow calls from several goroutines, and
// must not call back into the [Service].
//
// It fails with a [Refusal] where the token service refuses. Any other error
// reaches the client as an internal error of the endpoint.
type Issuer interface {
	IssueManagedIdentityToken(ManagedIdentityRequest) (Grant, error)
}

// A ManagedIdentityRequest asks for a token of a managed identity.
type ManagedIdentityRequest struct {
	Now            time.Time
	RequestID      string // identifies the request for which the token is minted
	Identity       directory.ManagedIdentity
	Resource       string               // as the client wrote it
	HostResourceID directory.ResourceID // the Azure resource the token is handed to
}

// A Grant is a minted token. The endpoints claim that it is valid from 300
// seconds before Issued on, as all recorded answers of IMDS do.
type Grant struct {
	Token           string
	Issued, Expires time.Time
}

// A Refusal is an error of an [Issuer] that is passed on to the client as it
// is, in the way IMDS passes on AADSTS500011.
type Refusal interface {
	error
	Status() int  // of the HTTP answer
	Body() []byte // JSON
	Code() string // such as "AADSTS500011"
	Why() string  // one sentence for the journal; never sent
}

// A Service answers the managed identity requests of all hosts of a cloud. Its
// methods may be called from several goroutines.
type Service struct {
	directory *directory.Directory
	issuer    Issuer
	seed      string
	authority Authority
	tables    map[Source]*edge.Table // the sources that answer at all
	routes    []edge.Route
	fallback  edge.Route
	tokens    tokenCache
	calendar  calendar
	limiter   limiter

	keys       KeyFolder
	challenges challenges

	mu       sync.RWMutex
	hosts    map[string]Host
	assigned map[string][]directory.ClientID // by host, in the order of assignment
}

var _ edge.Service = (*Service)(nil)

// A Config says what a [Service] relies on. Directory, Issuer and Authority must
// be set.
type Config struct {
	Directory *directory.Directory // identities are looked up in it at every request
	Issuer    Issuer               // mints their tokens
	Authority Authority            // signs what virtual machines attest
	Seed      string               // secrets of hosts are derived from it
	Keys      KeyFolder            // of Azure Arc; nil for none
}

// New returns a Service without hosts.
func New(c Config) *Service {
	s := &Service{directory: c.Directory, issuer: c.Issuer, seed: c.Seed, authority: c.Authority}
	if s.keys = c.Keys; s.keys == nil {
		s.keys = noFolder{}
	}
	s.tables = map[Source]*edge.Table{}
	for _, e := range []struct {
		routes  []edge.Route
		sources []Source
	}{
		{s.vmRoutes(), []Source{IMDS}}, {s.appServiceRoutes(), []Source{AppService, Functions}}, {s.containerAppsRoutes(), []Source{ContainerApps}},
		{s.arcRoutes(), []Source{Arc}}, {s.serviceFabricRoutes(), []Source{ServiceFabric}}, {s.cloudShellRoutes(), []Source{CloudShell}}, {s.azureMLRoutes(), []Source{AzureML}},
	} {
		s.routes = append(s.routes, e.routes...)
		for _, source := range e.sources {
			s.tables[source] = edge.NewTable(true, e.routes)
		}
	}
	s.fallback = edge.Route{Op: "imds.unknown", Do: s.unknown, Fidelity: edge.Approximate, Source: "Microsoft: Azure Instance Metadata Service, Errors and debugging; IMDS swagger 2023-07-01 for the form of the body"}
	s.routes = append(s.routes, s.fallback)
	s.Reset()
	return s
}

// Routes returns the operations of all sources.
func (s *Service) Routes() []edge.Route { return s.routes }

// Resolve finds the operation that a request asks for at its host's source.
func (s *Service) Resolve(r *edge.Request) *edge.Route {
	if table := s.tableOf(r); table != nil {
		if route, vars, _ := table.Match(r.Method, r.URL); route != nil {
			r.Vars = vars
			return s.limited(r, route)
		}
	}
	return &s.fallback
}

// metadataHost is where the Instance Metadata Service answers. Everything else
// that leads here is the address of the host's own endpoint, whatever it is.
const metadataHost = "169.254.169.254"

// tableOf returns nil when nothing answers at the calling host.
func (s *Service) tableOf(r *edge.Request) *edge.Table {
	host, _ := s.Host(r.Caller.Host)
	if r.URL.Hostname() != metadataHost {
		return s.tables[host.Source]
	}
	if host.Source.HasMetadata() {
		return s.tables[IMDS]
	}
	return nil
}

// unknown answers what fits no operation.
func (s *Service) unknown(r *edge.Request) edge.Response {
	table, prefix := s.tableOf(r), s.calledPlace(r).prefix
	if table == nil {
		return s.withoutSource(r)
	}
	do := func(r *edge.Request) (edge.Response, *refusal) {
		if _, _, wrongMethod := table.Match(r.Method, r.URL); wrongMethod {
			return edge.Response{}, because(prefix+"method-not-allowed", "%s is not a method of %s", r.Method, r.URL.Path)
		}
		return edge.Response{}, because(prefix+"not-found", "there is nothing at %s; tokens are at %s", r.URL.Path, s.calledPlace(r).path)
	}
	if prefix == "" {
		return guarded(do)(r)
	}
	return answered(do)(r)
}

// withoutSource answers where nothing hands out tokens: with a closed connection
// on a laptop, and with a refusal when the request comes from no host at all,
// which is a mistake of the test.
func (s *Service) withoutSource(r *edge.Request) edge.Response {
	name := r.Caller.Host
	host, known := s.Host(name)
	if !known {
		return refuse(r, because("no-source", "the request comes from the host %q, which does not exist; add the host, or send the request through the door of one", name))
	}
	hint := "give it the source imds"
	if host.Source.Origin() != "" {
		hint = "its endpoint is where its environment variables say"
	}
	r.Explain("no-source", "the host "+name+" has the source "+string(host.Source)+", so nothing answers at "+r.URL.Host+"; "+hint)
	return edge.Response{Closed: true}
}
