// Package token mints and verifies the tokens of the emulated services, and
// keeps the keys they are signed with.
//
// Tokens are minted with go-jose and verified with golang-jwt, so that a
// mistake in one library is caught by the other.
package token

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Key signs tokens, and is published with a self-signed certificate.
type Key struct {
	// ID is the kid and the x5t of the key: the unpadded base64url SHA-1 of
	// Certificate, as observed on all keys of Entra.
	ID          string
	Certificate []byte // DER
	private     *rsa.PrivateKey
	v1, v2      jose.Signer // v1.0 tokens name the key twice, as kid and x5t
}

// NewKey wraps a private key in the kind of certificate that Entra publishes:
// self-signed, five years, CN=accounts.accesscontrol.windows.net.
func NewKey(private *rsa.PrivateKey) (*Key, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	notBefore := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "accounts.accesscontrol.windows.net"},
		NotBefore: notBefore, NotAfter: notBefore.AddDate(5, 0, 0),
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, err
	}
	return assemble(private, der)
}

// GenerateKey returns a fresh RSA-2048 key. It takes about a tenth of a second.
func GenerateKey() (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return NewKey(private)
}

func assemble(private *rsa.PrivateKey, der []byte) (*Key, error) {
	sum := sha1.Sum(der)
	k := &Key{ID: base64.RawURLEncoding.EncodeToString(sum[:]), Certificate: der, private: private}
	signing := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: k.ID}}
	var err error
	if k.v2, err = jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("JWT")); err != nil {
		return nil, err
	}
	k.v1, err = jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t", k.ID))
	return k, err
}

// Public returns the public half.
func (k *Key) Public() *rsa.PublicKey { return &k.private.PublicKey }

// Sign returns a JWT in compact form with payload as its claims. version is
// that of the token format; only v1.0 tokens carry x5t.
func (k *Key) Sign(payload []byte, version int) (string, error) {
	signer := k.v2
	if version == 1 {
		signer = k.v1
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// PEM returns the private key and the certificate, for a file of mode 0600.
func (k *Key) PEM() []byte {
	out := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k.private)})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate})...)
}

// ParsePEM reads what [Key.PEM] wrote.
func ParsePEM(b []byte) (*Key, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "RSA PRIVATE KEY" {
		return nil, errors.New("no RSA private key in PEM form where one was expected")
	}
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("RSA private key: %w", err)
	}
	if block, _ = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM form after the private key")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if !private.PublicKey.Equal(certificate.PublicKey) {
		return nil, errors.New("the certificate belongs to another private key")
	}
	return assemble(private, block.Bytes)
}
