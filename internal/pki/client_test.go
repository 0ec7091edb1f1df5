package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
)

func TestOnlyCertificatesOfClientsAreCertified(t *testing.T) {
	a := authority(t)
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "agent"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) // a cloud's clock may be anywhere
	der, err = a.Certify(request, from, from.AddDate(0, 0, 7))
	if err != nil {
		t.Fatal(err)
	}
	client, err := x509.ParseCertificate(der)
	if err != nil || client.Subject.CommonName != "agent" || !client.NotBefore.Equal(from) || !client.NotAfter.Equal(from.AddDate(0, 0, 7)) || !key.PublicKey.Equal(client.PublicKey) {
		t.Fatalf("certificate of %v from %v to %v, %v", client.Subject, client.NotBefore, client.NotAfter, err)
	}
	server, err := a.named("localhost")
	if err != nil {
		t.Fatal(err)
	}
	message, err := pkcs7.Parse(signed(t, a))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		authority   *Authority
		certificate *x509.Certificate
		want        bool
	}{
		"a client":                {a, client, true},
		"a client of another":     {authority(t), client, false},
		"a server":                {a, server.Leaf, false},
		"the signer of documents": {a, message.GetOnlySigner(), false},
		"the authority":           {a, a.Certificate(), false},
	} {
		if got := tc.authority.Certified(tc.certificate); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
