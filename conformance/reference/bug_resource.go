package reference

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// resourceKnobs change what the client does about the use of the token (RES).
type resourceKnobs struct {
	// Bearer returns the token for a request in another way.
	Bearer func(context.Context, *client, *url.URL, driver.TokenRequest) (driver.Outcome, error)
	// Insist looks at the answer to the n-th attempt, from 0, and reports whether
	// there is to be another one at once, with what it made of the request.
	Insist func(ctx context.Context, c *client, r *driver.TokenRequest, resp *http.Response, n int) bool
	// ResourceRedirects is the policy on redirects of the resource.
	ResourceRedirects func(req *http.Request, via []*http.Request) error
	OneTenant         bool // whichever the account belongs to
}

func resourceBugs() []*Bug {
	return []*Bug{
		{
			Check: "RES-01", What: "sends the token in a form as well, for resources that look for it there",
			Break: func(k *knobs) {
				k.request(toResource, func(r *http.Request) {
					form := url.Values{"access_token": {strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}}.Encode()
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(form)), int64(len(form))
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				})
			},
		},
		{
			Check: "RES-02", What: "tries the managed identity's own token first, in case it has access itself", Also: []string{"AST-12"}, // it is a token of the identity that gets there
			Break: tryIdentityFirst,
		},
		{
			Check: "RES-03", What: "follows redirects to any host that has https, with the token",
			Break: func(k *knobs) {
				k.ResourceRedirects = func(req *http.Request, via []*http.Request) error {
					if req.URL.Scheme != "https" || len(via) > 5 {
						return http.ErrUseLastResponse
					}
					req.Header.Set("Authorization", via[0].Header.Get("Authorization"))
					return nil
				}
			},
		},
		{Check: "RES-04", What: "lists a container by its http URL, too", Break: func(k *knobs) { k.InClear = true }},
		{
			Check: "RES-05", What: "follows redirects on the same host, whatever their scheme",
			Break: func(k *knobs) {
				k.ResourceRedirects = func(req *http.Request, via []*http.Request) error {
					if req.URL.Hostname() != via[0].URL.Hostname() || len(via) > 5 {
						return http.ErrUseLastResponse
					}
					return nil
				}
			},
		},
		{
			Check: "RES-06", What: "asks for a token for the resource_id of a challenge",
			Break: func(k *knobs) {
				k.Insist = func(_ context.Context, _ *client, r *driver.TokenRequest, resp *http.Response, _ int) bool {
					asked := parameter(resp, "resource_id")
					if resp.StatusCode != http.StatusUnauthorized || asked == "" || r.Scopes[0] == asked+"/.default" {
						return false
					}
					r.Scopes = []string{asked + "/.default"}
					return true
				}
			},
		},
		{
			Check: "RES-07", What: "looks up the authority that a challenge names before it decides whether to use it",
			Break: func(k *knobs) { k.Insist = lookUpAuthority },
		},
		{Check: "RES-08", What: "has one tenant, whichever the account belongs to", Break: func(k *knobs) { k.OneTenant = true }},
		{
			Check: "RES-09", What: "takes every refusal without a challenge for a token that has gone bad, and gets another one, four times",
			Break: func(k *knobs) {
				k.Insist = func(_ context.Context, c *client, _ *driver.TokenRequest, resp *http.Response, n int) bool {
					refused := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized
					if !refused || n > 3 || resp.Header.Get("Www-Authenticate") != "" {
						return false
					}
					c.forget()
					return true
				}
			},
		},
		{
			Check: "RES-10", What: "throws its token away when the resource is busy",
			Break: func(k *knobs) {
				k.Insist = func(_ context.Context, c *client, _ *driver.TokenRequest, resp *http.Response, _ int) bool {
					if resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests {
						c.forget()
					}
					return false
				}
			},
		},
		{
			Check: "RES-11", What: "keeps the token for storage in a variable of the process, for all tenants",
			Break: shareBearer(),
		},
		{
			Check: "RES-12", What: "sends the token that a list began with to its end",
			Break: func(k *knobs) {
				var first atomic.Pointer[driver.Outcome]
				k.Bearer = func(ctx context.Context, c *client, u *url.URL, r driver.TokenRequest) (driver.Outcome, error) {
					if kept := first.Load(); kept != nil && u.Query().Has("marker") {
						return *kept, nil
					}
					got, err := c.Token(ctx, r)
					if err == nil {
						first.Store(&got)
					}
					return got, err
				}
			},
		},
		{
			Check: "RES-12", What: "takes a token of the application that has ended for an error",
			Silent: []string{"AST-10", "CAC-09", "CAC-14"}, // which are about the next one
			Break:  func(k *knobs) { k.onAsk(ending) },
		},
	}
}

