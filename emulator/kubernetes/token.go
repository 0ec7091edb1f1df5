package kubernetes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// Lifetime is how long the tokens of pods are valid, the default of the webhook.
const Lifetime = time.Hour

// Due returns when kubelet replaces a token that was issued at issued: when it
// is older than 80 percent of its life (k8s, section Bound service account token
// volume mechanism). Kubelet adds up to ten seconds at random, which is left out.
func Due(issued time.Time) time.Time { return issued.Add(Lifetime * 4 / 5) }

// An Issued says which token of a pod a token is.
type Issued struct {
	Host     string
	Rotation int       // 1 for the first
	At       time.Time // when it was issued
}

// A tokenRequest is the API object TokenRequest of authentication.k8s.io/v1.
type tokenRequest struct {
	Kind       string       `json:"kind"`
	APIVersion string       `json:"apiVersion"`
	Metadata   metadata     `json:"metadata"`
	Spec       tokenSpec    `json:"spec"`
	Status     *tokenStatus `json:"status,omitempty"`
}

type metadata struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Created   string `json:"creationTimestamp,omitempty"`
}

type tokenSpec struct {
	Audiences []string   `json:"audiences"`
	Seconds   *int64     `json:"expirationSeconds"`
	Bound     *reference `json:"boundObjectRef"`
}

type reference struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

type tokenStatus struct {
	Token   string `json:"token"`
	Expires string `json:"expirationTimestamp"`
}

