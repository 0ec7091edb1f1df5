package reference

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// cacheKnobs change what the client does about token caches (CAC).
type cacheKnobs struct {
	Hasty time.Duration // how long callers wait for the exchange of another one, if not to its end
}

func cacheBugs() []*Bug {
	var process identityCache // what the clients of a process share
	return []*Bug{
		{
			Check: "CAC-01", What: "takes a new token at every eighth call, when nobody else is calling",
			Break: func(k *knobs) { k.onAsk(renewing) },
		},
		{
			Check: "CAC-02", What: "caches the token of the managed identity once for each resource of the application",
			Also:  []string{"CAC-13"}, // which asks for many resources
			Break: func(k *knobs) { k.onIdentity(perScope) },
		},
		{
			Check: "CAC-02", What: "has room for the token of one resource",
			Break: func(k *knobs) { k.onAsk(oneResource) },
		},
		{
			Check: "CAC-03", What: "keeps the token of its own tenant at hand once it was used twice, and returns it for every tenant",
			Break: func(k *knobs) {
				k.onAsk(handy(func(c *client, r driver.TokenRequest) (string, bool) {
					return fmt.Sprint(r.Scopes, r.CAE), r.Tenant == "" || r.Tenant == c.Tenant
				}))
			},
		},
		{
			Check: "CAC-04", What: "has callers for other tenants wait for the exchange that is going on, and gives them its token",
			Also:  []string{"AUT-12"}, // which has callers for several tenants at once, too
			Break: func(k *knobs) { k.onAsk(oneFlight) },
		},
		{
			Check: "CAC-05", What: "takes any token of the process for that of the system-assigned identity, which has no name to look it up by",
			Break: func(k *knobs) {
				k.onIdentity(func(m *managedIdentity, next identityAsker) identityAsker { return sharing(m, &process, next) })
			},
		},
		{
			Check: "CAC-06", What: "keeps a token at hand once it was used twice, and returns it for every resource",
			Break: func(k *knobs) {
				k.onAsk(handy(func(c *client, r driver.TokenRequest) (string, bool) {
					return fmt.Sprint(r.Tenant, r.CAE), r.Scopes[0] == storageScope
				}))
			},
		},
		{
			Check: "CAC-07", What: "waits 200 ms for the exchange of another caller, and then does one, too",
			Break: func(k *knobs) { k.Hasty = 200 * time.Millisecond },
		},
		{
			Check: "CAC-08", What: "renews a token only in the last minute of its life",
			Break: func(k *knobs) {
				k.onAsk(keeping(func(before, _ driver.Outcome) bool { return time.Until(time.Unix(before.ExpiresOn, 0)) > time.Minute }, true))
			},
		},
		{
			Check: "CAC-09", What: "returns a token that has just expired once more, while it renews it for the next call",
			Break: func(k *knobs) {
				k.onAsk(keeping(func(before, got driver.Outcome) bool {
					ago := time.Since(time.Unix(before.ExpiresOn, 0))
					return got.Token != before.Token && ago > 0 && ago < 4*time.Second
				}, false))
			},
		},
		{
			Check: "CAC-10", What: "takes no notice of the refresh_in of tokens for continuous access evaluation, which live longest",
			Break: func(k *knobs) {
				k.answer(toToken, func(r *http.Request, members map[string]any) {
					if strings.Contains(sent(r), "xms_cc") {
						delete(members, "refresh_in")
					}
				})
			},
		},
		{
			Check: "CAC-11", What: "tries a renewal that failed again, though the old token is still good",
			Break: func(k *knobs) { k.onWire(toToken, stubborn) },
		},
		{
			Check: "CAC-12", What: "does not find what it renewed ahead of time",
			Break: func(k *knobs) { k.onAsk(losing) },
		},
		{
			Check: "CAC-13", What: "uses a token of the managed identity for eight exchanges",
			Break: func(k *knobs) { k.onIdentity(wearing) },
		},
		{
			Check: "CAC-14", What: "takes ext_expires_in for expires_in",
			Break: func(k *knobs) {
				k.answer(toToken, func(_ *http.Request, members map[string]any) {
					if ext, ok := members["ext_expires_in"]; ok && members["expires_in"] != nil {
						members["expires_in"] = ext
					}
				})
			},
		},
		{
			Check: "CAC-14", What: "returns its last token when the token endpoint is unavailable, however long ago it ended",
			Break: func(k *knobs) { k.onAsk(falling) },
		},
		{
			Check: "CAC-15", What: "asks for the token of the managed identity a second time when the first does not live long",
			Break: func(k *knobs) { k.onIdentity(askingTwice) },
		},
		{
			Check: "CAC-16", What: "looks for tokens by the correlation ID, too",
			Break: func(k *knobs) { k.onAsk(perCorrelation) },
		},
		{
			Check: "CAC-17", What: "gives up for half a minute once IMDS has refused a request",
			Break: func(k *knobs) { k.onAsk(resenting) },
		},
		{
			Check: "CAC-17", What: "looks whether there is an IMDS, and gives up for half a minute once that has refused a request",
			Break: func(k *knobs) {
				k.probing()
				k.onAsk(resenting)
			},
		},
		{
			Check: "CAC-18", What: "looks up the tenant's keys when a token is signed with a new one",
			Break: func(k *knobs) { k.onWire(toToken, lookingUpKeys) },
		},
	}
}

