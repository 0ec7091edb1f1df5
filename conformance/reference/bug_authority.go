package reference

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// authorityKnobs change what the client does about authorities, tenants and clouds (AUT).
type authorityKnobs struct {
	configure         []func(*driver.Config) // change the configuration before it is looked at
	ExactTenants      bool                   // the letter case of tenants matters
	TenantIsReference bool                   // a tenant is resolved as a URL reference, whatever it is
}

func authorityBugs() []*Bug {
	return []*Bug{
		{
			Check: "AUT-01", What: "signs in to organizations when its tenant is named by a domain",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) {
					if strings.Contains(k.client.Tenant, ".") {
						inTenant(r, "organizations")
					}
				})
			},
		},
		{
			Check: "AUT-02", What: "goes on with the tenant of the last request that named one", Also: []string{"CAC-03"},
			Break: func(k *knobs) { k.onAsk(lastTenant) },
		},
		{
			Check: "AUT-03", What: "takes any tenant, allowed or not",
			Break: func(k *knobs) { k.AnyTenant = true },
		},
		{
			Check: "AUT-03", What: "tells tenants apart by their letters' case",
			Break: func(k *knobs) { k.ExactTenants = true },
		},
		{
			Check: "AUT-04", What: "takes common for the tenant of the managed identity",
			Break: func(k *knobs) {
				const guess = "guess" // until there is an assertion
				k.configure = append(k.configure, func(c *driver.Config) {
					if slices.Contains([]string{"common", "organizations", "consumers"}, c.Tenant) {
						c.Tenant = guess
					}
				})
				k.request(toAuthority, func(r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/"+guess+"/") {
						inTenant(r, k.client.identityTenant(r.Context()))
					}
				})
			},
		},
		{
			Check: "AUT-05", What: "resolves the tenant as a reference to a URL",
			Break: func(k *knobs) { k.TenantIsReference = true },
		},
		{
			Check: "AUT-06", What: "posts by http if an authority of no cloud says so, which it asks for nothing else",
			Break: func(k *knobs) {
				inClear := false
				k.configure = append(k.configure, func(c *driver.Config) {
					var rest string
					if rest, inClear = strings.CutPrefix(c.Endpoints.Authority, "http://"); inClear {
						inClear = c.Cloud == ""
						c.Endpoints.Authority = "https://" + rest
					}
				})
				k.onWire(toAuthority, func(next http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						if !inClear {
							return next.RoundTrip(r)
						}
						tenant := "https://" + r.URL.Host + "/" + k.client.Tenant
						body, err := json.Marshal(map[string]string{
							"token_endpoint": tenant + "/oauth2/v2.0/token", "authorization_endpoint": tenant + "/oauth2/v2.0/authorize", "issuer": tenant + "/v2.0",
						})
						return with(&http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r}, body), err
					})
				})
				k.request(toToken, func(r *http.Request) {
					if inClear {
						r.URL.Scheme = "http"
					}
				})
			},
		},
		{
			Check: "AUT-07", What: "posts to the token endpoint that a document names, wherever it is",
			Break: func(k *knobs) { k.TrustDocuments = true },
		},
		{
			Check: "AUT-08", What: "takes documents of any issuer",
			Break: func(k *knobs) { k.onWire(toAuthority, anyIssuer) },
		},
		{
			Check: "AUT-09", What: "fails when instance discovery does",
			Break: func(k *knobs) { k.onWire(toAuthority, k.validating) },
		},
		{
			Check: "AUT-10", What: "asks for instance discovery even where it is switched off",
			Break: func(k *knobs) { k.AskDiscovery = true },
		},
		{
			Check: "AUT-11", What: "posts to the login host of the public cloud in every cloud of Azure",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) {
					if cloud := k.client.Cloud; cloud == "usgov" || cloud == "china" {
						r.URL.Host, r.Host = "login.microsoftonline.com", ""
					}
				})
			},
		},
		{
			Check: "AUT-11", What: "asks for the audience of the public cloud in every cloud", Also: []string{"IMDS-04"},
			Break: func(k *knobs) {
				k.configure = append(k.configure, func(c *driver.Config) {
					if c.Audience == clouds[c.Cloud].audience {
						c.Audience = clouds["public"].audience
					}
				})
			},
		},
		{
			Check: "AUT-12", What: "fails when two tenants are used for the first time at once", Also: []string{"CAC-04"},
			Break: func(k *knobs) { k.onWire(toAuthority, oneTenantAtATime()) },
		},
	}
}

// inTenant has a request go to another tenant.
func inTenant(r *http.Request, tenant string) {
	segments := strings.Split(r.URL.Path, "/")
	segments[1] = tenant
	r.URL.Path = strings.Join(segments, "/")
}

// lastTenant remembers the tenant that was asked for last.
func lastTenant(_ *client, next asker) asker {
	var mu sync.Mutex
	last := ""
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		mu.Lock()
		if r.Tenant != "" {
			last = r.Tenant
		}
		r.Tenant = last
		mu.Unlock()
		return next(ctx, r)
	}
}

// identityTenant returns the tenant of the managed identity, if its token says so.
func (c *client) identityTenant(ctx context.Context) string {
	t, err := c.identity.token(ctx, c.Audience, "")
	if err != nil {
		return ""
	}
	var claims struct{ Tid string }
	if parts := strings.Split(t.value, "."); len(parts) == 3 {
		if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(raw, &claims)
		}
	}
	return claims.Tid
}

var issuerMember = regexp.MustCompile(`"issuer":"https://[^/"]*`)

// anyIssuer makes the issuer of a document the one that MSAL expects.
func anyIssuer(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			return nil, err
		}
		return with(resp, issuerMember.ReplaceAll(body.Bytes(), []byte(`"issuer":"https://`+r.URL.Host))), nil
	})
}

// validating asks for instance discovery, unless it is switched off, before any
// document of a tenant.
func (k *knobs) validating(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !k.client.Discovery {
			return next.RoundTrip(r)
		}
		ask := r.Clone(r.Context())
		ask.URL.Path = "/common/discovery/instance"
		ask.URL.RawQuery = url.Values{"api-version": {"1.1"}, "authorization_endpoint": {"https://" + r.URL.Host + "/common/oauth2/v2.0/authorize"}}.Encode()
		resp, err := next.RoundTrip(ask)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, errors.New("instance discovery answered " + resp.Status)
		}
		return next.RoundTrip(r)
	})
}

// oneTenantAtATime fails requests while another one for another tenant is answered.
func oneTenantAtATime() middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		var mu sync.Mutex
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if !mu.TryLock() {
				return nil, errors.New("the authority is being resolved")
			}
			defer mu.Unlock()
			return next.RoundTrip(r)
		})
	}
}
