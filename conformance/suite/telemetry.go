package suite

import (
	"net/http"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// pageCorrelation says what the identifiers in errors are for.
const pageCorrelation = "https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response"

// telemetryChecks are about what clients say of themselves (TEL).
func telemetryChecks() []*Check {
	return []*Check{
		{
			ID: "TEL-01", Level: Should, Tags: []string{"tel"}, Title: "every exchange has an identifier of its own",
			Requirement: "A request to the token endpoint has a client-request-id that is a GUID, and no two requests of callers share one.",
			Sources:     []string{pageCorrelation},
			Provokes:    "Three exchanges, for three resources.",
			Passes:      "each has a GUID as client-request-id in its header, URL or body, which no exchange for another resource has",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				for _, scope := range []string{StorageScope, vaultScope, "https://management.azure.com/.default"} {
					s.Ask(driver.TokenRequest{Scopes: []string{scope}})
				}
				resources := map[string]string{} // by identifier
				for _, x := range s.Reached(lab.Token) {
					id, resource := requestID(x), resourceScope(x)
					s.Want("guid", guid().MatchString(id), "a GUID as client-request-id", "%q", id)
					first, known := resources[id]
					if !known {
						resources[id], first = resource, resource
					}
					s.Want("unique", first == resource, "another client-request-id for "+resource+" than for "+first, "%q for both", id)
				}
			}}},
		},
		{
			ID: "TEL-02", Level: May, Tags: []string{"tel"}, Title: "the library says its name and its version",
			Requirement: "A request to the token endpoint has x-client-SKU and x-client-Ver, in its header, URL or body.",
			Sources:     []string{"https://github.com/AzureAD/microsoft-authentication-library-for-go/pull/611"},
			Provokes:    "Nothing.",
			Passes:      "both are there, and not empty",
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				s.Token()
				for _, x := range s.Reached(lab.Token) {
					for _, name := range []string{"x-client-SKU", "x-client-Ver"} {
						s.Want(strings.ToLower(name), said(x, name) != "", name, "none")
					}
				}
			}}},
		},
		{
			ID: "TEL-03", Level: Should, Tags: []string{"tel", "sec"}, Title: "User-Agent names the client, and nobody",
			Requirement: "Every request has a User-Agent with the name and the version of the client, not but of its HTTP library or runtime, and without the name of a user or a machine.",
			Sources:     []string{"RFC 9110 section 10.1.5"},
			Provokes:    "Nothing. The variables USER, LOGNAME, USERNAME and HOSTNAME have names to look for.",
			Passes:      "every request for a token, and to storage, has a product with a version in User-Agent that is no library's own; none has those names",
			Needs:       []driver.Capability{driver.IMDS},
			Known:       []string{"MSAL Go 1.10.1: not met (observed)", "@azure/msal-node 7.2.1: not met (observed)", "MSAL for Python 1.39.0: not met (observed)"},
			Cases: []Case{{Run: func(s *Session) {
				const somebody, somewhere = "user-5d41402abc", "machine-7d793037a0"
				s.Environ = append(s.Environ, "USER="+somebody, "LOGNAME="+somebody, "USERNAME="+somebody, "HOSTNAME="+somewhere)
				s.use()
				s.Reached(lab.Token)
				for _, x := range s.Exchanges(lab.IMDSToken, lab.Token, lab.Blob) {
					agent := x.Header.Get("User-Agent")
					s.Want("product", namesClient(agent), "the client's name and version in User-Agent", "%q to %s", agent, x.URL.Host)
					private := slices.ContainsFunc(append(ownNames(), somebody, somewhere), func(name string) bool { return strings.Contains(agent, name) })
					s.Want("private", !private, "no user and no machine in User-Agent", "%q to %s", agent, x.URL.Host)
				}
			}}},
		},
		{
			ID: "TEL-04", Level: Should, Tags: []string{"tel", "retry"}, Title: "another attempt keeps the identifier of the first",
			Requirement: "All requests to the token endpoint that one call of a caller leads to have the same client-request-id. A client that does not try again by itself has nothing to keep.",
			Sources:     []string{pageCorrelation},
			Provokes:    "The token endpoint answers 503 once.",
			Passes:      "the second request has the client-request-id of the first",
			Cost:        Timed,
			Needs:       []driver.Capability{driver.IMDS},
			Cases: []Case{{Run: func(s *Session) {
				s.Patience = 40 * time.Second
				busy := lab.JSON(http.StatusServiceUnavailable, map[string]any{"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error has occurred. Please try again."})
				r := s.Fault(lab.Token, 1, lab.Always(busy))
				s.Token()
				s.Armed(r)
				seen := s.Exchanges(lab.Token)
				switch {
				case len(seen) == 1:
					s.Skip("the client does not try again by itself")
				case len(seen) > 1 && requestID(seen[0]) == "":
					s.Skip("the client sends no client-request-id; see TEL-01")
				}
				for _, x := range seen {
					s.Want("same", requestID(x) == requestID(seen[0]), requestID(seen[0]), "%s", requestID(x))
				}
			}}},
		},
	}
}

var guid = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
})

// said returns a value that clients send in the header, the URL or the body.
func said(x *lab.Exchange, name string) string {
	for _, value := range []string{x.Header.Get(name), parameter(x.Query(), name), parameter(x.Form(), name)} {
		if value != "" {
			return value
		}
	}
	return ""
}

func parameter(all map[string][]string, name string) string {
	for key, values := range all {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

func requestID(x *lab.Exchange) string {
	if id := said(x, "client-request-id"); id != "" {
		return id
	}
	return said(x, "x-ms-client-request-id")
}

// resourceScope returns the scope of an exchange that names a resource.
func resourceScope(x *lab.Exchange) string {
	scopes := strings.Fields(x.Form().Get("scope"))
	if i := slices.IndexFunc(scopes, func(s string) bool { return strings.HasSuffix(s, "/.default") }); i >= 0 {
		return scopes[i]
	}
	return strings.Join(scopes, " ")
}

// A product of a User-Agent is a name and a version.
var product = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([A-Za-z0-9!#$%&'*+.^_~|-]+)/[A-Za-z]*[0-9][^\s;,()]*`)
})

// impersonal are products that say nothing of the client: HTTP libraries, and the
// runtimes that have one.
var impersonal = []string{
	"go-http-client", "node", "node.js", "node-fetch", "undici", "axios", "got", "bun", "deno", "python", "python-requests", "python-urllib", "python-httpx",
	"aiohttp", "java", "java-http-client", "jdk", "okhttp", "apache-httpclient", "netty", "reactornetty", "vert.x", "reqwest", "hyper", "ruby", "faraday",
	"guzzlehttp", "php", "mozilla",
}

// namesClient reports whether a User-Agent has a product other than those.
func namesClient(agent string) bool {
	for _, found := range product().FindAllStringSubmatch(agent, -1) {
		if !slices.Contains(impersonal, strings.ToLower(found[1])) {
			return true
		}
	}
	return false
}

// ownNames are names of this machine and of who uses it that are long enough to
// mean nothing else.
func ownNames() []string {
	var all []string
	if name, err := os.Hostname(); err == nil {
		all = append(all, name)
	}
	if u, err := user.Current(); err == nil {
		all = append(all, u.Username)
	}
	return slices.DeleteFunc(all, func(name string) bool { return len(name) < 8 })
}
