package reference

import (
	"context"
	"net/http"
	"net/url"
)

// azureML is a compute of Azure Machine Learning, whose endpoint speaks the older
// protocol of App Service.
type azureML struct {
	elsewhere
	endpoint, secret string
}

// ask implements [source]. A compute says which of its identities is meant where
// none is configured.
func (a azureML) ask(ctx context.Context, m *managedIdentity, resource, _ string) (*http.Response, []byte, error) {
	q := url.Values{"api-version": {"2017-09-01"}, "resource": {resource}}
	if err := m.selector(q, map[string]string{"client_id": "clientid"}); err != nil {
		return nil, nil, err
	}
	if id := m.environ("DEFAULT_IDENTITY_CLIENT_ID"); !q.Has("clientid") && id != "" {
		q.Set("clientid", id)
	}
	req, err := get(ctx, a.endpoint, q)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Secret", a.secret)
	return m.send(req)
}
