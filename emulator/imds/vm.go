package imds

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// server is the value of the Server header. MSAL.NET looks for "IMDS" in it.
const server = "IMDS/150.870.65.1854"

// vmRoutes are the operations of the Instance Metadata Service. Paths are
// matched without regard to letter case, as IMDS does according to
// Azure/azure-workload-identity pkg/proxy/proxy.go.
func (s *Service) vmRoutes() []edge.Route {
	return []edge.Route{
		{Op: "imds.token", Method: "GET", Path: "/metadata/identity/oauth2/token", Do: guarded(s.token), Fidelity: edge.Faithful, Source: "Microsoft: How to use managed identities on a VM to acquire a token; IMDS swagger 2023-07-01; recorded answers"},
		{Op: "imds.versions", Method: "GET", Path: "/metadata/versions", Do: guarded(s.apiVersions), Fidelity: edge.Faithful, Source: "Microsoft: Azure Instance Metadata Service, Versions"},
		{Op: "imds.identity-info", Method: "GET", Path: "/metadata/identity/info", Do: guarded(s.identityInfo), Fidelity: edge.Faithful, Source: "IMDS swagger 2023-07-01"},
		{Op: "imds.platform-metadata", Path: "/metadata/identity/getplatformmetadata", Do: guarded(s.platformMetadata), Fidelity: edge.Approximate, Source: "source of MSAL.NET (ManagedIdentity/V2); a switch, off by default"},
		{Op: "imds.issue-credential", Path: "/metadata/identity/issuecredential", Do: guarded(s.issueCredential), Fidelity: edge.Approximate, Source: "source of MSAL.NET (ManagedIdentity/V2); a switch, off by default; attestation tokens are not verified"},
		{Op: "imds.instance", Method: "GET", Path: "/metadata/instance/{path...}", Do: guarded(s.instance), Fidelity: edge.Approximate, Source: "Microsoft: Azure Instance Metadata Service, Instance metadata; lists in text and texts of errors are inferred"},
		{Op: "imds.attested", Method: "GET", Path: "/metadata/attested/document", Do: guarded(s.attestedDocument), Fidelity: edge.Faithful, Source: "Microsoft: Azure Instance Metadata Service, Attested data"},
		{Op: "imds.scheduled-events", Method: "GET", Path: "/metadata/scheduledevents", Do: guarded(s.scheduledEvents), Fidelity: edge.Approximate, Source: "Microsoft: Azure Metadata Service, Scheduled Events; one machine's, on the cloud's clock, without the delay of the first call"},
		{Op: "imds.start-events", Method: "POST", Path: "/metadata/scheduledevents", Do: guarded(s.startEvents), Fidelity: edge.Approximate, Source: "Microsoft: Azure Metadata Service, Scheduled Events, Start an event; the body of the answer is inferred"},
		{Op: "imds.load-balancer", Method: "GET", Path: "/metadata/loadbalancer", Do: guarded(s.loadBalancer), Fidelity: edge.Stub, Source: "Microsoft: Retrieve load balancer metadata using IMDS"},
	}
}

// An operation either answers or says why it refuses.
type operation func(*edge.Request) (edge.Response, *refusal)

// guarded checks the headers that protect IMDS against forged requests before
// anything else, and renders refusals.
func guarded(do operation) edge.Operation {
	return func(r *edge.Request) edge.Response {
		if no := checkHeaders(r); no != nil {
			return refuse(r, no)
		}
		resp, no := do(r)
		if no != nil {
			return refuse(r, no)
		}
		return resp
	}
}

// checkHeaders requires Metadata: true and refuses X-Forwarded-For. vm-token
// wants "true" in lower case; the Azure MCP server, a .NET program, asks for
// instance metadata with "True", so letter case is noted and let pass.
func checkHeaders(r *edge.Request) *refusal {
	switch v := r.Header.Get("Metadata"); {
	case v == "":
		return because("metadata-header", "the header Metadata: true is missing; only probes leave it out")
	case !strings.EqualFold(v, "true"):
		return because("metadata-header", "the header Metadata is %q; it must be true", v)
	case v != "true":
		r.Note("metadata", v)
	}
	if v := r.Header.Values("X-Forwarded-For"); len(v) > 0 {
		return because("forwarded-for", "the request carries X-Forwarded-For: %s; IMDS must be asked directly and not through a proxy", strings.Join(v, ", "))
	}
	return nil
}

