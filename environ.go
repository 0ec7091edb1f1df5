package fakeentra

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// A proxyListener is what unmodified child processes come in by: the forward
// proxy of one host.
type proxyListener struct {
	*door.Proxy
	url  string
	done chan error
}

// CA returns the certificate authority that vouches for the emulated names. It
// is made when it is first asked for, here or by [Host.Environ] or [Cloud.Serve],
// lives a week, and its private key never leaves memory. It cannot vouch for
// issuers, pods and jobs that are added later: add them before.
func (c *Cloud) CA() *x509.Certificate {
	authority, err := c.certificateAuthority()
	must(err)
	return authority.Certificate()
}

// CAPEM returns [Cloud.CA] in PEM form and, if there is a host at Service Fabric,
// the certificate of its endpoint, which vouches for itself.
func (c *Cloud) CAPEM() []byte {
	anchors, err := c.anchors()
	must(err)
	return anchors
}

func (c *Cloud) certificateAuthority() (*pki.Authority, error) {
	c = c.line.first
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authority != nil {
		return c.authority, nil
	}
	authority, err := pki.New(time.Now(), c.line.latest.Load().vouchedNames()...)
	if err != nil {
		return nil, err
	}
	authority.Asks = func(name string) bool { return c.line.latest.Load().environment.MutualTLS(name) }
	c.authority = authority
	return authority, nil
}

// vouchedNames are the domains that the certificate authority may sign for: the
// emulated ones, those of issuers, and nothing else.
func (c *Cloud) vouchedNames() []string {
	env := c.environment
	names := append([]string{env.BlobSuffix, env.MetadataDomain, env.MutualTLSHost}, env.LoginAliases...)
	names = append(names, c.issuers.Hosts()...)
	names = append(names, c.runners.Hosts()...)
	names = append(names, c.kubernetes.Hosts()...)
	slices.Sort(names)
	return slices.Compact(names)
}

// Environ returns a whole environment, in the form of [os.Environ], in which an
// unmodified child process behaves as if it ran on h. It is the environment of
// this process, without the variables that lead Azure clients elsewhere, and
// with a proxy, certificates and [Host.Variables]. Assign it to the Env of an
// [exec.Cmd].
//
// The first call opens loopback listeners and writes the certificates to a
// temporary folder, which Close removes. It panics if either fails.
//
// [exec.Cmd]: https://pkg.go.dev/os/exec#Cmd
func (h *Host) Environ() []string {
	env, err := h.environ(os.Environ())
	must(err)
	return env
}

func (h *Host) environ(base []string) ([]string, error) {
	c := h.cloud.line.first
	files, err := c.CertificateFiles()
	if err != nil {
		return nil, err
	}
	authority, err := c.certificateAuthority()
	if err != nil {
		return nil, err
	}
	variables, err := h.openEndpoint()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if c.proxies == nil {
		c.proxies = map[string]*proxyListener{}
	}
	if c.proxies[h.name] == nil {
		if c.proxies[h.name], err = listen(h, authority); err != nil {
			return nil, err
		}
	}
	return extend(CleanEnviron(base), append(Doors{Proxy: c.proxies[h.name].url}.Environ(files), variables...)), nil
}

// extend adds variables to an environment. What holds options keeps those that
// were in it.
func extend(base, added []string) []string {
	for _, entry := range added {
		name, value, _ := strings.Cut(entry, "=")
		i := slices.IndexFunc(base, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		if _, ok := syntaxOf(name); ok && i >= 0 {
			base[i] += " " + value
			continue
		}
		base = append(base, entry)
	}
	return base
}

// Certificates are the names of files that make clients trust a Cloud. An empty
// name stands for a file that there is not.
type Certificates struct {
	CA         string // [Cloud.CAPEM]
	Bundle     string // with the certificates that this machine trusts, in PEM form
	TrustStore string // the same for Java, in the JKS format
	// NodeProxy is a module that makes Node.js honour proxies, as little of it
	// does by itself.
	NodeProxy string
}

// CertificateFiles returns files that make clients trust the Cloud, and the other
// one that [Doors.Environ] has them read. The first call writes them to a
// temporary folder, which Close removes.
func (c *Cloud) CertificateFiles() (Certificates, error) {
	anchors, err := c.anchors()
	if err != nil {
		return Certificates{}, err
	}
	c = c.line.first
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return Certificates{}, errClosed
	}
	if c.certificates == "" {
		if c.certificates, err = temporaryCertificates(anchors); err != nil {
			return Certificates{}, err
		}
	}
	return certificatesIn(c.certificates), nil
}

// WriteCertificates writes the files of [Cloud.CertificateFiles] to a folder that
// is there, such as one that other machines see, for everybody to read. Files of
// the same names are overwritten, and Close leaves all of them.
func (c *Cloud) WriteCertificates(folder string) (Certificates, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return Certificates{}, err
	}
	anchors, err := c.anchors()
	if err != nil {
		return Certificates{}, err
	}
	return certificatesIn(folder), writeCertificates(anchors, folder, 0o644)
}

// WriteCertificates writes the files of [Cloud.CertificateFiles] to a folder, for
// this user alone. ca is the [Cloud.CAPEM] of a Cloud in another process.
func WriteCertificates(folder string, ca []byte) (Certificates, error) {
	return certificatesIn(folder), writeCertificates(ca, folder, 0o600)
}

func certificatesIn(folder string) Certificates {
	in := func(name string) string { return filepath.Join(folder, name) }
	return Certificates{CA: in(caFile), Bundle: in(bundleFile), TrustStore: in(trustStoreFile), NodeProxy: in(door.NodeProxyFile)}
}

// The files of [Cloud.CertificateFiles].
const (
	caFile         = "ca.pem"
	bundleFile     = "bundle.pem"
	trustStoreFile = "truststore.jks"
)

