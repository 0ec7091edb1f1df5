package container

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// CAPEM returns the certificate authority that vouches for the emulated names,
// in PEM form. It is another one whenever the container starts.
func (c *Container) CAPEM(ctx context.Context) ([]byte, error) {
	plane, err := c.Control(ctx)
	if err != nil {
		return nil, err
	}
	return plane.CA(ctx)
}

// Client returns an HTTP client that behaves as if it ran on the emulated host:
// it asks the cloud for every name and address. Give it to an SDK as its
// transport.
func (c *Container) Client(ctx context.Context) (*http.Client, error) {
	ca, err := c.CAPEM(ctx)
	if err != nil {
		return nil, err
	}
	proxy, err := c.Proxy(ctx)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(proxy)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}, nil
}

// Environ returns a whole environment, in the form of [os.Environ], in which an
// unmodified child process behaves as if it ran on the emulated host. It is the
// environment of this process, without the variables that lead Azure clients
// elsewhere, and with a proxy and certificates. Assign it to the Env of an
// [exec.Cmd].
//
// The first call writes the certificates to a temporary folder, which Terminate
// removes.
//
// [exec.Cmd]: https://pkg.go.dev/os/exec#Cmd
func (c *Container) Environ(ctx context.Context) ([]string, error) {
	proxy, err := c.Proxy(ctx)
	if err != nil {
		return nil, err
	}
	files, err := c.CertificateFiles(ctx)
	if err != nil {
		return nil, err
	}
	return fakeentra.Doors{Proxy: proxy}.Extend(os.Environ(), files), nil
}

// CertificateFiles returns files of this machine that make clients trust the
// cloud. The first call writes them to a temporary folder, which Terminate
// removes.
func (c *Container) CertificateFiles(ctx context.Context) (fakeentra.Certificates, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.folder != "" {
		return c.files, nil
	}
	ca, err := c.CAPEM(ctx)
	if err != nil {
		return fakeentra.Certificates{}, err
	}
	folder, err := os.MkdirTemp("", "fakeentra-")
	if err != nil {
		return fakeentra.Certificates{}, fmt.Errorf("fakeentra: cannot make a temporary folder for the certificates: %w; set TMPDIR to one that can be written", err)
	}
	files, err := fakeentra.WriteCertificates(folder, ca)
	if err != nil {
		return fakeentra.Certificates{}, errors.Join(fmt.Errorf("fakeentra: %w", err), os.RemoveAll(folder))
	}
	c.folder, c.files = folder, files
	return files, nil
}

// The files that make containers under test trust the cloud.
const (
	caFile         = "ca.pem"
	bundleFile     = "bundle.pem"
	trustStoreFile = "truststore.jks"
)

// certificates returns the contents of the files, and of the module for Node.js,
// by name.
func (c *Container) certificates(ctx context.Context) (map[string][]byte, error) {
	ca, err := c.CAPEM(ctx)
	if err != nil {
		return nil, err
	}
	bundle := append(pki.SystemBundle(len(ca)), ca...)
	return map[string][]byte{caFile: ca, bundleFile: bundle, trustStoreFile: pki.JKS(bundle, time.Now()), door.NodeProxyFile: []byte(door.NodeProxy())}, nil
}

// Terminate ends the cloud, and removes what Environ and CertificateFiles wrote.
func (c *Container) Terminate(ctx context.Context, opts ...testcontainers.TerminateOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var removed error
	if c.folder != "" {
		removed = os.RemoveAll(c.folder)
		c.folder = ""
	}
	return errors.Join(removed, c.DockerContainer.Terminate(ctx, opts...))
}
