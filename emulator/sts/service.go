// Package sts emulates the Microsoft Entra token service: OpenID Connect and
// instance discovery, signing keys, and the token endpoint for the
// client_credentials grant with a federated assertion, a client secret or a
// certificate, and for managed identities with a certificate in TLS.
//
// Everything a client sends is checked as Entra checks it, in an order that is
// inferred from reports where Microsoft does not document it. A refusal is one
// row of the table that [Refusals] returns.
package sts

import (
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// An Era is a generation of refusals. Entra has renamed some of them.
type Era string

// The eras, by the year in which their refusals were seen.
const (
	Era2022 Era = "2022" // AADSTS70021 as invalid_request, AADSTS90061
	Era2023 Era = "2023" // AADSTS70021 as invalid_client, AADSTS501661, AADSTS700222
	Era2025 Era = "2025" // a code for each kind of mismatch; managed identities are accepted
)

// Eras returns all eras, the oldest first.
func Eras() []Era { return []Era{Era2022, Era2023, Era2025} }

// separator stands before the identifiers at the end of a description.
func (e Era) separator() string {
	if e == Era2025 {
		return " "
	}
	return "\r\n"
}

// Lifetimes say how long tokens are valid.
type Lifetimes struct {
	ManagedIdentity time.Duration // default 24 hours
	Application     time.Duration // default one hour
}

// DefaultLifetimes are those of the tokens seen in recordings. Entra documents
// a random 60 to 90 minutes for applications; nothing here is random.
var DefaultLifetimes = Lifetimes{ManagedIdentity: 24 * time.Hour, Application: time.Hour}

// A Fetcher gets a document of an OpenID Connect issuer. It returns the status
// and the body, or an error when there is no answer.
type Fetcher func(url string) (status int, body []byte, err error)

// Config is what a Service needs. All fields but Fetch, Note and
// Certified must be set.
type Config struct {
	Environment environment.Environment
	Directory   *directory.Directory
	Ring        *token.Ring // of all tenants
	Fetch       Fetcher     // nil: no issuer outside Entra can be reached
	// Note adds to the transcript what others know of an assertion that is
	// presented. Nil adds nothing.
	Note func(r *edge.Request, assertion string)
	// Certified reports whether the cloud issued a certificate to a client. Nil
	// accepts none.
	Certified func(*x509.Certificate) bool
	Era       Era
	Lifetimes Lifetimes
	Seed      string
}

// A Service is the token service of a cloud. Its methods may be called from
// several goroutines.
type Service struct {
	Config
	routes []edge.Route
	table  *edge.Table
}

// New returns a Service.
func New(c Config) *Service {
	s := &Service{Config: c}
	s.routes = s.operations()
	s.table = edge.NewTable(true, s.routes) // that Entra regards letter case in paths is nowhere said
	return s
}

func (s *Service) operations() []edge.Route {
	return []edge.Route{
		{Op: "sts.token", Method: "POST", Path: "/{tenant}/oauth2/v2.0/token", Do: s.tokenV2, Fidelity: edge.Faithful, Source: "Microsoft: OAuth 2.0 client credentials flow; RFC 6749 section 4.4, RFC 7523"},
		{Op: "sts.token-v1", Method: "POST", Path: "/{tenant}/oauth2/token", Do: s.tokenV1, Fidelity: edge.Faithful, Source: "recorded responses"},
		{Op: "sts.openid-configuration", Method: "GET OPTIONS HEAD", Path: "/{tenant}/v2.0/.well-known/openid-configuration", Do: s.openIDConfigurationV2, Fidelity: edge.Faithful, Source: "recorded documents; OpenID Connect Discovery 1.0 section 4"},
		{Op: "sts.openid-configuration-v1", Method: "GET OPTIONS HEAD", Path: "/{tenant}/.well-known/openid-configuration", Do: s.openIDConfigurationV1, Fidelity: edge.Faithful, Source: "recorded documents"},
		{Op: "sts.keys", Method: "GET OPTIONS HEAD", Path: "/{tenant}/discovery/v2.0/keys", Do: s.keysV2, Fidelity: edge.Faithful, Source: "recorded documents; RFC 7517"},
		{Op: "sts.keys-v1", Method: "GET OPTIONS HEAD", Path: "/{tenant}/discovery/keys", Do: s.keysV1, Fidelity: edge.Faithful, Source: "recorded documents; RFC 7517"},
		{Op: "sts.instance-discovery", Method: "GET OPTIONS HEAD", Path: "/{tenant}/discovery/instance", Do: s.instanceDiscovery, Fidelity: edge.Faithful, Source: "recorded SDK traffic"},
		{Op: "sts.unknown", Do: s.unknown, Fidelity: edge.Approximate, Source: "not documented: a JSON body instead of Entra's HTML page"},
	}
}

// Routes returns the operations of the service.
func (s *Service) Routes() []edge.Route { return s.routes }

// Resolve finds the operation that a request asks for.
func (s *Service) Resolve(r *edge.Request) *edge.Route {
	route, vars, wrongMethod := s.table.Match(r.Method, r.URL)
	if route != nil {
		r.Vars = vars
		return route
	}
	unknown := &s.routes[len(s.routes)-1]
	if !wrongMethod {
		return unknown
	}
	refusal := *unknown
	refusal.Do = s.wrongMethod
	return &refusal
}

func (s *Service) unknown(r *edge.Request) edge.Response {
	r.Explain("404", "the token service has no endpoint "+r.URL.Path+"; docs/fidelity.md lists the emulated ones")
	resp := edge.JSON(http.StatusNotFound, map[string]string{"error": "not_found", "error_description": "There is no such endpoint."})
	s.dress(r, resp.Header)
	return resp
}

func (s *Service) wrongMethod(r *edge.Request) edge.Response {
	valid := "GET, OPTIONS"
	if strings.HasSuffix(strings.ToLower(strings.TrimRight(r.URL.Path, "/")), "/token") {
		valid = "POST"
	}
	return s.refuse(r, errMethod.because(values{"valid": valid, "method": r.Method},
		"%s was asked with %s; use %s", r.URL.Path, r.Method, valid))
}

// TooLarge answers a request that is over the edge's limits.
func (s *Service) TooLarge(r *edge.Request) edge.Response {
	return s.refuse(r, errMalformed.because(nil, "the request is over the size that fakeentra reads"))
}

// dress adds the headers that every answer of the token service has.
func (s *Service) dress(r *edge.Request, h http.Header) {
	h["Cache-Control"] = []string{"no-store, no-cache"}
	h["Pragma"] = []string{"no-cache"}
	h["Expires"] = []string{"-1"}
	h["Strict-Transport-Security"] = []string{"max-age=31536000; includeSubDomains"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["P3p"] = []string{`CP="DSP CUR OTPi IND OTRi ONL FIN"`}
	h["X-Xss-Protection"] = []string{"0"}
	h["X-Ms-Request-Id"] = []string{r.ID}
	h["X-Ms-Ests-Server"] = []string{"2.1.0.0 - fakeentra"}
	if strings.EqualFold(r.Header.Get("return-client-request-id"), "true") {
		h["Client-Request-Id"] = []string{s.correlationID(r)}
	}
	if r.Header.Get("x-client-SKU") != "" || formValue(r, "x-client-SKU") != "" {
		h["X-Ms-Clitelem"] = []string{"1,0,0,,"}
	}
}

// publish answers with a document that anyone may read and keep for a day.
func (s *Service) publish(r *edge.Request, document any) edge.Response {
	resp := edge.JSON(http.StatusOK, document)
	s.dress(r, resp.Header)
	publicly(resp.Header)
	return resp
}

// publicly turns the headers of an answer into those that documents are published
// with. Refusals of a document have them too, in recordings.
func publicly(h http.Header) {
	for _, name := range []string{"Pragma", "Expires", "X-Ms-Clitelem"} {
		delete(h, name)
	}
	h["Cache-Control"] = []string{"max-age=86400, private"}
	h["Access-Control-Allow-Origin"] = []string{"*"}
	h["Access-Control-Allow-Methods"] = []string{"GET, OPTIONS"}
}

// metadata reports whether a request is for a document, and not for a token.
func metadata(r *edge.Request) bool {
	switch r.Op {
	case "sts.token", "sts.token-v1", "sts.unknown":
		return false
	}
	return true
}

// shared reports whether a tenant segment stands for all tenants of a kind.
func shared(segment string) bool {
	return slices.Contains([]string{"common", "organizations", "consumers"}, strings.ToLower(segment))
}

// tenant finds the tenant that the path names.
func (s *Service) tenant(r *edge.Request, notFound *Refusal) (directory.Tenant, *Error) {
	segment := r.Vars["tenant"]
	if t, ok := s.Directory.Tenant(segment); ok {
		return t, nil
	}
	if !plausible(segment) {
		return directory.Tenant{}, errTenantIdentifier.because(values{"tenant": segment},
			"the path names the tenant %q, which is neither a GUID nor a domain name", segment)
	}
	return directory.Tenant{}, notFound.because(values{"tenant": segment},
		"this cloud has no tenant %s; it is the %s; check the authority that the client was configured with", segment, s.whatIs(segment))
}

// whatIs describes an identifier that was used in the wrong place.
func (s *Service) whatIs(id string) string {
	if what := s.Directory.Describe(id); what != "" {
		return what
	}
	return "name of nothing that it knows"
}
