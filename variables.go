package fakeentra

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/imds"
	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// Variables returns the variables that Azure sets at a place like h, in the form
// of [os.Environ]: those that tell where the managed identity endpoint is, as
// IDENTITY_ENDPOINT does in a web app. A virtual machine has none. Those of them
// that are not returned should not be set; [CleanEnviron] takes them away.
//
// A Go test sets them with t.Setenv. The client of [Host.Client] then finds the
// endpoint under them without a socket.
func (h *Host) Variables() []string { return h.VariablesAt(h.Source().Origin()) }

// VariablesAt is [Host.Variables] for an endpoint that listens at origin, such as
// http://127.0.0.1:8080. [Cloud.ServeEndpoint] makes one.
func (h *Host) VariablesAt(origin string) []string {
	variables := append(h.cloud.imds.Variables(h.name, connectable(origin)), h.workloadVariables()...)
	if h.Source() != ServiceFabric {
		return variables
	}
	cert, err := h.cloud.pinnedCertificate()
	must(err)
	return append(variables, "IDENTITY_SERVER_THUMBPRINT="+thumbprint(cert))
}

// Endpoint returns the loopback authority at which the managed identity endpoint
// of a real place like h listens, such as localhost:40342. It is empty at a
// virtual machine, whose endpoint is 169.254.169.254, and where there is none.
//
// A sandbox must lead connections to the port of it, at every loopback address,
// to a listener of [Cloud.ServeEndpoint], and set [Host.Variables].
func (h *Host) Endpoint() string {
	u, err := url.Parse(h.Source().Origin())
	if err != nil {
		return ""
	}
	return u.Host
}

// ServeEndpoint answers on l for the managed identity endpoint of a host, until
// ctx is done: in TLS at Service Fabric, with a certificate of its own, and in
// plain HTTP everywhere else. It closes l, also when it fails.
func (c *Cloud) ServeEndpoint(ctx context.Context, host string, l net.Listener) error {
	c.line.standFor(host)
	l, err := c.secured(host, l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return door.ServeHTTP(ctx, l, c.line.front, host)
}

// secured adds TLS to the listener of an endpoint that has it.
func (c *Cloud) secured(host string, l net.Listener) (net.Listener, error) {
	if c.endpointScheme(host) != "https" {
		return l, nil
	}
	cert, err := c.pinnedCertificate()
	if err != nil {
		return l, err
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert}}), nil
}

// endpointScheme is that of the URL of a host's endpoint.
func (c *Cloud) endpointScheme(host string) string {
	h, _ := c.imds.Host(host)
	scheme, _, _ := strings.Cut(h.Source.Origin(), ":")
	if scheme == "" {
		return "http"
	}
	return scheme
}

// pinnedCertificate is what the endpoint at Service Fabric shows. Clients know it
// by its thumbprint.
func (c *Cloud) pinnedCertificate() (*tls.Certificate, error) {
	c = c.line.first
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pinned != nil {
		return c.pinned, nil
	}
	cert, err := pki.SelfSigned(time.Now())
	c.pinned = cert
	return cert, err
}

// anchors are what clients have to trust, in PEM form. Not all of them know the
// endpoint at Service Fabric by its thumbprint: for Node.js it has to be among
// what it trusts.
func (c *Cloud) anchors() ([]byte, error) {
	authority, err := c.certificateAuthority()
	if err != nil {
		return nil, err
	}
	fabric := func(h imds.Host) bool { return h.Source == ServiceFabric }
	if !slices.ContainsFunc(c.imds.Hosts(), fabric) {
		return authority.PEM(), nil
	}
	cert, err := c.pinnedCertificate()
	if err != nil {
		return nil, err
	}
	return append(authority.PEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})...), nil
}

// thumbprint is the SHA-1 of a certificate in upper case, as Windows shows it.
func thumbprint(cert *tls.Certificate) string {
	sum := sha1.Sum(cert.Certificate[0])
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// An endpoint is a listener that stands for the endpoint of one host.
type endpoint struct {
	origin string
	cancel context.CancelFunc
	done   chan error
}

// openEndpoint returns the variables that lead a child process to the endpoint of
// h, which listens from the first call on. c.mu must not be held.
func (h *Host) openEndpoint() ([]string, error) {
	if h.Endpoint() == "" {
		return h.VariablesAt(""), nil
	}
	c := h.cloud.line.first
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed
	}
	e := c.endpoints[h.name]
	if e == nil {
		var err error
		if e, err = h.listenLocally(); err != nil {
			c.mu.Unlock()
			return nil, err
		}
		if c.endpoints == nil {
			c.endpoints = map[string]*endpoint{}
		}
		c.endpoints[h.name] = e
	}
	c.mu.Unlock()
	return h.VariablesAt(e.origin), nil
}

func (h *Host) listenLocally() (*endpoint, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen on a loopback address: %w", err)
	}
	// The name is that of the real place, which is in the certificate.
	name, _, _ := net.SplitHostPort(h.Endpoint())
	_, port, _ := net.SplitHostPort(l.Addr().String())
	ctx, cancel := context.WithCancel(context.Background())
	e := &endpoint{origin: h.cloud.endpointScheme(h.name) + "://" + net.JoinHostPort(name, port), cancel: cancel, done: make(chan error, 1)}
	go func() { e.done <- h.cloud.ServeEndpoint(ctx, h.name, l) }()
	return e, nil
}

// closeEndpoints stops the endpoints of all hosts.
func closeEndpoints(endpoints map[string]*endpoint) error {
	var errs []error
	for _, e := range endpoints {
		e.cancel()
		errs = append(errs, <-e.done)
	}
	return errors.Join(errs...)
}