// TokenRequest returns the request by which kubelet asks for the next token of
// a pod.
func (s *Service) TokenRequest(host string) (*http.Request, error) {
	p, ok := s.Pod(host)
	if !ok {
		return nil, fmt.Errorf("host %q is not a pod", host)
	}
	seconds := int64(Lifetime / time.Second)
	body, err := json.Marshal(tokenRequest{Kind: "TokenRequest", APIVersion: "authentication.k8s.io/v1", Spec: tokenSpec{
		Audiences: []string{s.audience(p)}, Seconds: &seconds,
		Bound: &reference{Kind: "Pod", APIVersion: "v1", Name: p.Host, UID: s.uid(p, "pod", p.Host)},
	}})
	if err != nil {
		return nil, err
	}
	address := "https://" + s.apiServer(p.Issuer.URL) + "/api/v1/namespaces/" + p.Namespace + "/serviceaccounts/" + p.ServiceAccount + "/token"
	req, err := http.NewRequest(http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.nodeToken())
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// ReadToken returns the token in an answer to [Service.TokenRequest].
func ReadToken(status int, body []byte) (string, error) {
	var answer tokenRequest
	if status != http.StatusCreated {
		return "", fmt.Errorf("the API server answered %d %s", status, body)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("the answer of the API server: %w", err)
	}
	if answer.Status == nil || answer.Status.Token == "" {
		return "", fmt.Errorf("the answer of the API server holds no token")
	}
	return answer.Status.Token, nil
}

func (s *Service) createToken(r *edge.Request) edge.Response {
	if no := s.authorized(r); no != nil {
		return refuse(r, no)
	}
	p, ok := s.podOf(r)
	if !ok {
		return refuse(r, because("no-service-account", "no pod of this cloud has the service account %s of %s", r.Vars["name"], r.Vars["namespace"]).with("name", r.Vars["name"]))
	}
	request, no := s.readRequest(r, p)
	if no != nil {
		return refuse(r, no)
	}
	lifetime := time.Duration(*request.Spec.Seconds) * time.Second
	raw, err := p.Issuer.Sign(s.claims(p, r.ID, request.Spec.Audiences, r.Now, lifetime))
	if err != nil {
		return refuse(r, because("failed", "the token could not be signed: %v", err))
	}
	r.Issued(raw)
	rotation := s.remember(p.Host, raw, r.Now)
	r.Note("", p.Namespace+"/"+p.ServiceAccount)
	r.Note("pod", p.Host)
	r.Note("rotation", strconv.Itoa(rotation))
	request.Metadata = metadata{p.ServiceAccount, p.Namespace, r.Now.Format(time.RFC3339)}
	request.Status = &tokenStatus{raw, r.Now.Add(lifetime).Format(time.RFC3339)}
	return edge.JSON(http.StatusCreated, request)
}

// podOf returns the pod that a request is about: that with the service account
// in the path, and of several the one that the body binds the token to.
func (s *Service) podOf(r *edge.Request) (Pod, bool) {
	var request tokenRequest
	_ = json.Unmarshal(r.Data, &request) // what is wrong with it is said later
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found Pod
	for _, p := range s.pods {
		if p.Namespace != r.Vars["namespace"] || p.ServiceAccount != r.Vars["name"] || s.apiServer(p.Issuer.URL) != r.URL.Hostname() {
			continue
		}
		if request.Spec.Bound != nil && request.Spec.Bound.Name == p.Host {
			return *p, true
		}
		if found.Host == "" || p.Host < found.Host {
			found = *p
		}
	}
	return found, found.Host != ""
}

// The limits of a lifetime (Kubernetes pkg/apis/authentication/validation).
const (
	leastSeconds = 600
	mostSeconds  = 1 << 32
)

// readRequest returns the body of a request, with an hour for a lifetime that it
// does not spell.
func (s *Service) readRequest(r *edge.Request, p Pod) (tokenRequest, *refusal) {
	var request tokenRequest
	if err := json.Unmarshal(r.Data, &request); err != nil {
		return request, because("malformed", "the body is no TokenRequest: %v", err)
	}
	if request.Kind != "TokenRequest" || request.APIVersion != "authentication.k8s.io/v1" {
		return request, because("malformed", "the body is a %s of %s; expected a TokenRequest of authentication.k8s.io/v1", request.Kind, request.APIVersion)
	}
	if request.Spec.Seconds == nil {
		seconds := int64(Lifetime / time.Second)
		request.Spec.Seconds = &seconds
	}
	bound := request.Spec.Bound
	switch seconds := *request.Spec.Seconds; {
	case seconds < leastSeconds:
		return request, invalid(seconds, "may not specify a duration less than 10 minutes")
	case seconds > mostSeconds:
		return request, invalid(seconds, "may not specify a duration larger than 2^32 seconds")
	case bound == nil || bound.Kind != "Pod" || bound.Name != p.Host || bound.UID != s.uid(p, "pod", p.Host):
		return request, because("not-bound", "the token would be bound to something else than the pod %s; kubelet asks for tokens of its pods only", p.Host)
	}
	return request, nil
}

func invalid(seconds int64, rule string) *refusal {
	return because("invalid", "expirationSeconds is %d; expected %d to %d", seconds, leastSeconds, int64(mostSeconds)).with("seconds", strconv.FormatInt(seconds, 10)).with("rule", rule)
}

// claims returns the claims of a service account token that is bound to a pod
// (k8s, section Bound service account tokens; node since version 1.32).
func (s *Service) claims(p Pod, requestID string, audiences []string, now time.Time, lifetime time.Duration) map[string]any {
	object := func(kind, name string) map[string]any {
		return map[string]any{"name": name, "uid": s.uid(p, kind, name)}
	}
	if len(audiences) == 0 {
		audiences = []string{"https://" + s.apiServer(p.Issuer.URL), s.apiServer(p.Issuer.URL)}
	}
	return map[string]any{
		"aud": slices.Clone(audiences), "iss": p.Issuer.URL, "sub": p.Subject(), "jti": ident.GUID(s.Seed, "kubernetes", "jti", requestID),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"kubernetes.io": map[string]any{
			"namespace": p.Namespace, "node": object("node", nodeName), "pod": object("pod", p.Host), "serviceaccount": object("serviceaccount", p.ServiceAccount),
		},
	}
}

const nodeName = "aks-nodepool1-00000000-vmss000000"

// kept is how many tokens of all pods are recognized when they are presented.
const kept = 1000

// remember counts a token that kubelet got for a pod.
func (s *Service) remember(host, raw string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pods[host]
	if p == nil {
		return 0 // the cloud was reset meanwhile
	}
	p.rotations++
	if len(s.issued) >= kept {
		s.forget()
	}
	s.issued[raw] = Issued{host, p.rotations, now}
	return p.rotations
}

// forget drops the oldest token.
func (s *Service) forget() {
	var oldest string
	for raw, i := range s.issued {
		if oldest == "" || i.At.Before(s.issued[oldest].At) {
			oldest = raw
		}
	}
	delete(s.issued, oldest)
}

// Recognize reports which token of a pod an assertion is.
func (s *Service) Recognize(assertion string) (Issued, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.issued[assertion]
	return i, ok
}

// Note adds to the transcript which token of a pod an assertion is, and how old,
// in whole minutes. It shows how often a program reads its file again: the Azure
// SDKs for Go and Rust do after ten minutes, those for JavaScript and Java after
// five.
func (s *Service) Note(r *edge.Request, assertion string) {
	i, ok := s.Recognize(assertion)
	if !ok {
		return
	}
	r.Note("pod", i.Host)
	r.Note("rotation", strconv.Itoa(i.Rotation))
	r.Note("age", fmt.Sprintf("%dm", int(r.Now.Sub(i.At)/time.Minute)))
}