// parameters reads a query. IMDS refuses a name that occurs twice (imds); that
// it refuses what cannot be decoded is an assumption.
func parameters(r *edge.Request) (url.Values, *refusal) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, because("malformed-query", "the query cannot be decoded: %v", err)
	}
	for _, values := range query {
		if len(values) > 1 {
			return nil, because("duplicate-parameter", "a name occurs more than once in the query %s", r.URL.RawQuery)
		}
	}
	return query, nil
}

func answerJSON(r *edge.Request, body []byte) edge.Response {
	return edge.Response{Status: http.StatusOK, Header: headers(r), Body: body}
}

func headers(r *edge.Request) http.Header {
	return http.Header{
		"Content-Type":    {"application/json; charset=utf-8"},
		"Server":          {server},
		"X-Ms-Request-Id": {r.ID},
	}
}

// token hands out a token of one of the host's identities.
func (s *Service) token(r *edge.Request) (edge.Response, *refusal) {
	query, no := versioned(r, since(identitySince))
	if no != nil {
		return edge.Response{}, no
	}
	resource := query.Get("resource")
	if resource == "" {
		return edge.Response{}, because("resource-missing", "the query has no resource; add resource=api://AzureADTokenExchange for a token that an application trusts, or the application ID URI of what the token is for")
	}
	sel, no := vmSelectors.of(query)
	if no != nil {
		return edge.Response{}, no
	}
	// swagger's only value is true; that others are refused is inferred.
	bypass := query.Has("bypass_cache")
	if v := query.Get("bypass_cache"); bypass && v != "true" {
		return edge.Response{}, because("bypass-cache", "bypass_cache is %q; its only value is true", v)
	}
	host, _ := s.Host(r.Caller.Host)
	m, no := s.identify(host, sel)
	r.Note("", m.Name)
	r.Note("resource", resource)
	noteOddities(r, query, sel)
	if no != nil {
		return edge.Response{}, no
	}
	return s.handOut(r, host, m, resource, bypass)
}

// handOut answers with the cached token, or with a new one.
func (s *Service) handOut(r *edge.Request, host Host, m directory.ManagedIdentity, resource string, bypass bool) (edge.Response, *refusal) {
	a, err := s.granted(r, host, m, resource, bypass)
	if err != nil {
		return passOn(r, err)
	}
	return answerJSON(r, a.body(r.Now)), nil
}

// passOn answers as IMDS does when Entra refuses: with what Entra said. The
// AADSTS500011 in MSAL.NET's tests and in Azure/azure-sdk-for-net#13481 show it.
func passOn(r *edge.Request, err error) (edge.Response, *refusal) {
	entra, ok := errors.AsType[Refusal](err)
	if !ok {
		return edge.Response{}, because("entra-failed", "the token service failed: %v", err)
	}
	r.Explain(entra.Code(), entra.Why())
	return edge.Response{Status: entra.Status(), Header: headers(r), Body: entra.Body()}, nil
}

// apiVersions lists the versions; it needs no api-version itself.
func (s *Service) apiVersions(r *edge.Request) (edge.Response, *refusal) {
	return answerJSON(r, edge.JSON(http.StatusOK, map[string][]string{"apiVersions": versions}).Body), nil
}

// identityInfo names the tenant of the host's subscription.
func (s *Service) identityInfo(r *edge.Request) (edge.Response, *refusal) {
	if _, no := versioned(r, since(identitySince)); no != nil {
		return edge.Response{}, no
	}
	return answerJSON(r, edge.JSON(http.StatusOK, map[string]string{"tenantId": string(s.tenantOf(r.Caller.Host))}).Body), nil
}

// tenantOf returns the tenant of a host. One that was added without is in the
// tenant of its identities, because Azure assigns them within a tenant only.
func (s *Service) tenantOf(name string) directory.TenantID {
	host, _ := s.Host(name)
	if assigned := s.Assigned(name); host.Tenant == "" && len(assigned) > 0 {
		return assigned[0].Tenant
	}
	return host.Tenant
}
