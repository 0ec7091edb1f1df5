package kubernetes

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// A Forwarder carries a request of the token proxy of a pod's cluster to the
// token service, whose host is not yet in the URL. It fails as the edge does.
type Forwarder func(from edge.Caller, in *http.Request) (edge.Response, error)

// A Proxy is the token proxy of identity bindings: the API server of a cluster,
// called by another server name in the TLS handshake. The path of a request to
// the token service is appended to its address (bindings).
//
// What it does was told and not documented: it checks the service account
// token, asks whether the service account may use the managed identity, and
// presents to Entra an assertion by the issuer that AKS maintains for the
// identity. Discovery documents go through as they are.
type Proxy struct {
	service *Service
	routes  []edge.Route
}

var _ edge.Service = (*Proxy)(nil)

// TokenProxy returns the token proxy of all clusters.
func (s *Service) TokenProxy() *Proxy {
	p := &Proxy{service: s}
	p.routes = []edge.Route{
		{Op: "kubernetes.token-proxy", Method: "POST", Path: "/{tenant}/oauth2/v2.0/token", Do: p.token, Fidelity: edge.Approximate, Source: "Microsoft: Identity bindings concepts; source of azidentity (customtokenproxy) and of @azure/identity"},
		{Op: "kubernetes.token-proxy-document", Do: p.document, Fidelity: edge.Approximate, Source: "source of azidentity (customtokenproxy): every request of the credential goes to the proxy"},
	}
	return p
}

// ServerNames returns the names by which the token proxies are called in the TLS
// handshake.
func (p *Proxy) ServerNames() []string {
	s := p.service
	return s.each(func(pod *Pod) string {
		if !pod.Bound() {
			return ""
		}
		return s.serverName(pod.Issuer.URL)
	})
}

// Knows reports whether a token proxy is called by a name.
func (p *Proxy) Knows(serverName string) bool {
	return slices.Contains(p.ServerNames(), strings.ToLower(serverName))
}

// Routes returns the operations of the proxy.
func (p *Proxy) Routes() []edge.Route { return p.routes }

// Resolve finds the operation that a request asks for. Whatever is before the
// tenant in the path was before it in the address of the proxy.
func (p *Proxy) Resolve(r *edge.Request) *edge.Route {
	if r.Method == http.MethodPost {
		return &p.routes[0]
	}
	return &p.routes[1]
}

// Refuse answers with the row that a fault rule names.
func (p *Proxy) Refuse(r *edge.Request, code string) (edge.Response, bool) { return refuseFor(r, code) }

// TooLarge answers a request that is larger than the edge accepts.
func (p *Proxy) TooLarge(*edge.Request) edge.Response { return tooLarge() }

func (p *Proxy) document(r *edge.Request) edge.Response { return p.forward(r, r.Data) }

func (p *Proxy) token(r *edge.Request) edge.Response {
	form, err := url.ParseQuery(string(r.Data))
	if err != nil {
		return refuse(r, because("proxy-request", "the body is no form: %v", err))
	}
	raw := form.Get("client_assertion")
	if raw == "" {
		return refuse(r, because("proxy-request", "the form has no client_assertion; expected the content of AZURE_FEDERATED_TOKEN_FILE"))
	}
	r.Presented("assertion", raw)
	p.service.Note(r, raw)
	pod, no := p.service.bound(r.Now, raw, form.Get("client_id"))
	if no != nil {
		return refuse(r, no)
	}
	assertion, err := pod.Binding.Sign(p.service.bindingClaims(pod, r.ID, r.Now))
	if err != nil {
		return refuse(r, because("proxy-failed", "the assertion could not be signed: %v", err))
	}
	r.Issued(assertion)
	form.Set("client_assertion", assertion)
	return p.forward(r, []byte(form.Encode()))
}

