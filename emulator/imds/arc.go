package imds

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// arc, as the table below has it, is Microsoft's page "Authenticate against Azure
// resources with Azure Arc-enabled servers". The agent is called himds.

// A KeyFolder is where the agent leaves files whose content shows that a client
// may read them, and so may have tokens. Its methods may be called from several
// goroutines.
type KeyFolder interface {
	// Put makes a file for the clients on a host, and returns the path that they
	// know it by: it ends in .key. name is a proposal, as other clouds may have
	// the same.
	Put(host, name string, key []byte) (path string, err error)
	// Remove removes a file that Put made, by the path that it returned.
	Remove(host, path string)
}

// A challenge is a key that nobody has shown yet.
type challenge struct{ path, key string }

// challenges are those of all hosts.
type challenges struct {
	mu    sync.Mutex
	count int // of all so far, for their names
	open  map[string][]challenge
}

// maxChallenges bounds the files of a host, which a client could ask for without
// end. The oldest goes first.
const maxChallenges = 64

// arcRows are the refusals of Azure Arc. The first is every client's first
// answer.
var arcRows = []row{
	{name: "arc-challenge", status: 401, code: "unauthorized_client", text: "Authorization is required", form: arcForm, fidelity: edge.Approximate, source: "arc, and sources of SDKs, for status and header; the body is inferred"},
	{name: "arc-key", status: 401, code: "unauthorized_client", text: "The key is not valid", form: arcForm, fidelity: edge.Approximate, source: "arc; that a key is good for one token is an assumption, which all SDKs satisfy"},
	{name: "arc-key-folder", status: 500, code: "server_error", text: "The key file cannot be written", form: arcForm, fidelity: edge.Approximate, source: "none: the agent can write where it is installed"},
	{name: "arc-metadata-header", status: 400, code: "invalid_request", text: "Required metadata header not specified", form: arcForm, fidelity: edge.Approximate, source: "arc: the header is required; the body is that of IMDS"},
	{name: "arc-malformed-query", status: 400, code: "invalid_request", text: "The query string is malformed", form: arcForm, fidelity: edge.Approximate, source: "none"},
	{name: "arc-api-version", status: 400, code: "invalid_request", text: "The api-version is not supported", form: arcForm, fidelity: edge.Approximate, source: "arc, where it is 2020-06-01; SDKs send 2019-11-01 to 2021-02-01"},
	{name: "arc-resource-missing", status: 400, code: "invalid_request", text: "Required query variable 'resource' is missing", form: arcForm, fidelity: edge.Approximate, source: "arc; the body is that of IMDS"},
	{name: "arc-two-selectors", status: 400, code: "invalid_request", text: "Only one of client_id, object_id and msi_res_id can be specified", form: arcForm, fidelity: edge.Approximate, source: "as at IMDS"},
	{name: "arc-identity-not-found", status: 400, code: "invalid_request", text: "Identity not found", form: arcForm, fidelity: edge.Approximate, source: "as at IMDS"},
	{name: "arc-multiple-identities", status: 400, code: "invalid_request", text: "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request", form: arcForm, fidelity: edge.Approximate, source: "as at IMDS"},
	{name: "arc-token-failed", status: 500, code: "server_error", text: "Failed to acquire a token", form: arcForm, fidelity: edge.Approximate, source: "none"},
	{name: "arc-not-found", status: 404, code: "not_found", text: "Not found", form: arcForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.5"},
	{name: "arc-method-not-allowed", status: 405, code: "method_not_allowed", text: "The method is not allowed", form: arcForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.6"},
	{name: "arc-too-large", status: 413, code: "invalid_request", text: "The request is too large", form: arcForm, fidelity: edge.Approximate, source: "RFC 9110 section 15.5.14"},
}

func arcForm(_ *edge.Request, w row) edge.Response {
	return bare(w.status, ordered(field{"error", w.code}, field{"error_description", w.text}))
}

func (s *Service) arcRoutes() []edge.Route {
	return []edge.Route{{Op: "arc.token", Method: "GET", Path: "/metadata/identity/oauth2/token", Do: answered(s.arcToken), Fidelity: edge.Approximate,
		Source: "Microsoft: Authenticate against Azure resources with Azure Arc-enabled servers; sources of SDKs; that keys are good for one token, and errors, are inferred"}}
}

// arcToken hands out a token to clients that show the content of a file.
func (s *Service) arcToken(r *edge.Request) (edge.Response, *refusal) {
	if v := r.Header.Get("Metadata"); !strings.EqualFold(v, "true") {
		return edge.Response{}, because("arc-metadata-header", "the header Metadata is %q; it must be true", v)
	}
	query, malformed := queryOf(r)
	if malformed != "" {
		return edge.Response{}, because("arc-malformed-query", "%s", malformed)
	}
	if no := checkArc(query); no != nil {
		return edge.Response{}, no
	}
	shown := r.Header.Get("Authorization")
	if shown == "" {
		return s.challenge(r, because("arc-challenge", "the request shows no key; read the file that WWW-Authenticate names and ask again with Authorization: Basic and its content"))
	}
	key, ok := s.take(r.Caller.Host, shown)
	if !ok {
		return s.challenge(r, because("arc-key", "the header Authorization is not Basic and a blank and the content of a file that this host was told of and has not used yet; no base64, no newline"))
	}
	resp, no := s.arcGrant(r, query)
	if no != nil {
		s.putBack(r.Caller.Host, key) // or a client that tries again would learn of the key alone
	} else {
		s.keys.Remove(r.Caller.Host, key.path)
	}
	return resp, no
}

// arcGrant hands out a token to a client that has shown a key.
func (s *Service) arcGrant(r *edge.Request, query url.Values) (edge.Response, *refusal) {
	host, _ := s.Host(r.Caller.Host)
	sel, m, no := s.arcIdentity(r, host, query)
	if no != nil {
		return edge.Response{}, no
	}
	a, err := s.granted(r, host, m, query.Get("resource"), false)
	if err != nil {
		return edge.Response{}, because("arc-token-failed", "%s", whyFailed(err))
	}
	return bare(http.StatusOK, arcBody(r, a, sel, m)), nil
}

func checkArc(query url.Values) *refusal {
	if v := query.Get("api-version"); !slices.Contains(versions, v) || v < "2019-08-15" || v > "2021-02-01" {
		return because("arc-api-version", "api-version is %q; send api-version=2020-06-01", v)
	}
	if query.Get("resource") == "" {
		return because("arc-resource-missing", "the query has no resource; add resource=api://AzureADTokenExchange, or the application ID URI of what the token is for")
	}
	return nil
}

// challenge refuses a request and names a new file.
func (s *Service) challenge(r *edge.Request, no *refusal) (edge.Response, *refusal) {
	path, err := s.newChallenge(r.Caller.Host)
	if err != nil {
		return edge.Response{}, because("arc-key-folder", "%v", err)
	}
	resp := refuse(r, no)
	// C++ and .NET split this at its only equals sign.
	resp.Header.Set("WWW-Authenticate", "Basic realm="+path)
	return resp, nil
}

func (s *Service) newChallenge(host string) (string, error) {
	c := &s.challenges
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	n := strconv.Itoa(c.count)
	key := strings.ReplaceAll(ident.GUID(s.seed, "arc-key", host, n)+ident.GUID(s.seed, "arc-key-2", host, n), "-", "")
	path, err := s.keys.Put(host, ident.GUID(s.seed, "arc-key-file", host, n), []byte(key))
	if err != nil {
		return "", err
	}
	s.add(host, challenge{path, key})
	return path, nil
}

// add makes a key good, and removes the oldest one if there are too many. The
// caller holds the lock.
func (s *Service) add(host string, key challenge) {
	c := &s.challenges
	if c.open == nil {
		c.open = map[string][]challenge{}
	}
	c.open[host] = append(c.open[host], key)
	if len(c.open[host]) > maxChallenges {
		s.keys.Remove(host, c.open[host][0].path)
		c.open[host] = c.open[host][1:]
	}
}

// take returns the key that a header shows, which nobody else can then show.
func (s *Service) take(host, shown string) (challenge, bool) {
	c := &s.challenges
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.open[host], func(open challenge) bool { return shown == "Basic "+open.key })
	if i < 0 {
		return challenge{}, false
	}
	key := c.open[host][i]
	c.open[host] = slices.Delete(c.open[host], i, i+1)
	return key, true
}

// putBack makes a key good again that led to no token.
func (s *Service) putBack(host string, key challenge) {
	s.challenges.mu.Lock()
	defer s.challenges.mu.Unlock()
	s.add(host, key)
}

// forgetChallenges removes the files of all hosts.
func (s *Service) forgetChallenges() {
	c := &s.challenges
	c.mu.Lock()
	defer c.mu.Unlock()
	for host, all := range c.open {
		for _, open := range all {
			s.keys.Remove(host, open.path)
		}
	}
	c.open = nil
}

// arcIdentity finds the identity that a query means. Agents of before 2026 know
// the system-assigned one only, and ignore selectors.
func (s *Service) arcIdentity(r *edge.Request, host Host, query url.Values) (selector, directory.ManagedIdentity, *refusal) {
	sel, no := vmSelectors.of(query)
	switch {
	case host.IgnoresSelectors:
		sel = selector{}
	case no != nil:
		no.row = "arc-two-selectors"
		return sel, directory.ManagedIdentity{}, no
	}
	m, missed := s.choose(host, sel)
	noteChoice(r, m, query.Get("resource"), query, sel)
	switch {
	case missed == nil:
		return sel, m, nil
	case missed.ambiguous:
		return sel, m, because("arc-multiple-identities", "%s", missed.why)
	}
	return sel, m, because("arc-identity-not-found", "%s", missed.why)
}

// arcBody is the body of IMDS, but it repeats the selector instead of naming the
// client ID: clients of MSAL take the answer for that of an older agent without
// (MSAL Go managedidentity.go, on Azure Arc). refresh_token is empty.
func arcBody(r *edge.Request, a *answer, sel selector, m directory.ManagedIdentity) []byte {
	members := []field{{"access_token", a.token}}
	switch {
	case slices.Contains(sel.of.client, sel.name):
		members = append(members, field{sel.name, string(m.ClientID)})
	case slices.Contains(sel.of.object, sel.name):
		members = append(members, field{sel.name, string(m.ObjectID)})
	case sel.name != "":
		members = append(members, field{sel.name, string(m.ResourceID)})
	}
	return ordered(append(members, field{"refresh_token", ""}, field{"expires_in", strconv.FormatInt(a.expires-r.Now.Unix(), 10)},
		field{"expires_on", strconv.FormatInt(a.expires, 10)}, field{"not_before", strconv.FormatInt(a.notBefore, 10)}, field{"resource", a.resource}, field{"token_type", "Bearer"})...)
}

var errNoFolder = errors.New("there is no folder for key files")

// noFolder is the KeyFolder of services that were given none.
type noFolder struct{}

func (noFolder) Put(string, string, []byte) (string, error) { return "", errNoFolder }
func (noFolder) Remove(string, string)                      {}
