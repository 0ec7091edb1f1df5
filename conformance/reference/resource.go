package reference

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// storageScope is the resource of every storage account.
const storageScope = "https://storage.azure.com/.default"

// Resource implements [driver.ResourceClient].
func (c *client) Resource(ctx context.Context, r driver.ResourceRequest) (driver.Outcome, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return driver.Outcome{}, err
	}
	if u.Scheme != "https" && !c.InClear {
		return driver.Outcome{}, failed(driver.Misconfig, "%s is not https, and a token must not be sent in clear", u.Redacted())
	}
	if r.Action != driver.ListBlobs {
		got, err := c.use(ctx, u)
		sum := sha256.Sum256(got.body)
		return driver.Outcome{Status: got.status, SHA256: hex.EncodeToString(sum[:])}, err
	}
	return c.list(ctx, u)
}

// list lists the blobs of a container, page by page.
func (c *client) list(ctx context.Context, container *url.URL) (driver.Outcome, error) {
	var all driver.Outcome
	for marker := ""; ; {
		page := *container
		q := url.Values{"restype": {"container"}, "comp": {"list"}}
		if marker != "" {
			q.Set("marker", marker)
		}
		page.RawQuery = q.Encode()
		got, err := c.use(ctx, &page)
		if err != nil {
			return driver.Outcome{}, err
		}
		var listing struct {
			Names []string `xml:"Blobs>Blob>Name"`
			Next  string   `xml:"NextMarker"`
		}
		if err := xml.Unmarshal(got.body, &listing); err != nil {
			return driver.Outcome{}, failed(driver.Protocol, "the list of blobs is not XML")
		}
		all.Status, all.Items = got.status, append(all.Items, listing.Names...)
		if marker = listing.Next; marker == "" {
			return all, nil
		}
	}
}

// A used is what a resource answered.
type used struct {
	status int
	body   []byte
}

// use sends a request with a token. A claims challenge is answered once, and a
// resource that is unavailable is asked again.
func (c *client) use(ctx context.Context, u *url.URL) (used, error) {
	request := driver.TokenRequest{Scopes: []string{storageScope}, CAE: true}
	for n := 0; ; n++ {
		t, err := c.bearer(ctx, u, request)
		if err != nil {
			return used{}, err
		}
		resp, body, err := c.send(ctx, u, t.Token)
		if err != nil {
			return used{}, described(ctx, err)
		}
		if c.Insist != nil && c.Insist(ctx, c, &request, resp, n) {
			continue
		}
		switch {
		case resp.StatusCode == http.StatusOK:
			return used{resp.StatusCode, body}, nil
		case resp.StatusCode == http.StatusUnauthorized && c.answer(&request, resp.Header):
			continue
		case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
			if wait, more := delay(n, resp.StatusCode, resp.Header, time.Now()); more && n < 3 {
				if err := pause(ctx, wait); err != nil {
					return used{}, err
				}
				continue
			}
		}
		return used{status: resp.StatusCode}, &failure{driver.Auth, resp.StatusCode, fmt.Sprintf("the resource answered %s", resp.Status)}
	}
}

// bearer returns the token for a request.
func (c *client) bearer(ctx context.Context, u *url.URL, request driver.TokenRequest) (driver.Outcome, error) {
	if c.Bearer != nil {
		return c.Bearer(ctx, c, u, request)
	}
	return c.Token(ctx, request)
}

func (c *client) send(ctx context.Context, u *url.URL, token string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Ms-Version", "2025-01-05")
	policy := c.redirectPolicy()
	if c.ResourceRedirects != nil {
		policy = c.ResourceRedirects
	}
	resp, err := (&http.Client{Transport: c.http.resource, CheckRedirect: policy}).Do(req)
	if err != nil {
		return nil, nil, err
	}
	body, err := c.read(resp)
	return resp, body, err
}

var claimsParameter = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\bclaims="([^"]*)"`) })

// answer changes what a token is asked for by a challenge, once for each of two
// reasons: the resource wants claims, or belongs to another tenant that the client
// is allowed. Who issues tokens, and what for, is never taken from a challenge.
func (c *client) answer(request *driver.TokenRequest, h http.Header) bool {
	if claims := challenge(h); claims != "" && request.Claims == "" {
		request.Claims = claims
		return true
	}
	tenant := c.homeOf(h)
	if tenant == "" || c.OneTenant || request.Tenant != "" || strings.EqualFold(tenant, c.Tenant) {
		return false
	}
	if _, err := c.tenantFor(tenant); err != nil {
		return false // what the resource answered says more than that
	}
	request.Tenant = tenant
	return true
}

// homeOf returns the tenant that a challenge names at the client's own login host,
// or nothing.
func (c *client) homeOf(h http.Header) string {
	for _, value := range h.Values("Www-Authenticate") {
		found := authorityParameter().FindStringSubmatch(value)
		if found == nil {
			continue
		}
		own, err := url.Parse(c.authority())
		if err != nil || !sameOrigin(found[1], own) {
			continue
		}
		if u, err := url.Parse(found[1]); err == nil {
			tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
			return tenant
		}
	}
	return ""
}

var authorityParameter = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\bauthorization_uri="?([^"\s,]+)`) })

// challenge returns the claims that a resource asks for, or nothing.
func challenge(h http.Header) string {
	for _, value := range h.Values("Www-Authenticate") {
		found := claimsParameter().FindStringSubmatch(value)
		if found == nil || !strings.Contains(value, `error="insufficient_claims"`) || len(found[1]) > 8<<10 {
			continue
		}
		claims, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(found[1], "="))
		if err == nil && json.Valid(claims) {
			return string(claims)
		}
	}
	return ""
}
