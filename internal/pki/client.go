package pki

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"
)

// Certify returns a certificate, in DER, for the key and the subject of a
// signing request, with which a client can present itself. It does not look at
// the request, which is for the caller to check.
func (a *Authority) Certify(request *x509.CertificateRequest, notBefore, notAfter time.Time) ([]byte, error) {
	template := &x509.Certificate{
		RawSubject: request.RawSubject, NotBefore: notBefore, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, request.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("no certificate for %s: %w", request.Subject, err)
	}
	return der, nil
}

// Certified reports whether a certificate is one that [Authority.Certify]
// returned. When it is valid is for the caller to compare with its clock.
func (a *Authority) Certified(certificate *x509.Certificate) bool {
	for _, usage := range certificate.ExtKeyUsage {
		if usage == x509.ExtKeyUsageClientAuth && len(certificate.DNSNames) == 0 {
			return certificate.CheckSignatureFrom(a.cert) == nil
		}
	}
	return false
}
