package reference

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// transports lead requests to their destinations.
type transports struct {
	base      *http.Transport
	direct    *http.Transport   // without a proxy, for the managed identity endpoint
	identity  http.RoundTripper // to the managed identity endpoint
	authority http.RoundTripper // to the login host
	resource  http.RoundTripper
}

func newTransports(c *client) *transports {
	base := c.Transport
	if base == nil {
		base = http.DefaultTransport.(*http.Transport)
	}
	base = base.Clone()
	c.trustFile(base)
	direct := base.Clone()
	direct.Proxy = nil
	for _, change := range c.network {
		change(base)
	}
	t := &transports{base: base, direct: direct}
	var identity http.RoundTripper = direct
	if c.ViaProxy {
		identity = base
	}
	t.identity = c.layers(toIdentity, identity)
	discovery, token := c.layers(toAuthority, base), c.answers(c.again(c.loggedWhole(c.layers(toToken, base))))
	documents := c.documents(discovery)
	t.authority = roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			return token.RoundTrip(r)
		}
		return documents.RoundTrip(r)
	})
	t.resource = c.layers(toResource, base)
	return t
}

// trustFile has a transport trust the certificate of the configuration, if it names one
// and is all that leads to the suite.
func (c *client) trustFile(t *http.Transport) {
	if c.Endpoints.Mode != "explicit" || c.Endpoints.CAFile == "" {
		return
	}
	roots := x509.NewCertPool()
	if content, err := os.ReadFile(c.Endpoints.CAFile); err == nil {
		roots.AppendCertsFromPEM(content)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
}

// layers puts what a bug adds around a transport, then the log, then the name.
func (c *client) layers(to destination, next http.RoundTripper) http.RoundTripper {
	for _, m := range c.wire[to] {
		next = m(next)
	}
	return c.named(c.logged(next))
}

// maxAnswer is the longest answer that is read. Tokens are a few kilobytes.
const maxAnswer = 1 << 20

// read reads an answer that has a reasonable length.
func (c *client) read(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	limit := int64(maxAnswer)
	if c.ReadAll {
		limit = 1 << 40
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, failed(driver.Protocol, "the answer of %s is longer than %d bytes", resp.Request.URL.Host, limit)
	}
	return body, nil
}

// answers makes sure that what the token endpoint hands out can be used, before
// MSAL sees it.
func (c *client) answers(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := c.read(resp)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusOK {
			if body, err = c.checked(body); err != nil {
				return nil, err
			}
		} else if !json.Valid(body) {
			return nil, &failure{driver.Auth, resp.StatusCode, fmt.Sprintf("the token endpoint answered %s without JSON", resp.Status)}
		}
		return with(resp, body), nil
	})
}

// with returns an answer with another body.
func with(resp *http.Response, body []byte) *http.Response {
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Del("Content-Length")
	return resp
}

// checked returns the answer of the token endpoint as MSAL understands it. What is
// wrong with it is said without what it contains.
func (c *client) checked(body []byte) ([]byte, error) {
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, c.quoting(failed(driver.Protocol, "the answer of the token endpoint is not JSON"), body)
	}
	text := func(name string) string { s, _ := members[name].(string); return s }
	if code := text("error"); code != "" {
		return nil, failed(driver.Auth, "the token endpoint answered 200 with the error %s: %s", code, text("error_description"))
	}
	if text("access_token") == "" {
		return nil, failed(driver.Protocol, "the answer of the token endpoint has no access_token")
	}
	kind := text("token_type")
	if kind == "" && !c.UntypedToken || kind != "" && !strings.EqualFold(kind, "Bearer") && !c.AnyTokenType {
		return nil, failed(driver.Protocol, "the answer of the token endpoint has a token of another type than Bearer")
	}
	seconds, ok := wholeSeconds(members["expires_in"])
	if !ok || seconds <= 0 {
		return nil, failed(driver.Protocol, "the answer of the token endpoint does not say when the token expires")
	}
	members["expires_in"] = seconds
	for _, name := range []string{"ext_expires_in", "refresh_in"} {
		if n, ok := wholeSeconds(members[name]); ok && n > 0 {
			members[name] = n
		} else {
			delete(members, name)
		}
	}
	return json.Marshal(members)
}

// wholeSeconds reads a number, or text that is one. A year is the longest that
// makes sense.
func wholeSeconds(v any) (int64, bool) {
	var n json.Number
	switch v := v.(type) {
	case float64:
		if v != v || v < -1e9 || v > 366*86400 {
			return 0, false
		}
		return int64(v), true
	case string:
		n = json.Number(v)
	default:
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil && i <= 366*86400
}

// documents makes sure that a discovery document leads nowhere else.
func (c *client) documents(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || c.TrustDocuments {
			return resp, err
		}
		body, err := c.read(resp)
		if err != nil {
			return nil, err
		}
		var document struct {
			Token  string `json:"token_endpoint"`
			Issuer string `json:"issuer"`
		}
		if resp.StatusCode == http.StatusOK && json.Unmarshal(body, &document) == nil {
			for _, where := range []string{document.Token} {
				if where != "" && !sameOrigin(where, r.URL) {
					return nil, failed(driver.Protocol, "a document of %s names the endpoint %s, which is elsewhere", r.URL.Host, where)
				}
			}
		}
		return with(resp, body), nil
	})
}

func sameOrigin(where string, as *url.URL) bool {
	u, err := url.Parse(where)
	return err == nil && u.Scheme == "https" && strings.EqualFold(u.Host, as.Host)
}

// again tries an exchange once more when the token endpoint is unavailable for a
// moment, unless there is a token to return meanwhile.
func (c *client) again(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		try := func() (*http.Response, error) {
			same := r.Clone(r.Context())
			same.Body = io.NopCloser(bytes.NewReader(body))
			same.ContentLength = int64(len(body))
			if id := exchangeOf(r.Context()).correlation; id != "" {
				same.Header.Set("Client-Request-Id", id)
			}
			return next.RoundTrip(same)
		}
		resp, err := try()
		if exchangeOf(r.Context()).spare || r.Context().Err() != nil || !transient(resp, err) || c.NeverAgain {
			return resp, err
		}
		delay := time.Second
		if err == nil {
			after, known := retryAfter(resp.Header, time.Now())
			if known && (after > maxRetryAfter || c.NotIfTold) {
				return resp, nil
			}
			delay = max(delay, after)
			_ = resp.Body.Close()
		}
		if err := pause(r.Context(), delay); err != nil {
			return nil, err
		}
		return try()
	})
}

// transient reports whether a request may succeed if it is sent again.
func transient(resp *http.Response, err error) bool {
	if err != nil {
		var certificate *tls.CertificateVerificationError
		var unknown x509.UnknownAuthorityError
		var op *net.OpError
		switch {
		case errors.As(err, &certificate), errors.As(err, &unknown):
			return false
		case errors.As(err, &op) && op.Op == "remote error": // TLS
			return false
		}
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
}

// environ returns a variable of the place that the client runs in.
func (c *client) environ(name string) string {
	if c.Getenv != nil {
		return c.Getenv(name)
	}
	return os.Getenv(name)
}

func (c *client) readFile(name string) ([]byte, error) {
	if c.ReadFile != nil {
		return c.ReadFile(name)
	}
	return os.ReadFile(name)
}
