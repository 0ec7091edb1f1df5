package sts

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// The values of client_assertion_type (RFC 7523 section 2.2; the second one is
// of assertions that are bound to a client certificate).
const (
	assertionBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionBound  = "urn:ietf:params:oauth:client-assertion-type:jwt-pop"
)

func (s *Service) tokenV2(r *edge.Request) edge.Response { return s.token(r, 2) }
func (s *Service) tokenV1(r *edge.Request) edge.Response { return s.token(r, 1) }

// A grant is a token request on its way through the checks.
type grant struct {
	version int // of the endpoint
	form    url.Values
	tenant  directory.Tenant // the one in the path, for whose resources the token is
	client  client
	method  authentication
	// resource is what the token is for; identifier is how the client named it.
	resource   directory.Resource
	identifier string
	bound      *x509.Certificate // what the token shall be bound to; nil for a bearer token
}

// authentication is how a client proved itself.
type authentication struct {
	strength  string // appidacr: "1" secret, "2" assertion
	federated bool   // by a federated identity credential
}

// token answers a token request. The order of the checks is inferred from
// reports of which error hides which.
func (s *Service) token(r *edge.Request, version int) edge.Response {
	g := &grant{version: version}
	var err *Error
	if g.form, err = form(r); err != nil {
		return s.refuse(r, err)
	}
	for _, step := range []func(*edge.Request, *grant) *Error{s.findTenant, s.checkGrantType, s.findClient, s.authenticate, s.findResource, s.applyPolicies} {
		if err := step(r, g); err != nil {
			return s.refuse(r, err)
		}
	}
	return s.issue(r, g)
}

// form reads the body, and the client's credentials from HTTP Basic
// authentication (RFC 6749 section 2.3.1) where they are not in the body. In a
// body of another kind Entra sees no parameters
// (microsoftgraph/microsoft-graph-docs#20272). A semicolon is not special in
// forms (URL Standard, section 5.1), but net/url refuses it.
func form(r *edge.Request) (url.Values, *Error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, missing("grant_type", "the Content-Type is %q, in which nothing is read; expected application/x-www-form-urlencoded", r.Header.Get("Content-Type"))
	}
	values, err := url.ParseQuery(strings.ReplaceAll(string(r.Data), ";", "%3B"))
	if err != nil {
		return nil, errMalformed.because(nil, "the body is no form: %v", err)
	}
	id, secret, ok := basic(r.Header.Get("Authorization"))
	if ok && values.Get("client_id") == "" {
		values.Set("client_id", id)
	}
	if ok && values.Get("client_secret") == "" {
		values.Set("client_secret", secret)
	}
	return values, nil
}

func basic(header string) (id, secret string, ok bool) {
	encoded, found := strings.CutPrefix(header, "Basic ")
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil {
		return "", "", false
	}
	user, password, found := strings.Cut(string(decoded), ":")
	id, err1 := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(password)
	return id, secret, found && err1 == nil && err2 == nil
}

// formValue returns a field of the body for the sake of a header; a body that
// is no form has none.
func formValue(r *edge.Request, name string) string {
	if r.Method != http.MethodPost {
		return ""
	}
	values, _ := url.ParseQuery(string(r.Data))
	return values.Get(name)
}

func missing(name, why string, args ...any) *Error {
	return errMissing.because(values{"name": name}, why, args...)
}

func (s *Service) findTenant(r *edge.Request, g *grant) *Error {
	if segment := r.Vars["tenant"]; shared(segment) {
		return errNoTenant.because(nil, "the authority is /%s; client_credentials needs the authority of one tenant", segment)
	}
	var err *Error
	g.tenant, err = s.tenant(r, errTenantNotFound)
	r.Note("", g.tenant.Name)
	return err
}

