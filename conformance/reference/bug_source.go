package reference

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// sourceKnobs change what the client does about managed identity sources other
// than IMDS (SRC).
type sourceKnobs struct {
	OlderFirst  bool    // the older variables come before those of App Service
	Overlook    string  // a source that hands out whatever it has, not what is configured
	LooseFolder bool    // the path of a key file has to begin right
	LongKeys    bool    // a key has any length
	FollowLinks bool    // a key file may be a link
	EmptyKey    bool    // a challenge that is not understood is answered with no key
	Unconfirmed bool    // whatever Azure Arc hands out is used
	CopiedPin   bool    // a thumbprint is compared as text
	TrustChain  bool    // a certificate that somebody vouches for needs no thumbprint
	Unpinned    bool    // no thumbprint is looked at
	Kept        *string // the token of a pod, once it was read
}

// overlooks takes a source for able to select the identity that is configured.
func (m *managedIdentity) overlooks(source string, err error) error {
	if m.Overlook == source {
		return nil
	}
	return err
}

// vouchedFor reports whether somebody whom the client trusts says whose a
// certificate is.
func vouchedFor(state tls.ConnectionState, roots *x509.CertPool) bool {
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: state.ServerName})
	return err == nil
}

// unusable reports whether a thumbprint is not as the client would write it.
func (m *managedIdentity) unusable(text string) bool {
	return m.CopiedPin && text != strings.ToUpper(text)
}

// accepts reports whether a key file is one that a client with a bug reads.
func (m *managedIdentity) accepts(info fs.FileInfo) bool {
	return m.LongKeys && info.Mode().IsRegular() || m.FollowLinks && !info.Mode().IsRegular()
}

// renamed changes the name of a parameter of requests with a header.
func (k *knobs) renamed(header, from, to string) {
	k.request(toIdentity, func(r *http.Request) {
		if r.Header.Get(header) == "" {
			return
		}
		query(r, func(q url.Values) {
			if id, ok := q[from]; ok {
				delete(q, from)
				q[to] = id
			}
		})
	})
}

func sourceBugs() []*Bug {
	return []*Bug{
		{
			Check: "SRC-01", What: "selects an identity of App Service by principalId, which it does not know",
			Break: func(k *knobs) { k.renamed("X-Identity-Header", "principal_id", "principalId") },
		},
		{
			Check: "SRC-02", What: "follows redirects of App Service, with the secret",
			Break: func(k *knobs) { k.RedirectsOf = "127.0.0.1" },
		},
		{
			Check: "SRC-03", What: "reads IDENTITY_HEADER once, and IDENTITY_ENDPOINT each time",
			Break: func(k *knobs) {
				var once sync.Once
				var first string
				k.request(toIdentity, func(r *http.Request) {
					if header := r.Header.Get("X-Identity-Header"); header != "" {
						once.Do(func() { first = header })
						r.Header.Set("X-Identity-Header", first)
					}
				})
			},
		},
		{
			Check: "SRC-04", What: "takes a web app for a compute of Azure ML, by its older variables",
			Also:  []string{"SRC-01", "CAE-07"}, // App Service has both
			Break: func(k *knobs) { k.OlderFirst = true },
		},
		{
			Check: "SRC-04", What: "asks Service Fabric as it asks App Service, which has no thumbprint",
			Also: []string{"SRC-14", "SRC-15"}, Silent: []string{"CAE-07"}, // Service Fabric refuses it
			Break: func(k *knobs) {
				k.TrustChain, k.Unpinned = true, true
				k.request(toIdentity, func(r *http.Request) {
					if r.URL.Query().Get("api-version") == "2019-07-01-preview" {
						r.Header.Set("X-Identity-Header", r.Header.Get("Secret"))
						r.Header.Del("Secret")
						query(r, func(q url.Values) { q.Set("api-version", "2019-08-01") })
					}
				})
			},
		},
		{
			Check: "SRC-05", What: "selects an identity of Azure ML by client_id, which it does not know",
			Break: func(k *knobs) { k.renamed("Secret", "clientid", "client_id") },
		},
		{
			Check: "SRC-06", What: "overlooks the identity of its configuration at Cloud Shell",
			Break: func(k *knobs) { k.Overlook = "cloudshell" },
		},
		{
			Check: "SRC-07", What: "sends Metadata: True along with the key of Azure Arc",
			Break: func(k *knobs) {
				k.request(toIdentity, func(r *http.Request) {
					if r.Header.Get("Authorization") != "" {
						r.Header.Set("Metadata", "True")
					}
				})
			},
		},
		{
			Check: "SRC-08", What: "looks only how the path of a key file begins",
			Break: func(k *knobs) { k.LooseFolder = true },
		},
		{
			Check: "SRC-09", What: "reads a key file of any length",
			Break: func(k *knobs) { k.LongKeys = true },
		},
		{
			Check: "SRC-10", What: "follows a link to a key file",
			Break: func(k *knobs) { k.FollowLinks = true },
		},
		{
			Check: "SRC-11", What: "answers a challenge that it does not understand with an empty key",
			Break: func(k *knobs) { k.EmptyKey = true },
		},
		{
			Check: "SRC-12", What: "uses whatever token Azure Arc hands out",
			Break: func(k *knobs) { k.Unconfirmed = true },
		},
		{
			Check: "SRC-13", What: "reads the body of a challenge, which has to be there",
			Break: func(k *knobs) {
				k.answered(func(resp *http.Response, body []byte) []byte {
					if resp.StatusCode == http.StatusUnauthorized && len(body) == 0 {
						resp.StatusCode = http.StatusBadRequest
					}
					return body
				})
			},
		},
		{
			Check: "SRC-14", What: "takes a thumbprint in upper case only",
			Break: func(k *knobs) { k.CopiedPin = true },
		},
		{
			Check: "SRC-15", What: "looks at the thumbprint only of a certificate that nobody vouches for",
			Break: func(k *knobs) { k.TrustChain = true },
		},
		{
			Check: "SRC-16", What: "follows redirects of Service Fabric, with the secret",
			Break: func(k *knobs) { k.RedirectsOf = "localhost" },
		},
		{
			Check: "SRC-17", What: "reads the token of a pod once",
			Break: func(k *knobs) { k.Kept = new(string) },
		},
		{
			Check: "SRC-18", What: "overlooks the identity of its configuration at Service Fabric",
			Break: func(k *knobs) { k.Overlook = "servicefabric" },
		},
	}
}
