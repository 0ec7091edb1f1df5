package reference

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// A Quirk is one way to be unusual, and right: something that a released SDK does,
// and that a check which is too strict would take for a mistake.
type Quirk struct {
	What string // what the client does, in a sentence
	Of   string // who does it
	// Only are the checks that it is about; there are none if it is about all.
	Only []string
	// Silent are checks that say nothing about such a client.
	Silent []string
	// Unmet are checks that it does not meet for another reason, which is its own.
	Unmet []string
	// Process says that clients of one process affect one another.
	Process bool
	change  func(*knobs)
}

// Quirks returns all of them.
func Quirks() []*Quirk {
	return []*Quirk{
		{
			What: "asks for a scope without those of OpenID Connect", Of: "@azure/msal-node 7.2.1 and MSAL for Python 1.39.0",
			change: func(k *knobs) { k.scopes(func(resource string) []string { return []string{resource} }) },
		},
		{
			What: "asks for the scopes of OpenID Connect first", Of: "no SDK, but the order has no meaning (RFC 6749 section 3.3)",
			change: func(k *knobs) {
				k.scopes(func(resource string) []string { return []string{"profile", "offline_access", resource, "openid"} })
			},
		},
		{
			What: "has its client-request-id in the URL and in the body of token requests", Of: "@azure/msal-node 7.2.1",
			change: func(k *knobs) {
				k.request(toToken, func(r *http.Request) {
					set := func(v url.Values) { v.Set("client-request-id", r.Header.Get("Client-Request-Id")) }
					query(r, set)
					changeForm(r, set)
					r.Header.Del("Client-Request-Id")
				})
			},
		},
		{
			What: "says in the body who it is", Of: "@azure/msal-node 7.2.1",
			change: func(k *knobs) {
				k.request(toToken, func(r *http.Request) {
					r.Header.Del("X-Client-Sku")
					r.Header.Del("X-Client-Ver")
				})
				k.form(func(f url.Values) {
					for name, value := range map[string]string{
						"x-client-SKU": "reference", "x-client-VER": "1", "x-client-OS": "linux", "x-client-CPU": "amd64", "x-client-current-telemetry": "5|771,0,,,|,",
						"x-client-last-telemetry": "5|0|||0,0", "x-ms-lib-capability": "retry-after, h429",
					} {
						f.Set(name, value)
					}
				})
			},
		},
		{
			What: "asks for discovery, and ends the address with a question mark", Of: "MSAL Go 1.10.1",
			change: func(k *knobs) {
				k.configure = append(k.configure, func(c *driver.Config) { k.AskDiscovery = c.Discovery })
				k.request(toAuthority, func(r *http.Request) { r.URL.ForceQuery = r.URL.RawQuery == "" })
			},
		},
		{
			What: "asks for no discovery document", Of: "@azure/msal-node 7.2.1",
			Silent: []string{"AUT-07", "AUT-08"},
			change: func(k *knobs) { k.onWire(toAuthority, undocumented) },
		},
		{
			What: "repeats a request with the assertion in it when a server fails", Of: "azcore 1.24.0",
			Unmet:  []string{"CAC-11"}, // callers wait for it, though they have a token
			change: func(k *knobs) { k.onWire(toToken, replaying) },
		},
		{
			What: "says in all token requests what it understands of claims", Of: "azidentity 1.15.0, as the SDKs for storage use it",
			Silent: []string{"CAE-05"},
			change: func(k *knobs) { k.form(func(f url.Values) { f.Set("claims", understanding(f.Get("claims"), "CP1")) }) },
		},
		{
			What: "says so in small letters", Of: "@azure/identity 4.13.1",
			Silent: []string{"CAE-05"},
			change: func(k *knobs) { k.form(func(f url.Values) { f.Set("claims", understanding(f.Get("claims"), "cp1")) }) },
		},
		{
			What: "keeps tokens of managed identities for its whole process", Of: "MSAL Go 1.10.1", Process: true,
			change: func(k *knobs) {
				k.onIdentity(func(m *managedIdentity, next identityAsker) identityAsker {
					m.cache = shared(m.Config)
					return next
				})
			},
		},
		{
			What: "sends a media type and its names with requests for the managed identity's token", Of: "@azure/identity 4.13.1 and azidentity 1.15.0",
			change: func(k *knobs) {
				k.request(toIdentity, func(r *http.Request) {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					r.Header.Set("Accept", "application/json")
					r.Header.Set("X-Client-Sku", "reference")
					r.Header.Set("X-Client-Ver", "1")
					r.Header.Set("X-Ms-Client-Request-Id", uuid.NewString())
				})
			},
		},
		{
			What: "asks for no information on the client", Of: "@azure/msal-node 7.2.1",
			change: func(k *knobs) { k.form(func(f url.Values) { f.Del("client_info") }) },
		},
		{
			What: "leaves it to the application to come again when it is told when", Of: "MSAL.NET",
			change: func(k *knobs) { k.NotIfTold = true },
		},
		{
			What: "renews tokens by itself, before anybody asks for them", Of: "no SDK, but sidecars and daemons",
			change: func(k *knobs) { k.onAsk(unasked) },
		},
		{
			What: "looks whether there is an IMDS before it asks for its first token", Of: "DefaultAzureCredential of several SDKs",
			change: func(k *knobs) { k.probing() },
		},
		{
			What: "goes by the name of its cloud, and to the public one where there is none", Of: "no SDK, but drivers of some",
			Silent: []string{"AUT-06", "AUT-10"},
			change: func(k *knobs) {
				k.request(toToken, func(r *http.Request) {
					if k.client.Cloud == "" && k.client.Endpoints.Mode != "explicit" {
						r.URL.Host, r.Host = "login.microsoftonline.com", ""
					}
				})
			},
		},
		{
			What: "waits until a new federated identity credential is seen, for longer than its caller would", Of: "no SDK, but deployments that have just made one",
			Only: []string{"ERR-03", "ERR-04"},
			change: func(k *knobs) {
				k.onWire(toToken, insisting(4, 20*time.Second, "No matching federated identity record"))
				k.onWire(toToken, deaf)
			},
		},
		{
			What: "asks IMDS again at once the first time that it is busy", Of: "azure-identity for Python 1.27.0",
			Only:   []string{"IMDR-02"},
			change: func(k *knobs) { k.whenBusy(func(n int) time.Duration { return time.Duration(n) * time.Second }) },
		},
		{
			What: "first asks a resource without a token, to be told what is wanted", Of: "azure-keyvault for Python and its like",
			change: func(k *knobs) { k.onWire(toResource, curious()) },
		},
		{
			What: "posts to the login host of a region", Of: "MSAL, where it is configured with one",
			Only: []string{"AST-04", "AST-05", "AST-12", "AUT-11"}, // others are about what the login host does
			change: func(k *knobs) {
				regions := map[string]string{
					"login.microsoftonline.com": "westeurope.login.microsoft.com", "login.microsoftonline.us": "usgovvirginia.login.microsoftonline.us",
					"login.partner.microsoftonline.cn": "chinaeast2.login.partner.microsoftonline.cn",
				}
				k.request(toToken, func(r *http.Request) {
					if host := regions[r.URL.Host]; host != "" {
						r.URL.Host, r.Host = host, host
					}
				})
			},
		},
		{
			What: "asks App Service by the version of 2017", Of: "azure-identity for C++",
			Only: []string{"MIT-04"},
			change: func(k *knobs) {
				k.request(toIdentity, func(r *http.Request) {
					if secret := r.Header.Get("X-Identity-Header"); secret != "" {
						r.Header.Del("X-Identity-Header")
						r.Header.Set("Secret", secret)
						query(r, func(q url.Values) {
							q.Set("api-version", "2017-09-01")
							q.Set("clientid", q.Get("client_id"))
							q.Del("client_id")
						})
					}
				})
			},
		},
	}
}

