package sts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"
)

// presenting has the client show a certificate with a common name, which the
// cloud says it issued.
func (w *world) presenting(name string) *x509.Certificate {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: start.Add(-time.Hour), NotAfter: start.Add(7 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	w.must(err)
	w.presented, err = x509.ParseCertificate(der)
	w.must(err)
	w.sts.Certified = func(c *x509.Certificate) bool { return c.Equal(w.presented) }
	return w.presented
}

// bound asks for a token of the build agent that is bound to its certificate.
func (w *world) bound(fields ...string) reply {
	w.t.Helper()
	return w.post(append([]string{"grant_type", "client_credentials", "client_id", agentCID, "scope", storageScope, "token_type", "mtls_pop"}, fields...)...)
}

func TestATokenIsBoundToTheCertificateOfItsClient(t *testing.T) {
	w := newWorld(t)
	sum := sha256.Sum256(w.presenting(agentCID).Raw)
	got := w.bound()
	claims := w.claims(got)
	if claims.Confirmation == nil || claims.Confirmation.X5TS256 != base64.RawURLEncoding.EncodeToString(sum[:]) || claims.Subject != agentOID {
		t.Errorf("claims %+v, want those of the build agent, bound to its certificate", claims)
	}
	if got.Body["token_type"] != "mtls_pop" || got.Body["expires_in"] != float64(86399) {
		t.Errorf("answer %v, want token_type mtls_pop for a day", got.Body)
	}
}

func TestCertificatesOfOthersGetNoToken(t *testing.T) {
	for name, tc := range map[string]struct {
		request func(*world) reply
		code    string
		why     string
	}{
		"none":                 {func(w *world) reply { return w.bound() }, "AADSTS392200", "no certificate was presented in TLS"},
		"of another authority": {func(w *world) reply { w.presenting(agentCID); w.sts.Certified = nil; return w.bound() }, "AADSTS392200", "was not issued by this cloud"},
		"of an application":    {func(w *world) reply { w.presenting(exporter); return w.bound("client_id", exporter) }, "AADSTS392200", "to a managed identity"},
		"of another identity":  {func(w *world) reply { w.presenting(strangeCID); return w.bound() }, "AADSTS700021", "is that of " + strangeCID},
		"too early": {func(w *world) reply {
			w.presenting(agentCID)
			w.clock.now = start.Add(-2 * time.Hour)
			return w.bound()
		}, "AADSTS392204", "is valid from"},
	} {
		w := newWorld(t)
		got := tc.request(w)
		if !strings.HasPrefix(got.Body["error_description"].(string), tc.code+": ") || !strings.Contains(w.lastWhy(), tc.why) {
			t.Errorf("%s: %v, because %s; want %s", name, got.Body["error_description"], w.lastWhy(), tc.code)
		}
	}
}