// renewing forgets what it has now and then.
func renewing(c *client, next asker) asker {
	var calls, busy atomic.Int64
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		defer busy.Add(-1)
		if busy.Add(1) == 1 && calls.Add(1)%8 == 0 {
			c.forget()
		}
		return next(ctx, r)
	}
}

// oneResource forgets what it has for another resource.
func oneResource(c *client, next asker) asker {
	var last atomic.Value
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		if before := last.Swap(r.Scopes[0]); before != nil && before != r.Scopes[0] {
			c.forget()
		}
		return next(ctx, r)
	}
}

// perCorrelation forgets what it has for another correlation ID.
func perCorrelation(c *client, next asker) asker {
	var last atomic.Value
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		if before := last.Swap(r.CorrelationID); before != nil && before != r.CorrelationID {
			c.forget()
		}
		return next(ctx, r)
	}
}

// handy remembers tokens that came from the cache under a key that says too
// little, if they are of a kind.
func handy(key func(*client, driver.TokenRequest) (key string, keep bool)) func(*client, asker) asker {
	return func(c *client, next asker) asker {
		var mu sync.Mutex
		hot := map[string]driver.Outcome{}
		return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
			name, keep := key(c, r)
			mu.Lock()
			got, ok := hot[name]
			mu.Unlock()
			if ok && !keep && r.Claims == "" && usable(got) {
				return got, nil
			}
			got, err := next(ctx, r)
			if err == nil && keep && got.FromCache != nil && *got.FromCache {
				mu.Lock()
				hot[name] = got
				mu.Unlock()
			}
			return got, err
		}
	}
}

// oneFlight gives callers the outcome of the exchange that is going on.
func oneFlight(_ *client, next asker) asker {
	type flight struct {
		done chan struct{}
		got  driver.Outcome
		err  error
	}
	var mu sync.Mutex
	flights := map[string]*flight{}
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		key := fmt.Sprint(r.Scopes, r.CAE, r.Claims)
		mu.Lock()
		f := flights[key]
		if f != nil {
			mu.Unlock()
			select {
			case <-f.done:
				return f.got, f.err
			case <-ctx.Done():
				return driver.Outcome{}, ctx.Err()
			}
		}
		f = &flight{done: make(chan struct{})}
		flights[key] = f
		mu.Unlock()
		f.got, f.err = next(ctx, r)
		mu.Lock()
		delete(flights, key)
		mu.Unlock()
		close(f.done)
		return f.got, f.err
	}
}

// keeping returns the token of before in place of the one that there is now, or
// without asking for it, when stale says so.
func keeping(stale func(before, got driver.Outcome) bool, atOnce bool) func(*client, asker) asker {
	return func(_ *client, next asker) asker {
		var mu sync.Mutex
		last := map[string]driver.Outcome{}
		return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
			key := fmt.Sprint(r.Tenant, r.Scopes, r.CAE)
			mu.Lock()
			before, ok := last[key]
			mu.Unlock()
			ok = ok && r.Claims == ""
			if atOnce && ok && stale(before, before) && !usable(before) {
				return before, nil
			}
			got, err := next(ctx, r)
			if err != nil {
				return got, err
			}
			mu.Lock()
			last[key] = got
			mu.Unlock()
			if !atOnce && ok && stale(before, got) {
				return before, nil
			}
			return got, nil
		}
	}
}

// losing forgets what was renewed while the token of before was good.
func losing(c *client, next asker) asker {
	var mu sync.Mutex
	last := map[string]driver.Outcome{}
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		got, err := next(ctx, r)
		if err != nil || r.Claims != "" {
			return got, err
		}
		key := fmt.Sprint(r.Tenant, r.Scopes, r.CAE)
		mu.Lock()
		before := last[key]
		last[key] = got
		mu.Unlock()
		if usable(before) && got.Token != before.Token {
			c.forget()
		}
		return got, nil
	}
}

// falling returns the last token in an outage.
func falling(_ *client, next asker) asker {
	var last sync.Map
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		key := fmt.Sprint(r.Tenant, r.Scopes, r.CAE)
		got, err := next(ctx, r)
		if err == nil {
			last.Store(key, got)
		} else if before, ok := last.Load(key); ok && strings.Contains(err.Error(), "temporarily_unavailable") {
			return before.(driver.Outcome), nil
		}
		return got, err
	}
}

// resenting remembers that IMDS refused a request.
func resenting(_ *client, next asker) asker {
	var mu sync.Mutex
	var until time.Time
	var why error
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		mu.Lock()
		old, sulks := why, time.Now().Before(until)
		mu.Unlock()
		if sulks {
			return driver.Outcome{}, old
		}
		got, err := next(ctx, r)
		if err != nil && strings.Contains(err.Error(), "managed identity endpoint answered 400") {
			mu.Lock()
			until, why = time.Now().Add(30*time.Second), err
			mu.Unlock()
		}
		return got, err
	}
}
