package reference

import (
	"context"
	"net/http"
	"net/url"
)

// appService is a web app, a function app or a container app. Its endpoint wants a
// secret, which keeps requests out that a server was made to send.
type appService struct {
	elsewhere
	endpoint, header string
}

// ask implements [source].
func (a appService) ask(ctx context.Context, m *managedIdentity, resource, refused string) (*http.Response, []byte, error) {
	q := url.Values{"api-version": {"2019-08-01"}, "resource": {resource}}
	if err := m.selector(q, map[string]string{"client_id": "client_id", "object_id": "principal_id", "resource_id": "mi_res_id"}); err != nil {
		return nil, nil, err
	}
	m.tellRefused(q, refused)
	req, err := get(ctx, a.endpoint, q)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("X-Identity-Header", a.header)
	return m.send(req)
}
