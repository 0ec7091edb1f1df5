package reference

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// msal is the module that does the exchange.
const msal = "github.com/AzureAD/microsoft-authentication-library-for-go"

type reference struct{ bug *Bug }

// New returns the driver of the reference client, or of one that has a bug.
func New(bug *Bug) driver.Driver { return reference{bug} }

func (r reference) Hello() driver.Hello {
	name := "reference"
	if r.bug != nil {
		name += " with the bug " + r.bug.Check
	}
	h := driver.Hello{
		Implementation: driver.Implementation{Name: name, Version: "1", Language: "go", Runtime: runtime.Version()},
		Capabilities:   driver.Capabilities(),
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, d := range build.Deps {
			if d.Path == msal {
				h.Dependencies = append(h.Dependencies, driver.Dependency{Name: d.Path, Version: d.Version})
			}
		}
	}
	return h
}

func (r reference) Open(c driver.Config) (driver.Client, error) {
	k := &knobs{}
	if r.bug != nil {
		r.bug.Break(k)
	}
	client := &client{Config: c, knobs: k, apps: map[appKey]confidential.Client{}, locks: map[string]chan struct{}{}, last: map[string]driver.Outcome{}}
	k.client = client
	for _, change := range k.configure {
		change(&client.Config)
	}
	if err := client.check(); err != nil {
		return nil, err
	}
	client.http = newTransports(client)
	client.ask = client.acquire
	for _, layer := range k.asked {
		client.ask = layer(client, client.ask)
	}
	client.identity = newManagedIdentity(client)
	return client, nil
}

// A client is one client under test.
type client struct {
	driver.Config
	*knobs
	http     *transports
	identity *managedIdentity
	ask      asker // what Token does
	closing  []func()

	mu    sync.Mutex
	apps  map[appKey]confidential.Client
	locks map[string]chan struct{} // held while one caller does an exchange for all
	last  map[string]driver.Outcome
}

type appKey struct {
	tenant string
	cae    bool
}

// lock waits for its turn at something that one caller does at a time.
func (c *client) lock(ctx context.Context, key string) (unlock func(), err error) {
	var enough <-chan time.Time
	switch {
	case c.NoSingleFlight:
		return func() {}, nil
	case c.Hasty > 0 && !strings.HasPrefix(key, "identity "):
		enough = time.After(c.Hasty)
	}
	c.mu.Lock()
	l := c.locks[key]
	if l == nil {
		l = make(chan struct{}, 1)
		c.locks[key] = l
	}
	c.mu.Unlock()
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-c.Stampede: // never, in the right client
		return func() {}, nil
	case <-enough: // nor this
		return func() {}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Token implements [driver.Client].
func (c *client) Token(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
	return c.ask(ctx, r)
}

// acquire returns a token from the cache, or does the exchange.
func (c *client) acquire(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
	tenant, err := c.tenantFor(r.Tenant)
	if err != nil {
		return driver.Outcome{}, err
	}
	if err := checkScopes(r.Scopes); err != nil {
		return driver.Outcome{}, err
	}
	key := strings.Join(append([]string{tenant, fmt.Sprint(r.CAE)}, r.Scopes...), " ")
	unlock, err := c.lock(ctx, key)
	if err != nil {
		return driver.Outcome{}, err
	}
	defer unlock()
	app, err := c.app(appKey{tenant, c.CAE || r.CAE})
	if err != nil {
		return driver.Outcome{}, err
	}
	c.mu.Lock()
	before := c.last[key]
	c.mu.Unlock()
	e := &exchange{claims: r.Claims, correlation: r.CorrelationID, scope: r.Scopes[0], spare: r.Claims == "" && usable(before)}
	ctx = context.WithValue(ctx, exchangeKey{}, e)
	if c.EagerAssertion {
		if e.assertion, err = c.assertion(ctx, confidential.AssertionRequestOptions{}); err != nil {
			return driver.Outcome{}, described(ctx, err)
		}
	}
	var options []confidential.AcquireByCredentialOption
	if r.Claims != "" {
		options = append(options, confidential.WithClaims(r.Claims))
	}
	result, err := app.AcquireTokenByCredential(ctx, r.Scopes, options...)
	if err != nil {
		c.logf("there is no token for %s: %v", r.Scopes[0], err)
		return driver.Outcome{}, described(ctx, err)
	}
	cached := result.Metadata.TokenSource == confidential.TokenSourceCache
	got := driver.Outcome{Token: result.AccessToken, ExpiresOn: result.ExpiresOn.Unix(), TokenType: "Bearer", FromCache: &cached}
	if !result.Metadata.RefreshOn.IsZero() {
		got.RefreshOn = result.Metadata.RefreshOn.Unix()
	}
	c.mu.Lock()
	c.last[key] = got
	c.mu.Unlock()
	return got, nil
}

// usable reports whether a token could be returned if there were no other.
func usable(o driver.Outcome) bool {
	return o.Token != "" && time.Now().Add(5*time.Minute).Unix() < o.ExpiresOn
}

// An exchange is what the parts of a client tell one another about a request.
type exchange struct {
	claims      string // the claims challenge that it answers
	correlation string // the caller's name for it
	scope       string // what the token is for
	spare       bool   // there is a token to return if this fails: nothing is tried twice
	assertion   string // that was got before, by a client that does
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return *e
	}
	return exchange{}
}

