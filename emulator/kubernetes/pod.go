package kubernetes

import (
	"fmt"

	"github.com/fakeentra/fakeentra/internal/ident"
)

// A Pod is a pod whose service account has the annotations of workload identity.
// Host, Issuer, TenantID and ClientID must be set.
type Pod struct {
	Host   string // the emulated host that stands for it
	Issuer Issuer // of the cluster
	// Namespace and ServiceAccount are default and default if empty, the service
	// account of a pod that names none.
	Namespace, ServiceAccount string
	TenantID, ClientID        string // the annotations azure.workload.identity/tenant-id and client-id
	// Binding is the issuer that AKS maintains for the managed identity where
	// there is an identity binding. Its zero value means none.
	Binding Issuer

	rotations int // how many tokens kubelet got so far
}

// bindingAudience is what service account tokens are for where an identity
// binding is used (bindings).
const bindingAudience = "api://AKSIdentityBinding"

// AddPod adds a pod. It fails when its host is one already, and when it lacks
// something.
func (s *Service) AddPod(p Pod) error {
	if p.Namespace == "" && p.ServiceAccount == "" {
		p.Namespace, p.ServiceAccount = "default", "default"
	}
	if _, _, err := SplitServiceAccount(p.Namespace + "/" + p.ServiceAccount); err != nil {
		return fmt.Errorf("host %q: %w", p.Host, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, taken := s.pods[p.Host]; {
	case p.Host == "" || taken:
		return fmt.Errorf("host %q: the name is empty, or the host is a pod already", p.Host)
	case p.Issuer.URL == "" || p.Issuer.Sign == nil || p.Issuer.Keys == nil:
		return fmt.Errorf("host %q: there is no issuer to sign its service account tokens", p.Host)
	}
	s.pods[p.Host] = &p
	return nil
}

// Pod returns the pod that a host stands for.
func (s *Service) Pod(host string) (Pod, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p := s.pods[host]; p != nil {
		return *p, true
	}
	return Pod{}, false
}

// Subject returns the sub claim of the pod's tokens.
func (p Pod) Subject() string { return Subject(p.Namespace, p.ServiceAccount) }

// Bound reports whether the pod uses an identity binding.
func (p Pod) Bound() bool { return p.Binding.URL != "" }

func (s *Service) audience(p Pod) string {
	if p.Bound() {
		return bindingAudience
	}
	return s.Audience
}

// uid returns the identifier of an object in a cluster.
func (s *Service) uid(p Pod, kind, name string) string {
	return ident.GUID(s.Seed, "kubernetes", p.Issuer.URL, kind, p.Namespace, name)
}

// Where the webhook mounts what it injects (webhook; for the second one, the
// variables of pods with identity bindings).
const (
	TokenFile = "/var/run/secrets/azure/wi/token/azure-identity-token"
	CAFile    = "/var/run/secrets/azure/wi/ca-cert/ca.crt"
)

// An Injection says where a program in a pod finds what the webhook injects.
type Injection struct {
	TokenFile string
	CAFile    string // of the token proxy
	Proxy     string // https URL of the token proxy; that of the API server if empty
}

// Variables returns the variables that the webhook injects into a pod, in the
// form of [os.Environ], or nothing for a host that is none.
func (s *Service) Variables(host string, at Injection) []string {
	p, ok := s.Pod(host)
	if !ok {
		return nil
	}
	out := []string{"AZURE_CLIENT_ID=" + p.ClientID, "AZURE_TENANT_ID=" + p.TenantID, "AZURE_FEDERATED_TOKEN_FILE=" + at.TokenFile, "AZURE_AUTHORITY_HOST=" + s.AuthorityHost}
	if !p.Bound() {
		return out
	}
	if at.Proxy == "" {
		at.Proxy = "https://" + s.apiServer(p.Issuer.URL)
	}
	return append(out, "AZURE_KUBERNETES_TOKEN_PROXY="+at.Proxy, "AZURE_KUBERNETES_SNI_NAME="+s.serverName(p.Issuer.URL), "AZURE_KUBERNETES_CA_FILE="+at.CAFile)
}
