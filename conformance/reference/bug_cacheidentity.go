package reference

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// perScope caches the token of the managed identity for each resource of the
// application.
func perScope(m *managedIdentity, next identityAsker) identityAsker {
	var own identityCache
	return func(ctx context.Context, resource, claims string) (identityToken, error) {
		scope := exchangeOf(ctx).scope
		if scope == "" || claims != "" {
			return next(ctx, resource, claims)
		}
		if t, ok := own.get(scope); ok && time.Now().Before(t.refresh) {
			return t, nil
		}
		t, err := m.fetch(ctx, resource, claims)
		if err == nil {
			own.put(scope, t)
			m.cache.put(resource, t)
		}
		return t, err
	}
}

// sharing looks for tokens among those of the process, where an identity without a
// name matches any.
func sharing(m *managedIdentity, process *identityCache, next identityAsker) identityAsker {
	return func(ctx context.Context, resource, claims string) (identityToken, error) {
		key := m.Tenant + " " + resource
		if t, ok := process.get(key); ok && claims == "" && m.Identity.Kind == "system" && time.Now().Before(t.refresh) {
			return t, nil
		}
		t, err := next(ctx, resource, claims)
		if err == nil {
			process.put(key, t)
		}
		return t, err
	}
}

// wearing uses a token eight times.
func wearing(m *managedIdentity, next identityAsker) identityAsker {
	var uses atomic.Int64
	return func(ctx context.Context, resource, claims string) (identityToken, error) {
		if uses.Add(1)%9 != 0 {
			return next(ctx, resource, claims)
		}
		t, err := m.fetch(ctx, resource, claims)
		if err == nil {
			m.cache.put(resource, t)
		}
		return t, err
	}
}

// askingTwice asks once more for a token that is to be renewed soon.
func askingTwice(_ *managedIdentity, next identityAsker) identityAsker {
	return func(ctx context.Context, resource, claims string) (identityToken, error) {
		t, err := next(ctx, resource, claims)
		if err == nil && !time.Now().Before(t.refresh) {
			return next(ctx, resource, claims)
		}
		return t, err
	}
}

// stubborn tries again though there is a token to return.
func stubborn(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || resp.StatusCode < http.StatusInternalServerError || !exchangeOf(r.Context()).spare {
			return resp, err
		}
		_ = resp.Body.Close()
		if err := pause(r.Context(), 2*time.Second); err != nil {
			return nil, err
		}
		return next.RoundTrip(resent(r))
	})
}

// resent returns a request that can be sent once more.
func resent(r *http.Request) *http.Request {
	same := r.Clone(r.Context())
	same.Body = io.NopCloser(strings.NewReader(sent(r)))
	return same
}

// sent returns the body of a request, which may have been read.
func sent(r *http.Request) string {
	body, err := r.GetBody()
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return ""
	}
	return string(text)
}

// lookingUpKeys looks up the keys of a tenant when it sees one that it does not know.
func lookingUpKeys(next http.RoundTripper) http.RoundTripper {
	var mu sync.Mutex
	var known string
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return nil, err
		}
		mu.Lock()
		before := known
		known = keyID(body)
		changed := before != "" && known != before
		mu.Unlock()
		if changed {
			lookUp(next, r)
		}
		return with(resp, body), nil
	})
}

func lookUp(next http.RoundTripper, r *http.Request) {
	u := *r.URL
	u.Path = strings.TrimSuffix(u.Path, "/oauth2/v2.0/token") + "/discovery/v2.0/keys"
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		return
	}
	if resp, err := next.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
	}
}

// keyID returns the name of the key that the token in an answer is signed with.
func keyID(body []byte) string {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	header, _, _ := strings.Cut(answer.AccessToken, ".")
	raw, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return ""
	}
	var fields struct {
		KeyID string `json:"kid"`
	}
	_ = json.Unmarshal(raw, &fields) // what is no JSON names no key
	return fields.KeyID
}
