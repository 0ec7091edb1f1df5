package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
)

// maxLeaves bounds the memory that clients can take by asking for many names.
const maxLeaves = 256

// leaves are the certificates issued so far; the oldest makes room for the
// newest.
type leaves struct {
	byName map[string]*tls.Certificate
	order  []string
}

func (l *leaves) add(name string, cert *tls.Certificate) {
	if l.byName == nil {
		l.byName = map[string]*tls.Certificate{}
	}
	if len(l.order) == maxLeaves {
		delete(l.byName, l.order[0])
		l.order = l.order[1:]
	}
	l.byName[name] = cert
	l.order = append(l.order, name)
}

// TLSConfig returns a configuration for servers that answer for any name. The
// certificate is issued for the name in the client's hello, even if it is
// outside the authority's constraints: to tell is the client's part, and its
// error message is the better one. A hello without a name, which is what
// clients send to an IP address, is answered with a certificate for fallback,
// for localhost, and for the addresses that the authority may vouch for.
//
// It offers HTTP/2 and HTTP/1.1, and TLS 1.2 and later.
func (a *Authority) TLSConfig(fallback string) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == "" {
				return a.nameless(fallback)
			}
			return a.authorityOf(hello.ServerName).named(hello.ServerName)
		},
	}
	if a.Asks == nil {
		return config
	}
	asking := config.Clone()
	asking.ClientAuth = tls.RequestClientCert // who issued it is for the service to see
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if a.Asks(strings.ToLower(hello.ServerName)) {
			return asking, nil
		}
		return nil, nil // go on with config
	}
	return config
}

// named returns the certificate of one name.
func (a *Authority) named(name string) (*tls.Certificate, error) {
	name = strings.ToLower(name)
	if ip := net.ParseIP(name); ip != nil {
		return a.certificate(name, &x509.Certificate{IPAddresses: []net.IP{ip}}, a.leaf)
	}
	if !dnsName(name) {
		return nil, fmt.Errorf("no certificate for %q: it is not a DNS name", name)
	}
	return a.certificate(name, &x509.Certificate{DNSNames: []string{name}}, a.leaf)
}

// Delegate has other issue the certificates for a server name, for clients that
// trust other there and not a. Later connections are answered so.
func (a *Authority) Delegate(name string, other *Authority) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.delegates == nil {
		a.delegates = map[string]*Authority{}
	}
	a.delegates[strings.ToLower(name)] = other
}

// authorityOf returns who issues certificates for a server name.
func (a *Authority) authorityOf(name string) *Authority {
	a.mu.Lock()
	defer a.mu.Unlock()
	if other := a.delegates[strings.ToLower(name)]; other != nil {
		return other
	}
	return a
}

// nameless returns the certificate for clients that do not say whom they call.
func (a *Authority) nameless(fallback string) (*tls.Certificate, error) {
	fallback = strings.ToLower(fallback)
	template := &x509.Certificate{
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(169, 254, 169, 254)},
	}
	if ip := net.ParseIP(fallback); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if dnsName(fallback) && fallback != "localhost" {
		template.DNSNames = append(template.DNSNames, fallback)
	}
	return a.certificate("nameless "+fallback, template, a.leaf)
}

// certificate finds the certificate kept under id, or issues it from template
// for key.
func (a *Authority) certificate(id string, template *x509.Certificate, key crypto.Signer) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cert := a.leaves.byName[id]; cert != nil {
		return cert, nil
	}
	cert, err := a.issue(template, key)
	if err != nil {
		return nil, fmt.Errorf("no certificate for %s: %w", id, err)
	}
	a.leaves.add(id, cert)
	return cert, nil
}

// Issue makes a server certificate from a template that has names. Its validity,
// if it has one, may lie outside that of the authority: a client that looks
// refuses it.
func (a *Authority) Issue(template *x509.Certificate) (*tls.Certificate, error) {
	return a.issue(template, a.leaf)
}

// issue completes a template that has names, and perhaps usages and a common
// name. Unless it says when, the certificate ends with the authority, well within
// the 90 days that strict clients allow. RFC 5280 wants the names to be critical when there is no
// subject, so there is one. For servers it is without a common name, which could
// be too long for its field.
func (a *Authority) issue(template *x509.Certificate, key crypto.Signer) (*tls.Certificate, error) {
	template.Subject.Organization = []string{"fakeentra"}
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: parsed}, nil
}

// dnsName reports whether name can stand in a certificate (RFC 1123 section
// 2.1, and the underscore that DNS allows).
func dnsName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
