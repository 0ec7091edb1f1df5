package reference

import "net/http"

const userAgent = "fakeentra-reference/1"

// named says who sends a request. MSAL leaves that to the HTTP library, which names
// but itself.
func (c *client) named(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", userAgent)
		return next.RoundTrip(r)
	})
}