// NewQuirky returns the driver of a client with a quirk.
func NewQuirky(q *Quirk) driver.Driver {
	return reference{&Bug{Check: "none: it " + q.What, Break: q.change}}
}

// scopes changes what is asked for besides a resource, and where that stands.
func (k *knobs) scopes(all func(resource string) []string) {
	k.form(func(f url.Values) {
		if scope := strings.Fields(f.Get("scope")); len(scope) > 0 {
			f.Set("scope", strings.Join(all(scope[0]), " "))
		}
	})
}

// probing has the client look whether there is an IMDS before it asks for its first
// token: without the header that IMDS wants, which refuses it.
func (k *knobs) probing() {
	var looked sync.Once
	k.before(func(next http.RoundTripper, r *http.Request) {
		looked.Do(func() {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			r = r.WithContext(ctx)
			r.Header.Del("Metadata")
			wasted(next, r)
		})
	})
}

// undocumented answers for discovery documents with what is known of them anyway.
func undocumented(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		tenant, _, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
		if !strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
			return next.RoundTrip(r)
		}
		at := "https://" + r.URL.Host + "/" + tenant
		body, err := json.Marshal(map[string]string{"issuer": at + "/v2.0", "token_endpoint": at + "/oauth2/v2.0/token", "authorization_endpoint": at + "/oauth2/v2.0/authorize"})
		if err != nil {
			return nil, err
		}
		return with(&http.Response{Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}}, Request: r}, body), nil
	})
}

