// Package csrtest makes signing requests for tests as MSAL.NET makes them for
// IMDSv2 (ManagedIdentity/V2/Csr.cs).
package csrtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// A Request says what is in a signing request.
type Request struct {
	Key                crypto.Signer           // RSA for the attribute
	Algorithm          x509.SignatureAlgorithm // SHA256WithRSAPSS in MSAL.NET
	ClientID, TenantID string
	Unit               string // the value of the cuId attribute; no attribute if empty
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

type info struct {
	Version    int
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Attributes []attribute `asn1:"tag:0,set"`
}

type signed struct {
	Info      asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// DER returns the request in PKCS #10. crypto/x509 writes no attributes but
// extensions, so a request with the cuId is signed here.
func (r Request) DER() ([]byte, error) {
	domain := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, Value: r.TenantID}
	template := &x509.CertificateRequest{SignatureAlgorithm: r.Algorithm, Subject: pkix.Name{CommonName: r.ClientID, ExtraNames: []pkix.AttributeTypeAndValue{domain}}}
	plain, err := x509.CreateCertificateRequest(rand.Reader, template, r.Key)
	if err != nil || r.Unit == "" {
		return plain, err
	}
	var outer signed
	if _, err := asn1.Unmarshal(plain, &outer); err != nil {
		return nil, err
	}
	var inner info
	if _, err := asn1.Unmarshal(outer.Info.FullBytes, &inner); err != nil {
		return nil, err
	}
	inner.Attributes = []attribute{{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 90, 2, 10}, []asn1.RawValue{{Tag: asn1.TagUTF8String, Bytes: []byte(r.Unit)}}}}
	der, err := asn1.Marshal(inner)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	signature, err := r.Key.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256})
	if err != nil {
		return nil, err
	}
	outer.Info = asn1.RawValue{FullBytes: der}
	outer.Signature = asn1.BitString{Bytes: signature, BitLength: len(signature) * 8}
	return asn1.Marshal(outer)
}