// app returns the client of MSAL for a tenant. Those that say that they understand
// continuous access evaluation have a cache of their own.
func (c *client) app(key appKey) (confidential.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := key
	if c.OneCache {
		place.cae = false
	}
	if app, ok := c.apps[place]; ok && !c.NoAppCache {
		return app, nil
	}
	options := []confidential.Option{
		confidential.WithHTTPClient(&http.Client{Transport: c.http.authority, CheckRedirect: c.redirectPolicy()}),
		confidential.WithInstanceDiscovery(c.AskDiscovery), // the login hosts of the clouds are known
	}
	if key.cae {
		options = append(options, confidential.WithClientCapabilities([]string{"cp1"}))
	}
	if file, ok := c.cacheFile(key.tenant); ok {
		options = append(options, confidential.WithCache(file))
	}
	app, err := confidential.New(c.authorityOf(key.tenant), c.AppClientID, confidential.NewCredFromAssertionCallback(c.assertion), options...)
	if err != nil {
		return app, err
	}
	c.apps[place] = app
	return app, nil
}

// assertion returns the token of the managed identity.
func (c *client) assertion(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
	if c.Source == "tokenfile" {
		return c.tokenFile()
	}
	e := exchangeOf(ctx)
	if e.assertion != "" {
		return e.assertion, nil
	}
	t, err := c.identity.token(ctx, c.Audience, e.claims)
	if refused, ok := errors.AsType[*failure](err); ok && refused.status/100 == 4 && c.HideReason {
		err = failed(refused.kind, "there is no assertion")
	}
	return t.value, err
}

// ManagedIdentityToken implements [driver.ManagedIdentityClient].
func (c *client) ManagedIdentityToken(ctx context.Context, resource string) (driver.Outcome, error) {
	t, err := c.identity.token(ctx, resource, "")
	if err != nil {
		return driver.Outcome{}, described(ctx, err)
	}
	return driver.Outcome{Token: t.value, ExpiresOn: t.ends.Unix(), TokenType: "Bearer"}, nil
}

// Close implements [driver.Client].
func (c *client) Close() error {
	for _, end := range c.closing {
		end()
	}
	c.http.base.CloseIdleConnections()
	return nil
}

// redirectPolicy follows no redirect: there is none that a client of these services
// has to follow, and each could lead its credentials elsewhere.
func (c *client) redirectPolicy() func(*http.Request, []*http.Request) error {
	if c.FollowRedirects {
		return nil
	}
	return func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// described returns an error with what is known of its kind.
func described(ctx context.Context, err error) error {
	f := &driver.Failure{Kind: driver.Auth, Message: err.Error()}
	var known *failure
	switch {
	case errors.Is(err, context.Canceled), context.Cause(ctx) == context.Canceled:
		f.Kind = driver.Cancelled
	case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		f.Kind = driver.TimedOut
	case errors.As(err, &known):
		f.Kind, f.HTTPStatus = known.kind, known.status
	case strings.Contains(f.Message, "x509:") || strings.Contains(f.Message, "tls:"):
		f.Kind = driver.TLS
	}
	return f
}

// A failure is an error of the client's own.
type failure struct {
	kind   driver.Kind
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func failed(kind driver.Kind, format string, args ...any) *failure {
	return &failure{kind: kind, text: fmt.Sprintf(format, args...)}
}
