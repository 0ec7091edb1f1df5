package pki

import (
	"crypto/x509"
	"testing"
	"time"
)

// A certificate that vouches for itself, for a week and for loopback names only.
func TestASelfSignedCertificateVouchesForLoopbackNames(t *testing.T) {
	now := time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)
	cert, err := SelfSigned(now)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	for name, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "169.254.169.254": false, "login.microsoftonline.com": false} {
		_, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool, CurrentTime: now})
		if (err == nil) != want {
			t.Errorf("%s: %v, want trust: %v", name, err, want)
		}
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now.Add(8 * 24 * time.Hour)}); err == nil {
		t.Error("it is still trusted after a week")
	}
	if cert.Leaf.IsCA {
		t.Error("it could sign others")
	}
	other, err := SelfSigned(now)
	if err != nil || other.Leaf.Equal(cert.Leaf) {
		t.Errorf("two calls made the same certificate (%v)", err)
	}
}
