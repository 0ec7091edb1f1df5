// Package pki is the throw-away certificate authority that lets doors answer
// https for names that belong to others.
//
// It is built to be harmless when it leaks. The private key never leaves
// memory, the authority ends after a week, and clients that honour name
// constraints refuse everything it signs outside the emulated names.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long certificates are valid. They begin an hour early, for clients whose
// clock is behind.
const (
	lifetime = 7 * 24 * time.Hour
	early    = time.Hour
)

// An Authority issues server certificates for emulated names. Its methods may
// be called from several goroutines. Use [New].
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	leaf *ecdsa.PrivateKey // one for all names: making keys is slow, and they are worthless
	// signer makes the key for documents when there is one to sign.
	signer func() (*rsa.PrivateKey, error)

	// Asks says at which server names clients are asked for a certificate, which
	// they may withhold. It gets names in lower case, and must be set before the
	// first use; nil stands for none.
	Asks func(name string) bool

	mu        sync.Mutex
	leaves    leaves
	delegates map[string]*Authority // by server name
}

// New makes an authority that is valid for seven days from now. names are the
// DNS names it may vouch for, together with everything below them; localhost
// and the addresses 127.0.0.0/8, ::1 and 169.254.169.254 are always among
// them. It fails when a name is not a DNS name, or without randomness.
//
// The name constraints are critical (RFC 5280 section 4.2.1.10): a client that
// does not understand them rejects the authority as a whole.
func New(now time.Time, names ...string) (*Authority, error) {
	permitted, err := domains(names)
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	leaf, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, err := root(now, permitted, key)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return &Authority{cert: cert, key: key, leaf: leaf, signer: sync.OnceValues(newSigner)}, nil
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// domains checks and sorts the names of a constraint.
func domains(names []string) ([]string, error) {
	out := []string{"localhost"}
	for _, name := range names {
		name = strings.ToLower(strings.TrimPrefix(name, "."))
		if !dnsName(name) {
			return nil, fmt.Errorf("certificate authority: %q is not a DNS name that it could vouch for", name)
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func root(now time.Time, permitted []string, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "fakeentra throw-away CA"},
		NotBefore:             now.Add(-early),
		NotAfter:              now.Add(lifetime),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         permitted,
		PermittedIPRanges:           addresses(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// addresses are the ranges of the name constraint: loopback, and the link-local
// address of the Instance Metadata Service.
func addresses() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		{IP: net.IPv4(169, 254, 169, 254).To4(), Mask: net.CIDRMask(32, 32)},
	}
}

// Certificate returns the certificate that clients must trust. The caller must
// not change it.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// PEM returns [Authority.Certificate] in the textual form of RFC 7468.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}
