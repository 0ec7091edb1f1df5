package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/smallstep/pkcs7"
)

// rsaBits is the size of the keys that Azure signs with.
const rsaBits = 2048

// Sign returns content in a signed message of PKCS #7 (RFC 2315 section 9), in
// DER, with the certificate of its signer, which is for names, the first of
// which is its common name. As in messages of the Instance Metadata Service the
// key is RSA, the digest is SHA-256, and there are no signed attributes.
//
// The first call makes the key, which takes about a tenth of a second. It fails
// when a name is not a DNS name, or without randomness.
func (a *Authority) Sign(content []byte, names ...string) ([]byte, error) {
	for _, name := range names {
		if !dnsName(name) {
			return nil, fmt.Errorf("no certificate for %q: it is not a DNS name", name)
		}
	}
	key, err := a.signer()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	template.Subject.CommonName = names[0]
	cert, err := a.certificate("signer "+fmt.Sprint(names), template, key)
	if err != nil {
		return nil, err
	}
	return envelope(content, cert.Leaf, key)
}

func newSigner() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }

func envelope(content []byte, cert *x509.Certificate, key crypto.Signer) ([]byte, error) {
	message, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, err
	}
	message.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := message.SignWithoutAttr(cert, key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	return message.Finish()
}
