package reference

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// A managedIdentity gets the token of the managed identity that the client is
// configured with.
type managedIdentity struct {
	*client
	http  *http.Client
	cache *identityCache
	ask   identityAsker // what token does

	pinning sync.Mutex
	byPin   map[[sha1.Size]byte]http.RoundTripper // to the server with a certificate
}

// An identityCache is a cache of the tokens of managed identities, by resource.
type identityCache struct {
	mu     sync.Mutex
	tokens map[string]identityToken
}

func (c *identityCache) get(key string) (identityToken, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tokens[key]
	return t, ok
}

func (c *identityCache) put(key string, t identityToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens == nil {
		c.tokens = map[string]identityToken{}
	}
	c.tokens[key] = t
}

// An identityToken is a token and the time in which it can be used.
type identityToken struct {
	value         string
	refresh, ends time.Time
}

func newManagedIdentity(c *client) *managedIdentity {
	m := &managedIdentity{client: c, cache: &identityCache{}, byPin: map[[sha1.Size]byte]http.RoundTripper{}}
	m.http = &http.Client{Transport: c.http.identity, CheckRedirect: m.redirected}
	m.ask = m.acquire
	for _, layer := range c.identityAsked {
		m.ask = layer(m, m.ask)
	}
	return m
}

// redirected follows no redirect: none of these endpoints has one.
func (m *managedIdentity) redirected(_ *http.Request, via []*http.Request) error {
	if m.FollowRedirects || m.RedirectsOf == via[0].URL.Hostname() {
		return nil
	}
	return http.ErrUseLastResponse
}

// token returns a token for a resource. A claims challenge makes it a new one.
func (m *managedIdentity) token(ctx context.Context, resource, claims string) (identityToken, error) {
	return m.ask(ctx, resource, claims)
}

// acquire returns a token from the cache, or fetches it.
func (m *managedIdentity) acquire(ctx context.Context, resource, claims string) (identityToken, error) {
	resource = strings.TrimSuffix(resource, "/.default")
	if m.KeepIdentity && m.Source == "imds" {
		claims = ""
	}
	unlock, err := m.lock(ctx, "identity "+resource)
	if err != nil {
		return identityToken{}, err
	}
	defer unlock()
	t, ok := m.cache.get(resource)
	if ok && claims == "" && (time.Now().Before(t.refresh) || m.UnsignedTimes && m.Source == "imds" && endless(t)) && !m.NoIdentityCache {
		return t, nil
	}
	t, err = m.fetch(ctx, resource, claims)
	if err != nil {
		return identityToken{}, err
	}
	m.cache.put(resource, t)
	return t, nil
}

func (m *managedIdentity) fetch(ctx context.Context, resource, claims string) (identityToken, error) {
	src, err := m.source()
	if err != nil {
		return identityToken{}, err
	}
	refused := ""
	if before, ok := m.cache.get(resource); ok && claims != "" {
		refused = before.value
	}
	for n := 0; ; n++ {
		resp, body, err := m.try(ctx, src, resource, refused)
		if ctx.Err() != nil {
			return identityToken{}, ctx.Err()
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			return m.parse(body)
		}
		status, header := 0, http.Header{}
		if err == nil {
			status, header = resp.StatusCode, resp.Header
			if err = refusal(resp, body); m.Vague && status >= 500 {
				err = failed(driver.Auth, "there is no token")
			}
		}
		permanent := status != 0 && !m.retryable(src, status) || status == 0 && !transient(nil, err) && !errors.Is(err, context.DeadlineExceeded)
		wait, more := m.delay(n, status, header, time.Now())
		if permanent || !more || m.Impatient {
			return identityToken{}, err
		}
		if err := pause(ctx, wait); err != nil {
			return identityToken{}, err
		}
	}
}

// try asks once. An answer that does not come is given up.
func (m *managedIdentity) try(ctx context.Context, src source, resource, refused string) (*http.Response, []byte, error) {
	if m.Deaf {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return src.ask(ctx, m, resource, refused)
}

// send sends a request to the endpoint, and reads the answer.
func (m *managedIdentity) send(req *http.Request) (*http.Response, []byte, error) {
	return m.sendBy(m.http, req)
}

func (m *managedIdentity) sendBy(by *http.Client, req *http.Request) (*http.Response, []byte, error) {
	resp, err := by.Do(req)
	if err != nil {
		return nil, nil, err
	}
	body, err := m.read(resp)
	return resp, body, err
}

// refusal is the error of an answer that is no success.
func refusal(resp *http.Response, body []byte) error {
	var said struct {
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(body, &said) // what is no JSON says nothing
	kind := driver.Auth
	if said.Error == nil {
		kind = driver.Unavailable
	}
	text := fmt.Sprintf("the managed identity endpoint answered %s", resp.Status)
	if said.Error != nil {
		text += fmt.Sprintf(": %v: %s", said.Error, said.Description)
	}
	return &failure{kind, resp.StatusCode, text}
}

// parse reads a token. The earlier of the two times that an answer may give counts.
func (m *managedIdentity) parse(body []byte) (identityToken, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresOn   any    `json:"expires_on"`
		ExpiresIn   any    `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return identityToken{}, failed(driver.Protocol, "the answer of the managed identity endpoint is not JSON")
	}
	if answer.AccessToken == "" {
		return identityToken{}, failed(driver.Protocol, "the answer of the managed identity endpoint has no access_token")
	}
	now := time.Now()
	ends, ok := moment(answer.ExpiresOn)
	if seconds, known := wholeSeconds(answer.ExpiresIn); known {
		if in := now.Add(time.Duration(seconds) * time.Second); !ok || in.Before(ends) {
			ends, ok = in, true
		}
	}
	if !ok {
		return identityToken{}, failed(driver.Protocol, "the answer of the managed identity endpoint does not say when the token expires")
	}
	life := ends.Sub(now)
	if life <= 0 {
		return identityToken{}, failed(driver.Protocol, "the token of the managed identity endpoint has expired already")
	}
	t := identityToken{value: answer.AccessToken, ends: ends, refresh: ends.Add(-5 * time.Minute)}
	if life > 2*time.Hour {
		t.refresh = now.Add(life / 2)
	}
	return t, nil
}

// dialects are the ways in which endpoints write a time, besides seconds since
// 1970.
var dialects = []string{time.RFC3339Nano, "1/2/2006 3:04:05 PM -07:00", "1/2/2006 15:04:05 -07:00"}

func moment(v any) (time.Time, bool) {
	switch v := v.(type) {
	case float64:
		return time.Unix(int64(v), 0), true
	case string:
		if seconds, err := strconv.ParseInt(v, 10, 64); err == nil {
			return time.Unix(seconds, 0), true
		}
		for _, layout := range dialects {
			if t, err := time.Parse(layout, v); err == nil {
				return t, true
			}
		}
	}
	return time.Time{}, false
}
