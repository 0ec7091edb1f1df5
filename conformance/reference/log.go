package reference

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

// logf writes a line to the log. Nothing that is secret is ever given to it.
func (c *client) logf(format string, args ...any) {
	var to io.Writer = os.Stderr
	if c.Log != nil {
		to = c.Log
	}
	_, _ = fmt.Fprintf(to, format+"\n", args...) // a client works without its log
}

// verbosef is logf where the configuration asks for more than the usual.
func (c *client) verbosef(format string, args ...any) {
	if c.LogLevel == "verbose" {
		c.logf(format, args...)
	}
}

// logged logs requests by what is no secret of them: neither their parameters nor
// their headers nor their bodies.
func (c *client) logged(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			c.verbosef("%s %s://%s%s: %v", r.Method, r.URL.Scheme, r.URL.Host, r.URL.Path, err)
			return nil, err
		}
		c.verbosef("%s %s://%s%s: %s", r.Method, r.URL.Scheme, r.URL.Host, r.URL.Path, resp.Status)
		return resp, nil
	})
}