// bound returns the pod whose token raw is, if its service account may use the
// managed identity with a client ID.
func (s *Service) bound(now time.Time, raw, clientID string) (Pod, *refusal) {
	parsed, err := token.Parse(raw)
	if err != nil {
		return Pod{}, because("proxy-assertion", "the client_assertion cannot be read: %v", err)
	}
	candidates := s.podsOf(parsed.Claims)
	if len(candidates) == 0 {
		return Pod{}, because("proxy-assertion", "the client_assertion is of the issuer %q and the subject %q, and no pod with an identity binding has both", parsed.Claims.Issuer, parsed.Claims.Subject)
	}
	if why := unfit(now, parsed, candidates[0].Issuer.Keys); why != "" {
		return Pod{}, because("proxy-assertion", "%s", why)
	}
	i := slices.IndexFunc(candidates, func(p Pod) bool { return strings.EqualFold(p.ClientID, clientID) })
	if i < 0 {
		return Pod{}, because("proxy-not-bound", "%s has no identity binding for the client ID %q; expected %s", parsed.Claims.Subject, clientID, candidates[0].ClientID)
	}
	return candidates[i], nil
}

// podsOf returns the pods with an identity binding whose tokens have these
// claims, in the order of their hosts.
func (s *Service) podsOf(c token.Claims) []Pod {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Pod
	for _, p := range s.pods {
		if p.Bound() && p.Issuer.URL == c.Issuer && p.Subject() == c.Subject {
			out = append(out, *p)
		}
	}
	slices.SortFunc(out, func(a, b Pod) int { return strings.Compare(a.Host, b.Host) })
	return out
}

// unfit says what is wrong with a service account token, or nothing.
func unfit(now time.Time, t *token.Token, keys token.KeySource) string {
	key, published := keys.Lookup(t.Header.KeyID)
	switch {
	case !slices.Contains(t.Claims.Audience, bindingAudience):
		return fmt.Sprintf("the service account token is for %s; with an identity binding it has to be for %s", strings.Join(t.Claims.Audience, ", "), bindingAudience)
	case !published:
		return fmt.Sprintf("the cluster does not publish the key %q; it was retired, or the token comes from elsewhere", t.Header.KeyID)
	case now.Before(t.Claims.NotBefore.Time()) || !now.Before(t.Claims.Expires.Time()):
		return fmt.Sprintf("the service account token is valid from %s to %s, and it is %s; read the file again before each exchange", t.Claims.NotBefore.Time().Format(time.RFC3339), t.Claims.Expires.Time().Format(time.RFC3339), now.Format(time.RFC3339))
	}
	if err := t.Verify(key, "RS256"); err != nil {
		return fmt.Sprintf("the signature of the service account token does not fit the key %q: %v", t.Header.KeyID, err)
	}
	return ""
}

// BindingSubject returns the sub claim of assertions by the issuer of an
// identity binding. The real one is not published.
func BindingSubject(clientID string) string { return clientID }

// BindingIssuer returns the URL of the issuer that AKS maintains for a managed
// identity (bindings, Retrieve the OIDC issuer URL).
func BindingIssuer(tenantID, clientID string) string {
	return "https://ib.oic.prod-aks.azure.com/" + tenantID + "/" + clientID
}

// bindingLifetime is short because the proxy makes an assertion for each request.
const bindingLifetime = 5 * time.Minute

func (s *Service) bindingClaims(p Pod, requestID string, now time.Time) map[string]any {
	return map[string]any{
		"iss": p.Binding.URL, "sub": BindingSubject(p.ClientID), "aud": []string{s.Audience}, "jti": ident.GUID(s.Seed, "kubernetes", "binding", requestID),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(bindingLifetime).Unix(),
	}
}

// forward carries a request to the token service, and its answer back.
func (p *Proxy) forward(r *edge.Request, body []byte) edge.Response {
	u := *r.URL
	u.Scheme, u.Host = "https", ""
	in := &http.Request{Method: r.Method, URL: &u, Header: r.Header.Clone(), Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
	in.Header.Del("Content-Length")
	resp, err := p.service.Forward(edge.Caller{Host: r.Caller.Host, TLS: true}, in)
	if err != nil {
		return refuse(r, because("proxy-failed", "the token service does not answer: %v", err))
	}
	return resp
}