// replaying sends a request again, to the byte, when a server fails and does not say
// when to come again. It knows nothing of assertions.
func replaying(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		for last := false; ; last = true {
			r.Body = io.NopCloser(bytes.NewReader(body))
			resp, err := next.RoundTrip(r)
			if err != nil || last || resp.StatusCode < 500 || resp.Header.Get("Retry-After") != "" {
				return resp, err
			}
			_ = resp.Body.Close()
			if err := pause(r.Context(), time.Second); err != nil {
				return nil, err
			}
		}
	})
}

// unasked keeps each token that was asked for new, until the client is closed.
func unasked(c *client, next asker) asker {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	c.closing = append(c.closing, func() { cancel(); group.Wait() })
	var kept sync.Map
	keep := func(r driver.TokenRequest, got driver.Outcome) {
		for {
			ends := time.Unix(got.ExpiresOn, 0)
			if got.RefreshOn != 0 {
				ends = time.Unix(got.RefreshOn, 0)
			}
			if pause(ctx, max(time.Until(ends)/2, time.Second)) != nil {
				return
			}
			var err error
			if got, err = next(ctx, r); err != nil {
				kept.Delete(fmt.Sprint(r)) // until somebody asks again
				return
			}
		}
	}
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		got, err := next(ctx, r)
		if _, before := kept.LoadOrStore(fmt.Sprint(r), true); err == nil && !before {
			group.Go(func() { keep(r, got) })
		}
		return got, err
	}
}

// curious asks each host once without a token.
func curious() middleware {
	var asked sync.Map
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if _, before := asked.LoadOrStore(r.URL.Host, true); !before {
				bare := r.Clone(r.Context())
				bare.Header.Del("Authorization")
				wasted(next, bare)
			}
			return next.RoundTrip(r)
		})
	}
}

// understanding adds what a client understands to the claims that it asks for.
func understanding(claims, capability string) string {
	var all map[string]any
	if json.Unmarshal([]byte(claims), &all) != nil {
		all = map[string]any{}
	}
	access, _ := all["access_token"].(map[string]any)
	if access == nil {
		access = map[string]any{}
	}
	access["xms_cc"] = map[string]any{"values": []string{capability}}
	all["access_token"] = access
	all["id_token"] = map[string]any{"signin_state": map[string]any{"essential": false}}
	text, _ := json.Marshal(all) // it comes from JSON
	return string(text)
}

// processCaches are caches that all clients of this process share, by identity.
var processCaches sync.Map

func shared(c driver.Config) *identityCache {
	got, _ := processCaches.LoadOrStore(c.Source+" "+c.Identity.Kind+" "+c.Identity.Value, &identityCache{})
	return got.(*identityCache)
}
