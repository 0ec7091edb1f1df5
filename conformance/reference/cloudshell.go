package reference

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// cloudShell is a session of Azure Cloud Shell, which has tokens of its user and
// nobody else.
type cloudShell struct {
	elsewhere
	endpoint string
}

// ask implements [source].
func (s cloudShell) ask(ctx context.Context, m *managedIdentity, resource, _ string) (*http.Response, []byte, error) {
	form := url.Values{"resource": {resource}}
	if err := m.overlooks("cloudshell", m.selector(form, nil)); err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Metadata", "true")
	return m.send(req)
}
