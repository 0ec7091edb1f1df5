// Package issuer emulates OpenID Connect issuers outside Entra, such as
// https://token.actions.githubusercontent.com or a Kubernetes cluster: the
// discovery document and the key set that the token service fetches when an
// application trusts one of them.
package issuer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// An Issuer is an OpenID Connect issuer that an application can trust. Its
// methods may be called from several goroutines.
type Issuer struct {
	Name string
	URL  string // exactly as in the iss claim
	Ring *token.Ring
}

// Sign returns a token with exactly these claims, signed by the issuer. It does
// not check that they make sense.
func (i *Issuer) Sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("issuer %s: claims: %w", i.Name, err)
	}
	return i.Ring.Sign(payload, 2)
}

// A Service answers for all issuers of a cloud. Its methods may be called from
// several goroutines.
type Service struct {
	mu      sync.RWMutex
	issuers []*Issuer
	routes  []edge.Route
}

// New returns a Service without issuers.
func New() *Service {
	s := &Service{}
	s.routes = []edge.Route{
		{Op: "issuer.openid-configuration", Method: "GET", Path: "{issuer}/.well-known/openid-configuration", Do: s.configuration, Fidelity: edge.Faithful, Source: "OpenID Connect Discovery 1.0 section 4"},
		{Op: "issuer.keys", Method: "GET", Path: "{issuer}/.well-known/jwks", Do: s.keys, Fidelity: edge.Faithful, Source: "RFC 7517"},
		{Op: "issuer.unknown", Do: s.unknown, Fidelity: edge.Approximate, Source: "not an emulated endpoint"},
	}
	return s
}

// Add adds an issuer. Its URL has to be https and cannot have a query or a
// fragment (OpenID Connect Discovery 1.0 section 3).
func (s *Service) Add(i *Issuer) error {
	u, err := url.Parse(i.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("issuer %s: %q is not an issuer; expected an https URL without query and fragment", i.Name, i.URL)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.issuers {
		if strings.TrimSuffix(other.URL, "/") == strings.TrimSuffix(i.URL, "/") {
			return fmt.Errorf("issuer %s: %s has the URL %s already", i.Name, other.Name, other.URL)
		}
	}
	s.issuers = append(s.issuers, i)
	return nil
}

// Reset forgets all issuers.
func (s *Service) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuers = nil
}

// Issuers returns all issuers in the order they were added.
func (s *Service) Issuers() []*Issuer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.issuers)
}

// Knows reports whether an issuer lives on a host.
func (s *Service) Knows(hostname string) bool {
	return slices.ContainsFunc(s.Issuers(), func(i *Issuer) bool { return i.hostname() == hostname })
}

// Hosts returns the hosts that issuers live on.
func (s *Service) Hosts() []string {
	var hosts []string
	for _, i := range s.Issuers() {
		hosts = append(hosts, i.hostname())
	}
	return hosts
}

func (i *Issuer) hostname() string {
	u, err := url.Parse(i.URL)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// Routes returns the operations of the service.
func (s *Service) Routes() []edge.Route { return s.routes }

// Resolve finds the operation that a request asks for. Issuers may have a path,
// as those of Kubernetes have.
func (s *Service) Resolve(r *edge.Request) *edge.Route {
	for n, suffix := range []string{"/.well-known/openid-configuration", "/.well-known/jwks"} {
		prefix, ok := strings.CutSuffix(r.URL.Path, suffix)
		if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
			continue
		}
		if i := s.at(r.URL.Hostname(), prefix); i != nil {
			r.Vars = edge.Vars{"issuer": i.URL}
			return &s.routes[n]
		}
	}
	return &s.routes[2]
}

func (s *Service) at(hostname, path string) *Issuer {
	for _, i := range s.Issuers() {
		u, err := url.Parse(i.URL)
		if err == nil && strings.EqualFold(u.Hostname(), hostname) && strings.TrimSuffix(u.Path, "/") == path {
			return i
		}
	}
	return nil
}

func (s *Service) named(r *edge.Request) *Issuer {
	for _, i := range s.Issuers() {
		if i.URL == r.Vars["issuer"] {
			r.Note("", i.Name)
			return i
		}
	}
	return &Issuer{}
}

// A configuration is the OpenID Provider Metadata of an issuer, as far as those
// that only sign workload tokens have it.
type configuration struct {
	Issuer             string   `json:"issuer"`
	JWKSURI            string   `json:"jwks_uri"`
	SubjectTypes       []string `json:"subject_types_supported"`
	ResponseTypes      []string `json:"response_types_supported"`
	IDTokenSigningAlgs []string `json:"id_token_signing_alg_values_supported"`
	Claims             []string `json:"claims_supported"`
}

func (s *Service) configuration(r *edge.Request) edge.Response {
	i := s.named(r)
	return edge.JSON(http.StatusOK, configuration{
		Issuer: i.URL, JWKSURI: strings.TrimSuffix(i.URL, "/") + "/.well-known/jwks",
		SubjectTypes: []string{"public", "pairwise"}, ResponseTypes: []string{"id_token"},
		IDTokenSigningAlgs: []string{"RS256"}, Claims: []string{"sub", "aud", "exp", "iat", "iss", "jti", "nbf"},
	})
}

func (s *Service) keys(r *edge.Request) edge.Response {
	published, err := s.named(r).Ring.Published()
	if err != nil {
		r.Explain("500", err.Error())
		return edge.JSON(http.StatusInternalServerError, map[string]string{"error": "server_error"})
	}
	set := token.JWKS{Keys: []token.JWK{}}
	for _, k := range published {
		set.Keys = append(set.Keys, k.JWK())
	}
	return edge.JSON(http.StatusOK, set)
}

func (s *Service) unknown(r *edge.Request) edge.Response {
	r.Explain("404", "no issuer of this cloud has an endpoint "+r.URL.String()+"; an issuer answers for its OpenID configuration and its keys")
	return edge.JSON(http.StatusNotFound, map[string]string{"error": "not_found"})
}

// TooLarge answers a request that is over the edge's limits.
func (s *Service) TooLarge(*edge.Request) edge.Response {
	return edge.JSON(http.StatusRequestEntityTooLarge, map[string]string{"error": "too_large"})
}

// Refuse has no refusals of its own: an issuer only publishes documents.
func (s *Service) Refuse(*edge.Request, string) (edge.Response, bool) {
	return edge.Response{}, false
}