func (s *Service) checkGrantType(r *edge.Request, g *grant) *Error {
	switch kind := g.form.Get("grant_type"); kind {
	case "client_credentials", "user_fic":
		return nil
	case "":
		return missing("grant_type", "the form has no grant_type; expected client_credentials")
	default:
		return errGrantType.because(values{"grant": kind}, "the grant type is %q; fakeentra emulates client_credentials, even where Entra knows more", kind)
	}
}

func (s *Service) findResource(r *edge.Request, g *grant) *Error {
	if g.form.Get("grant_type") == "user_fic" {
		return s.userCredential(g)
	}
	if g.form.Has("fmi_path") {
		return errParameter.because(values{"name": "fmi_path"}, "the client authenticated, but fakeentra does not issue tokens for agent identities (fmi_path)")
	}
	var err *Error
	g.identifier, err = g.requested()
	if err != nil {
		return err
	}
	r.Note(g.resourceParameter(), g.form.Get(g.resourceParameter()))
	g.resource, err = s.resource(g.tenant, g.identifier)
	return err
}

// userCredential refuses the user_fic grant: a cloud has no users, so no user
// has a federated identity credential that could match.
func (s *Service) userCredential(g *grant) *Error {
	presented, err := token.Parse(g.form.Get("user_federated_identity_credential"))
	if !g.form.Has("user_federated_identity_credential") {
		return missing("user_federated_identity_credential", "the user_fic grant carries a second assertion, for the user; the form has none")
	}
	if err != nil {
		return errAssertionMalformed.because(nil, "user_federated_identity_credential cannot be read: %v", err)
	}
	return errUserSubjectMismatch.because(values{"sub": presented.Claims.Subject}, "the client authenticated, but fakeentra emulates no users, so no user's credential can match")
}

func (s *Service) applyPolicies(_ *edge.Request, g *grant) *Error {
	if g.client.principal.Blocked {
		return errConditionalAccess.because(nil, "the service principal of %s in %s is blocked by a Conditional Access policy (blocked-by-conditional-access)", g.client.name, g.tenant.Name)
	}
	if g.resource.AssignmentNeeded && len(g.client.principal.AppRoles[g.resource.AppID]) == 0 {
		return errNotAssigned.because(values{"client": string(g.client.id), "name": g.client.name, "resource": string(g.resource.AppID), "api": g.resource.Name},
			"%s requires assignment and %s has no app role of it in %s", g.resource.Name, g.client.name, g.tenant.Name)
	}
	return nil
}

// The bodies of a success; member order is as observed. All numbers of the v1
// body are strings.
type (
	successV2 struct {
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		ExtExpiresIn int    `json:"ext_expires_in"`
		AccessToken  string `json:"access_token"`
	}
	successV1 struct {
		TokenType    string `json:"token_type"`
		ExpiresIn    string `json:"expires_in"`
		ExtExpiresIn string `json:"ext_expires_in"`
		ExpiresOn    string `json:"expires_on"`
		NotBefore    string `json:"not_before"`
		Resource     string `json:"resource"`
		AccessToken  string `json:"access_token"`
	}
)

func (s *Service) issue(r *edge.Request, g *grant) edge.Response {
	lifetime := s.Lifetimes.Application
	if g.client.managed != nil {
		lifetime = s.Lifetimes.ManagedIdentity
	}
	raw, err := s.mint(r.ID, r.Now, lifetime, s.claimsOf(g))
	if err != nil {
		return s.broken(r, err)
	}
	r.Issued(raw)
	// One second less than the lifetime, as in every recording.
	in := int(lifetime/time.Second) - 1
	kind := "Bearer"
	if g.bound != nil {
		kind = boundToken
	}
	var body any = successV2{kind, in, in, raw}
	if g.version == 1 {
		body = successV1{kind, fmt.Sprint(in), fmt.Sprint(in), fmt.Sprint(r.Now.Add(lifetime).Unix()), fmt.Sprint(r.Now.Add(-backdated).Unix()), g.identifier, raw}
	}
	resp := edge.JSON(http.StatusOK, body)
	s.dress(r, resp.Header)
	return resp
}
