package reference

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// serviceFabric is an application in a Service Fabric cluster. Its endpoint has a
// certificate that nobody vouches for: the environment has its thumbprint.
type serviceFabric struct {
	elsewhere
	endpoint, header string
	http             *http.Client
}

// newServiceFabric fails before anything is sent where the endpoint cannot be
// known for what it is.
func newServiceFabric(m *managedIdentity, endpoint, header string) (source, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, failed(driver.Misconfig, "the managed identity endpoint of Service Fabric is no https URL")
	}
	text := m.environ("IDENTITY_SERVER_THUMBPRINT")
	pin, ok := thumbprint(text)
	if !ok || m.unusable(text) {
		return nil, failed(driver.Misconfig, "IDENTITY_SERVER_THUMBPRINT is no SHA-1 of a certificate")
	}
	return serviceFabric{endpoint: endpoint, header: header, http: &http.Client{Transport: m.pinned(pin), CheckRedirect: m.redirected}}, nil
}

// thumbprint reads the SHA-1 of a certificate, as people copy it.
func thumbprint(text string) (pin [sha1.Size]byte, ok bool) {
	raw, err := hex.DecodeString(strings.Map(func(r rune) rune {
		if r == ':' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text))
	copy(pin[:], raw)
	return pin, err == nil && len(raw) == sha1.Size
}

// pinned returns the transport to the server with a certificate, and to no other,
// whoever vouches for it. The handshake fails before the secret is sent.
func (m *managedIdentity) pinned(pin [sha1.Size]byte) http.RoundTripper {
	m.pinning.Lock()
	defer m.pinning.Unlock()
	if t, ok := m.byPin[pin]; ok {
		return t
	}
	t := m.client.http.direct.Clone()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TLSClientConfig != nil {
		config = t.TLSClientConfig.Clone()
	}
	config.InsecureSkipVerify = true // VerifyConnection is stricter
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if !m.Unpinned && sha1.Sum(state.PeerCertificates[0].Raw) == pin || m.TrustChain && vouchedFor(state, config.RootCAs) {
			return nil
		}
		return errPin
	}
	t.TLSClientConfig = config
	m.byPin[pin] = m.layers(toIdentity, t)
	return m.byPin[pin]
}

var errPin = errors.New("tls: the certificate of the managed identity endpoint has another thumbprint than IDENTITY_SERVER_THUMBPRINT")

// ask implements [source]. Which identity an application has is a matter of the
// cluster.
func (f serviceFabric) ask(ctx context.Context, m *managedIdentity, resource, refused string) (*http.Response, []byte, error) {
	q := url.Values{"api-version": {"2019-07-01-preview"}, "resource": {resource}}
	if err := m.overlooks("servicefabric", m.selector(q, nil)); err != nil {
		return nil, nil, err
	}
	m.tellRefused(q, refused)
	req, err := get(ctx, f.endpoint, q)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Secret", f.header)
	return m.sendBy(f.http, req)
}
