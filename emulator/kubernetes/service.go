// Package kubernetes emulates as much of an AKS cluster as Microsoft Entra
// Workload ID for Kubernetes is made of: the API of the cluster that issues
// service account tokens to kubelet, what the webhook injects into pods, and the
// token proxy of identity bindings. It writes no file and starts nothing; who
// plays kubelet does, with [Service.TokenRequest] and [Due].
//
// Sources that comments and tables name in short: k8s is Kubernetes'
// documentation, page "Managing Service Accounts"; webhook is
// Azure/azure-workload-identity pkg/webhook; bindings are Microsoft's pages
// "Identity bindings concepts" and "Set up identity bindings" of AKS.
package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// An Issuer is the signing part of an OpenID Connect issuer. Sign must allow
// calls from several goroutines.
type Issuer struct {
	URL  string // exactly as in the iss claim
	Sign func(claims map[string]any) (string, error)
	Keys token.KeySource // that verify what Sign signs
}

// Config is what a Service needs. All fields must be set.
type Config struct {
	Seed     string // identifiers are derived from it
	Audience string // of the exchange in this national cloud
	// AuthorityHost is the authority without a tenant, with a slash at its end.
	AuthorityHost string
	// Forward carries a request of the token proxy to the token service.
	Forward Forwarder
}

// A Service is the API servers of all clusters of a cloud. Its methods may be
// called from several goroutines.
type Service struct {
	Config
	routes []edge.Route
	table  *edge.Table

	mu     sync.RWMutex
	pods   map[string]*Pod // by host
	issued map[string]Issued
}

var _ edge.Service = (*Service)(nil)

// New returns a Service without pods.
func New(c Config) *Service {
	s := &Service{Config: c}
	s.routes = []edge.Route{
		{Op: "kubernetes.token-request", Method: "POST", Path: "/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", Do: s.createToken, Fidelity: edge.Faithful, Source: "Kubernetes: API reference, TokenRequest; Managing Service Accounts"},
		{Op: "kubernetes.unknown", Do: s.unknown, Fidelity: edge.Approximate, Source: "not an emulated endpoint"},
	}
	s.table = edge.NewTable(false, s.routes)
	s.Reset()
	return s
}

// Reset forgets all pods.
func (s *Service) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods, s.issued = map[string]*Pod{}, map[string]Issued{}
}

// Hosts returns the host names of the API servers.
func (s *Service) Hosts() []string {
	return s.each(func(p *Pod) string { return s.apiServer(p.Issuer.URL) })
}

// Knows reports whether an API server has a host name.
func (s *Service) Knows(hostname string) bool { return slices.Contains(s.Hosts(), hostname) }

// each returns what of says of the pods, without repetition.
func (s *Service) each(of func(*Pod) string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for _, p := range s.pods {
		if name := of(p); name != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// apiServer returns the host name of a cluster, by its issuer.
func (s *Service) apiServer(issuer string) string {
	return "fakeentra-dns-" + s.clusterID(issuer)[:8] + ".hcp.eastus.azmk8s.io"
}

// serverName returns the name by which the API server of a cluster knows that
// it is called as a token proxy.
func (s *Service) serverName(issuer string) string {
	return strings.ReplaceAll(s.clusterID(issuer), "-", "") + ".ests.aks"
}

func (s *Service) clusterID(issuer string) string {
	return ident.GUID(s.Seed, "kubernetes", "cluster", issuer)
}

// Routes returns the operations of the service.
func (s *Service) Routes() []edge.Route { return s.routes }

// Resolve finds the operation that a request asks for.
func (s *Service) Resolve(r *edge.Request) *edge.Route {
	if route, vars, _ := s.table.Match(r.Method, r.URL); route != nil {
		r.Vars = vars
		return route
	}
	return &s.routes[1]
}

// unknown answers what fits no operation. A real API server asks who is there
// before it looks at the path.
func (s *Service) unknown(r *edge.Request) edge.Response {
	if no := s.authorized(r); no != nil {
		return refuse(r, no)
	}
	if _, _, wrongMethod := s.table.Match(r.Method, r.URL); wrongMethod {
		return refuse(r, because("method", "%s is not a method of %s", r.Method, r.URL.Path))
	}
	return refuse(r, because("not-found", "fakeentra emulates no more of a cluster than TokenRequest, and there is nothing at %s", r.URL.Path))
}

// authorized refuses requests of everybody but kubelet: the tokens in pods are
// for Entra, and an API server accepts those for itself only.
func (s *Service) authorized(r *edge.Request) *refusal {
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && got == s.nodeToken() {
		return nil
	}
	return because("unauthorized", "the API server was asked by somebody else than kubelet; a token of a pod is for Entra, and one for the token proxy needs its server name in the TLS handshake (AZURE_KUBERNETES_SNI_NAME)")
}

// nodeToken is what kubelet authenticates with. A real one has a certificate.
func (s *Service) nodeToken() string { return ident.GUID(s.Seed, "kubernetes", "node token") }

// Subject returns the sub claim of the tokens of a service account.
func Subject(namespace, name string) string {
	return "system:serviceaccount:" + namespace + ":" + name
}

// SplitServiceAccount reads namespace/name.
func SplitServiceAccount(s string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(s, "/")
	if !ok || !label(namespace) || !subdomain(name) {
		return "", "", fmt.Errorf("%q is not a service account; expected namespace/name, in lower-case letters, digits and hyphens", s)
	}
	return namespace, name, nil
}

// subdomain reports whether s can name a service account (RFC 1123 subdomain),
// and label whether it can name a namespace (RFC 1123 label).
func subdomain(s string) bool {
	return len(s) <= 253 && !slices.ContainsFunc(strings.Split(s, "."), func(part string) bool { return !label(part) })
}

func label(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}