// ending takes a token that has ended for an error. One that is renewed before is not.
func ending(_ *client, next asker) asker {
	var ends sync.Map
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		key := fmt.Sprint(r.Tenant, r.Scopes, r.CAE)
		if at, ok := ends.Load(key); ok && r.Claims == "" && time.Now().After(at.(time.Time)) {
			return driver.Outcome{}, failed(driver.Auth, "the token of the application has expired")
		}
		got, err := next(ctx, r)
		if err == nil {
			ends.Store(key, time.Unix(got.ExpiresOn, 0))
		}
		return got, err
	}
}

// tryIdentityFirst has the first request for a resource carry the token of the
// managed identity.
func tryIdentityFirst(k *knobs) {
	var denied atomic.Bool
	k.Bearer = func(ctx context.Context, c *client, _ *url.URL, r driver.TokenRequest) (driver.Outcome, error) {
		got, err := c.Token(ctx, r)
		if denied.Load() || err != nil {
			return got, err
		}
		return c.ManagedIdentityToken(ctx, "https://storage.azure.com")
	}
	k.Insist = func(_ context.Context, _ *client, _ *driver.TokenRequest, resp *http.Response, _ int) bool {
		refused := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized
		first := refused && denied.CompareAndSwap(false, true)
		return first && challenge(resp.Header) == "" // that one has its answer
	}
}

// shareBearer returns what has all clients of a process send the same token. Two
// clients are of one process if they have one network.
func shareBearer() func(*knobs) {
	var mu sync.Mutex
	var network *http.Transport
	var kept driver.Outcome
	return func(k *knobs) {
		k.Bearer = func(ctx context.Context, c *client, _ *url.URL, r driver.TokenRequest) (driver.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			if network == c.Transport && r.Claims == "" && r.Tenant == "" && usable(kept) {
				return kept, nil
			}
			got, err := c.Token(ctx, r)
			if err == nil {
				network, kept = c.Transport, got
			}
			return got, err
		}
	}
}

// lookUpAuthority gets the metadata of the authority in a challenge, and then does
// as if nothing were.
func lookUpAuthority(ctx context.Context, c *client, _ *driver.TokenRequest, resp *http.Response, _ int) bool {
	where, found := strings.CutSuffix(parameter(resp, "authorization_uri"), "/oauth2/authorize")
	if !found {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where+"/v2.0/.well-known/openid-configuration", nil)
	if err != nil {
		return false
	}
	if document, err := c.http.authority.RoundTrip(req); err == nil {
		_, _ = io.Copy(io.Discard, document.Body) // nobody looks at it
		_ = document.Body.Close()
	}
	return false
}

// parameter returns a parameter of a challenge in the form that storage has.
func parameter(resp *http.Response, name string) string {
	found := regexp.MustCompile(`\b` + name + `=([^\s",]+)`).FindStringSubmatch(resp.Header.Get("Www-Authenticate"))
	if found == nil {
		return ""
	}
	return found[1]
}

// forget empties the cache of application tokens.
func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.apps)
	clear(c.last)
}
