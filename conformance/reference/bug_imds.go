package reference

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// imdsKnobs change what the client does about requests to IMDS.
type imdsKnobs struct {
	RedirectsOf string // a host whose redirects are followed
	Deaf        bool   // a caller that gives up is not heard while IMDS is asked
}

// toIMDS changes the requests to IMDS, and no other endpoint's.
func (k *knobs) toIMDS(change func(*http.Request)) {
	k.request(toIdentity, func(r *http.Request) {
		if isIMDS(r) {
			change(r)
		}
	})
}

func isIMDS(r *http.Request) bool { return r.Context().Value(imdsKey{}) != nil }

// query changes the parameters of a request.
func query(r *http.Request, change func(url.Values)) {
	q := r.URL.Query()
	change(q)
	u := *r.URL
	u.RawQuery = q.Encode()
	r.URL = &u
}

// before does something ahead of each request to IMDS.
func (k *knobs) before(do func(next http.RoundTripper, r *http.Request)) {
	k.onWire(toIdentity, func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if isIMDS(r) {
				do(next, r.Clone(r.Context()))
			}
			return next.RoundTrip(r)
		})
	})
}

// wasted sends a request and looks at no answer.
func wasted(next http.RoundTripper, r *http.Request) {
	if resp, err := next.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
	}
}

func imdsBugs() []*Bug {
	return []*Bug{
		{
			Check: "IMDS-01", What: "sends the parameters once more in the body of the GET",
			Break: func(k *knobs) {
				k.toIMDS(func(r *http.Request) {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(r.URL.RawQuery)), int64(len(r.URL.RawQuery))
				})
			},
		},
		{
			Check: "IMDS-02", What: "sends the header Metadata: True",
			Break: func(k *knobs) { k.toIMDS(func(r *http.Request) { r.Header.Set("Metadata", "True") }) },
		},
		{
			Check: "IMDS-02", What: "sends the header Metadata twice",
			Break: func(k *knobs) { k.toIMDS(func(r *http.Request) { r.Header["Metadata"] = []string{"true", "true"} }) },
		},
		{
			Check: "IMDS-03", What: "asks for the system-assigned identity with the api-version of before there were others, and again when that is refused",
			Break: func(k *knobs) {
				k.before(func(next http.RoundTripper, r *http.Request) {
					if q := r.URL.Query(); !q.Has("client_id") && !q.Has("object_id") && !q.Has("msi_res_id") {
						query(r, func(q url.Values) { q.Set("api-version", "2017-12-01") })
						wasted(next, r)
					}
				})
			},
		},
		{
			Check: "IMDS-04", What: "writes the audience of the public cloud in lower case",
			Break: func(k *knobs) {
				k.toIMDS(func(r *http.Request) {
					query(r, func(q url.Values) {
						if public := clouds["public"].audience; q.Get("resource") == public {
							q.Set("resource", strings.ToLower(public))
						}
					})
				})
			},
		},
		{
			Check: "IMDS-05", What: "sends the scope beside the resource",
			Break: func(k *knobs) {
				k.toIMDS(func(r *http.Request) {
					query(r, func(q url.Values) { q.Set("scope", q.Get("resource")+"/.default") })
				})
			},
		},
		{
			Check: "IMDS-06", What: "takes every slash off the end of a resource",
			Break: func(k *knobs) {
				k.toIMDS(func(r *http.Request) {
					query(r, func(q url.Values) { q.Set("resource", strings.TrimRight(q.Get("resource"), "/")) })
				})
			},
		},
		{
			Check: "IMDS-07", What: "selects an identity by principal_id, which IMDS does not know",
			Break: func(k *knobs) {
				k.toIMDS(func(r *http.Request) {
					query(r, func(q url.Values) {
						if id := q.Get("object_id"); id != "" {
							q.Del("object_id")
							q.Set("principal_id", id)
						}
					})
				})
			},
		},
		{
			Check: "IMDS-08", What: "sends an empty clientid when it is configured with no identity",
			Break: func(k *knobs) {
				k.toIMDS(func(r *http.Request) {
					query(r, func(q url.Values) {
						if !q.Has("client_id") && !q.Has("object_id") && !q.Has("msi_res_id") {
							q.Set("clientid", "")
						}
					})
				})
			},
		},
		{
			Check: "IMDS-09", What: "calls IMDS through the proxy of the environment",
			Break: func(k *knobs) { k.ViaProxy = true },
		},
		{
			Check: "IMDS-10", What: "follows redirects of IMDS",
			Break: func(k *knobs) { k.RedirectsOf = "169.254.169.254" },
		},
		{
			Check: "IMDS-11", What: "tries TLS with IMDS before it asks in the clear",
			Break: func(k *knobs) {
				k.before(func(next http.RoundTripper, r *http.Request) {
					u := *r.URL
					u.Scheme = "https"
					r.URL = &u
					wasted(next, r)
				})
			},
		},
		{
			Check: "IMDS-12", What: "sends the header Authorization to IMDS, as Azure Arc wants it",
			Break: func(k *knobs) {
				k.toIMDS(func(r *http.Request) { r.Header.Set("Authorization", "Basic none") })
			},
		},
		{
			Check: "IMDS-13", What: "does not hear a caller that gives up while IMDS is asked",
			Break: func(k *knobs) { k.Deaf = true },
		},
		{
			Check: "IMDS-14", What: "looks whether there is an IMDS before each request",
			Break: func(k *knobs) {
				k.before(func(next http.RoundTripper, r *http.Request) {
					u := *r.URL
					u.Path, u.RawQuery = "/metadata/identity/info", ""
					r.URL, r.Header = &u, http.Header{}
					wasted(next, r)
				})
			},
		},
	}
}
