package fakeentra

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// A proxyDoor is what unmodified child processes come in by: a forward proxy
// for each host, and the certificates that make them trust it.
type proxyDoor struct {
	dir     string // holds the certificates
	proxies map[string]*proxyListener
}

type proxyListener struct {
	*door.Proxy
	url  string
	done chan error
}

// CA returns the certificate authority that vouches for the emulated names. It
// is made when it is first asked for, lives a week, and its private key never
// leaves memory.
func (c *Cloud) CA() *x509.Certificate {
	authority, err := c.certificateAuthority()
	must(err)
	return authority.Certificate()
}

// CAPEM returns [Cloud.CA] in PEM form.
func (c *Cloud) CAPEM() []byte {
	authority, err := c.certificateAuthority()
	must(err)
	return authority.PEM()
}

func (c *Cloud) certificateAuthority() (*pki.Authority, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authority != nil {
		return c.authority, nil
	}
	authority, err := pki.New(time.Now(), c.vouchedNames()...)
	c.authority = authority
	return authority, err
}

// vouchedNames are the domains that the certificate authority may sign for: the
// emulated ones, those of issuers, and nothing else.
func (c *Cloud) vouchedNames() []string {
	env := c.options.environment
	names := append([]string{env.BlobSuffix}, env.LoginAliases...)
	names = append(names, c.issuers.Hosts()...)
	slices.Sort(names)
	return slices.Compact(names)
}

// Environ returns a whole environment, in the form of [os.Environ], in which an
// unmodified child process behaves as if it ran on h. It is the environment of
// this process, without the variables that lead Azure clients elsewhere, and
// with a proxy and certificates. Assign it to the Env of an [exec.Cmd].
//
// The first call opens a loopback listener and writes the certificates to a
// temporary folder, which Close removes. It panics if either fails.
//
// [exec.Cmd]: https://pkg.go.dev/os/exec#Cmd
func (h *Host) Environ() []string {
	env, err := h.environ(os.Environ())
	must(err)
	return env
}

func (h *Host) environ(base []string) ([]string, error) {
	authority, err := h.cloud.certificateAuthority()
	if err != nil {
		return nil, err
	}
	h.cloud.mu.Lock()
	defer h.cloud.mu.Unlock()
	if h.cloud.closed {
		return nil, errClosed
	}
	if h.cloud.proxy == nil {
		d, err := newProxyDoor(authority)
		if err != nil {
			return nil, err
		}
		h.cloud.proxy = d
	}
	d := h.cloud.proxy
	listener, err := d.listen(h, authority)
	if err != nil {
		return nil, err
	}
	return append(scrub(base), d.variables(listener.url)...), nil
}

// The files of a proxyDoor.
const (
	caFile     = "ca.pem"     // the certificate authority alone
	bundleFile = "bundle.pem" // with the certificates that this machine trusts
)

func newProxyDoor(authority *pki.Authority) (*proxyDoor, error) {
	dir, err := os.MkdirTemp("", "fakeentra-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a temporary folder for the certificates: %w; set TMPDIR to one that can be written", err)
	}
	bundle := append(pki.SystemBundle(), authority.PEM()...)
	for name, content := range map[string][]byte{caFile: authority.PEM(), bundleFile: bundle} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot write the certificates: %w", err), os.RemoveAll(dir))
		}
	}
	return &proxyDoor{dir: dir, proxies: map[string]*proxyListener{}}, nil
}

// listen returns the proxy of a host.
func (d *proxyDoor) listen(h *Host, authority *pki.Authority) (*proxyListener, error) {
	if p := d.proxies[h.name]; p != nil {
		return p, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	p := &proxyListener{
		Proxy: &door.Proxy{Router: h.cloud.router, Authority: authority, Host: h.name, NoMetadata: h.source() == NoSource},
		url:   "http://" + l.Addr().String(), done: make(chan error, 1),
	}
	go func() { p.done <- p.Serve(l) }()
	d.proxies[h.name] = p
	return p, nil
}

// grace is how long Close waits for requests in flight.
const grace = 5 * time.Second

func (d *proxyDoor) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs []error
	for _, p := range d.proxies {
		errs = append(errs, p.Shutdown(ctx))
		<-p.done
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}

// variables lead every kind of client to the proxy. Which client reads which
// was measured with each of them; see docs of the proxy door in the README.
func (d *proxyDoor) variables(proxy string) []string {
	ca, bundle := filepath.Join(d.dir, caFile), filepath.Join(d.dir, bundleFile)
	const direct = "localhost,127.0.0.1,::1"
	return []string{
		"HTTP_PROXY=" + proxy, "HTTPS_PROXY=" + proxy, "NO_PROXY=" + direct,
		"http_proxy=" + proxy, "https_proxy=" + proxy, "no_proxy=" + direct, // curl ignores HTTP_PROXY in upper case
		"NODE_USE_ENV_PROXY=1",         // Node 22.21 and later: fetch ignores proxies without it
		"NODE_EXTRA_CA_CERTS=" + ca,    // Node, Bun, Deno
		"DENO_CERT=" + ca,              // Deno
		"SSL_CERT_FILE=" + bundle,      // Go, OpenSSL, .NET, Rust: replaces the system's
		"REQUESTS_CA_BUNDLE=" + bundle, // Python requests, and azure-core with it
		"CURL_CA_BUNDLE=" + bundle,     // curl
	}
}

// misleading are the variables that lead Azure clients past the emulators, or
// to another identity.
var misleading = []string{
	"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUEST_METHOD",
	"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
	"DEFAULT_IDENTITY_CLIENT_ID", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "AZURE_AUTHORITY_HOST", "AZURE_REGIONAL_AUTHORITY_NAME", "MSAL_FORCE_REGION", "AZURE_FEDERATED_TOKEN_FILE",
	"NODE_USE_ENV_PROXY", "NODE_EXTRA_CA_CERTS", "DENO_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
}

// scrub removes the misleading variables, whatever their letter case.
func scrub(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(misleading, strings.ToUpper(name))
	})
}
