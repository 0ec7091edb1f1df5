package reference

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// A source is one kind of host, and the way in which it hands out tokens.
type source interface {
	// ask does the requests that a token takes, and returns the last answer. An
	// error says that there is none, or that it must not be used. refused is the
	// token that has to be replaced, or empty.
	ask(ctx context.Context, m *managedIdentity, resource, refused string) (*http.Response, []byte, error)
	// retryable reports whether the endpoint may answer better later.
	retryable(status int) bool
}

// source tells which kind of host this is, by its variables. They are read for
// each request, since App Service changes them. The order is that of MSAL.
func (m *managedIdentity) source() (source, error) {
	endpoint, header := m.environ("IDENTITY_ENDPOINT"), m.environ("IDENTITY_HEADER")
	older, secret := m.environ("MSI_ENDPOINT"), m.environ("MSI_SECRET")
	onArc := endpoint != "" && header == "" && m.environ("IMDS_ENDPOINT") != ""
	switch {
	case older != "" && secret != "" && m.OlderFirst:
		return azureML{endpoint: older, secret: secret}, nil
	case endpoint != "" && header != "" && m.environ("IDENTITY_SERVER_THUMBPRINT") != "":
		return newServiceFabric(m, endpoint, header)
	case endpoint != "" && header != "":
		return appService{endpoint: endpoint, header: header}, nil
	case older != "" && secret != "":
		return azureML{endpoint: older, secret: secret}, nil
	case older != "":
		return cloudShell{endpoint: older}, nil
	case onArc:
		return arc{endpoint: endpoint}, nil
	}
	return imdsSource{}, nil
}

// selector adds the identity to the parameters of a request, under the names of a
// source. An identity that a source cannot select is an error: what it would hand
// out instead belongs to another one.
func (m *managedIdentity) selector(q url.Values, names map[string]string) error {
	if m.Identity.Kind == "system" {
		return nil
	}
	name := names[m.Identity.Kind]
	if name == "" {
		return failed(driver.Misconfig, "this place cannot tell identities apart by %s", m.Identity.Kind)
	}
	q.Set(name, m.Identity.Value)
	return nil
}

// tellRefused adds which token is worth nothing any more to the parameters of a
// source that would hand it out again.
func (m *managedIdentity) tellRefused(q url.Values, refused string) {
	if m.CAE {
		q.Set("xms_cc", "cp1")
	}
	if refused != "" {
		sum := sha256.Sum256([]byte(refused))
		q.Set("token_sha256_to_refresh", m.hash(sum[:]))
	}
}

// get makes the request for a token of a source with a query.
func get(ctx context.Context, endpoint string, parameters url.Values) (*http.Request, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, failed(driver.Misconfig, "the managed identity endpoint of the environment is no URL")
	}
	q := u.Query()
	for name, values := range parameters {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
}

// elsewhere is what the sources besides IMDS have in common.
type elsewhere struct{}

// retryable implements [source].
func (elsewhere) retryable(status int) bool {
	return slices.Contains([]int{
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, status)
}