// temporaryCertificates returns the folder that it made.
func temporaryCertificates(anchors []byte) (string, error) {
	dir, err := os.MkdirTemp("", "fakeentra-")
	if err != nil {
		return "", fmt.Errorf("cannot make a temporary folder for the certificates: %w; set TMPDIR to one that can be written", err)
	}
	if err := writeCertificates(anchors, dir, 0o600); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// writeCertificates gives the files their mode, whatever the umask is.
func writeCertificates(ca []byte, dir string, mode fs.FileMode) error {
	bundle := append(pki.SystemBundle(len(ca)), ca...)
	for name, content := range map[string][]byte{
		caFile: ca, bundleFile: bundle, trustStoreFile: pki.JKS(bundle, time.Now()), door.NodeProxyFile: []byte(door.NodeProxy()),
	} {
		path := filepath.Join(dir, name)
		err := os.WriteFile(path, content, mode)
		if err == nil {
			err = os.Chmod(path, mode)
		}
		if err != nil {
			return fmt.Errorf("cannot write the certificates: %w", err)
		}
	}
	return nil
}

// listen opens the proxy of a host.
func listen(h *Host, authority *pki.Authority) (*proxyListener, error) {
	h.cloud.line.standFor(h.name)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	p := &proxyListener{
		Proxy: &door.Proxy{Router: h.cloud.line.front, Authority: authority, Host: h.name, NoMetadata: !h.Source().HasMetadata()},
		url:   "http://" + l.Addr().String(), done: make(chan error, 1),
	}
	go func() { p.done <- p.Serve(l) }()
	return p, nil
}

// grace is how long Close waits for requests in flight.
const grace = 5 * time.Second

// closeProxies stops the proxies of all hosts.
func closeProxies(proxies map[string]*proxyListener) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs []error
	for _, p := range proxies {
		errs = append(errs, p.Shutdown(ctx), <-p.done)
	}
	return errors.Join(errs...)
}

// Environ returns the variables, in the form of [os.Environ], that lead every
// kind of client to the proxy and make it trust the certificates in files, as
// [Cloud.CertificateFiles] returns them. Which client reads which was measured
// with each of them. Variables that would say nothing are left out.
func (d Doors) Environ(files Certificates) []string {
	var env []string
	set := func(value string, names ...string) {
		for _, name := range names {
			if value != "" {
				env = append(env, name+"="+value)
			}
		}
	}
	if d.Proxy != "" {
		const direct = "localhost,127.0.0.1,::1"
		proxy := connectable(d.Proxy)
		set(proxy, "HTTP_PROXY", "HTTPS_PROXY")
		set(direct, "NO_PROXY")
		set(proxy, "http_proxy", "https_proxy") // curl ignores HTTP_PROXY in upper case
		set(direct, "no_proxy")
		set("1", "NODE_USE_ENV_PROXY")                  // Node 22.21 and later: fetch ignores proxies without it
		set(nodeOptions(files.NodeProxy), nodeVariable) // Node before that, and agents of its programs' own
	}
	set(files.CA, "NODE_EXTRA_CA_CERTS")    // Node, Bun, Deno
	set(files.CA, "DENO_CERT")              // Deno
	set(files.Bundle, "SSL_CERT_FILE")      // Go, OpenSSL, .NET, Rust: replaces the system's
	set(files.Bundle, "REQUESTS_CA_BUNDLE") // Python requests, and azure-core with it
	set(files.Bundle, "CURL_CA_BUNDLE")     // curl
	set(d.javaOptions(files), javaVariable)
	return env
}

// Extend returns an environment, in the form of [os.Environ], that leads every
// kind of client to the proxy: [CleanEnviron] of env with the variables of
// [Doors.Environ]. JAVA_TOOL_OPTIONS and NODE_OPTIONS keep the options of others.
func (d Doors) Extend(env []string, files Certificates) []string {
	return extend(CleanEnviron(env), d.Environ(files))
}

// connectable replaces the address that stands for all of this machine's in the
// URL of a listener by one that every system can connect to.
func connectable(door string) string {
	for _, everywhere := range []string{"http://[::]:", "http://0.0.0.0:"} {
		if port, ok := strings.CutPrefix(door, everywhere); ok {
			return "http://127.0.0.1:" + port
		}
	}
	return door
}

// misleading are the variables that lead Azure clients past the emulators, or
// to another identity.
var misleading = []string{
	"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUEST_METHOD",
	"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IDENTITY_API_VERSION", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
	"DEFAULT_IDENTITY_CLIENT_ID", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "AZURE_AUTHORITY_HOST", "AZURE_REGIONAL_AUTHORITY_NAME", "MSAL_FORCE_REGION", "AZURE_FEDERATED_TOKEN_FILE",
	"AZURE_KUBERNETES_TOKEN_PROXY", "AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_CA_FILE", "AZURE_KUBERNETES_CA_DATA",
	"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN",
	"NODE_USE_ENV_PROXY", "NODE_EXTRA_CA_CERTS", "DENO_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
}

// CleanEnviron returns an environment, in the form of [os.Environ], without the
// variables that lead Azure clients past the emulators or to another identity,
// and without proxies and their certificates, also among the options that
// JAVA_TOOL_OPTIONS and NODE_OPTIONS hold. [Host.Environ] starts from it.
func CleanEnviron(env []string) []string {
	clean := make([]string, 0, len(env))
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if slices.Contains(misleading, strings.ToUpper(name)) {
			continue
		}
		if options, ok := syntaxOf(name); ok {
			foreign := options.foreign(value)
			if foreign == "" {
				continue
			}
			entry = name + "=" + foreign
		}
		clean = append(clean, entry)
	}
	return clean
}
