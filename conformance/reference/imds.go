package reference

import (
	"context"
	"net/http"
	"net/url"
)

// imdsSource is a virtual machine. Its endpoint has a literal address, which
// nobody else's name server or proxy has a say in.
type imdsSource struct{}

const imdsToken = "http://169.254.169.254/metadata/identity/oauth2/token"

// imdsKey is in the context of requests to IMDS.
type imdsKey struct{}

// imdsURL is that address, unless the client is told another one.
func (m *managedIdentity) imdsURL() string {
	if m.Endpoints.Mode == "explicit" {
		return m.Endpoints.IMDS + "/metadata/identity/oauth2/token"
	}
	return imdsToken
}

// ask implements [source].
func (imdsSource) ask(ctx context.Context, m *managedIdentity, resource, _ string) (*http.Response, []byte, error) {
	q := url.Values{"api-version": {"2018-02-01"}, "resource": {resource}}
	if err := m.selector(q, map[string]string{"client_id": "client_id", "object_id": "object_id", "resource_id": "msi_res_id"}); err != nil {
		return nil, nil, err
	}
	req, err := get(context.WithValue(ctx, imdsKey{}, true), m.imdsURL(), q)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Metadata", "true")
	return m.send(req)
}

// retryable implements [source].
func (imdsSource) retryable(status int) bool { return retryable(status) }
