package driver

import (
	"net/http"
	"net/url"
)

// IMDSTransport is for a client that has no option for where IMDS is: requests to
// 169.254.169.254 go where the endpoints say, and all others as they are. Errors
// are those of [url.Parse] and of http.DefaultTransport, which it uses.
func (e Endpoints) IMDSTransport() http.RoundTripper { return imdsAt(e.IMDS) }

// imdsAt is another URL than http://169.254.169.254.
type imdsAt string

func (at imdsAt) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "169.254.169.254" {
		to, err := url.Parse(string(at))
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
	}
	return http.DefaultTransport.RoundTrip(r)
}
