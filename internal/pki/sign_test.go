package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func signed(t *testing.T, a *Authority) []byte {
	t.Helper()
	der, err := a.Sign([]byte(`{"nonce":"1234567890"}`), "westeurope.core.windows.net", "core.windows.net")
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestDocumentsAreSignedByACertificateForTheirName(t *testing.T) {
	a := authority(t)
	message, err := pkcs7.Parse(signed(t, a))
	if err != nil || string(message.Content) != `{"nonce":"1234567890"}` {
		t.Fatalf("content %q, %v", message.Content, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	if err := message.VerifyWithChain(roots); err != nil {
		t.Error(err)
	}
	signer := message.GetOnlySigner()
	if err := signer.VerifyHostname("westeurope.core.windows.net"); err != nil || signer.PublicKeyAlgorithm != x509.RSA || signer.Subject.CommonName != "westeurope.core.windows.net" {
		t.Errorf("the signer is %v with %v, %v", signer.Subject, signer.PublicKeyAlgorithm, err)
	}
	if len(message.Certificates) != 1 {
		t.Errorf("%d certificates, want the signer's alone", len(message.Certificates))
	}
	if info := message.Signers[0]; len(info.AuthenticatedAttributes) != 0 || !info.DigestAlgorithm.Algorithm.Equal(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}) {
		t.Errorf("signed with %v and %d attributes, want SHA-256 and none", info.DigestAlgorithm.Algorithm, len(info.AuthenticatedAttributes))
	}
}

func TestTheSignerIsKept(t *testing.T) {
	a := authority(t)
	first, err := pkcs7.Parse(signed(t, a))
	if err != nil {
		t.Fatal(err)
	}
	second, err := pkcs7.Parse(signed(t, a))
	if err != nil || !first.GetOnlySigner().Equal(second.GetOnlySigner()) {
		t.Errorf("another signer, %v", err)
	}
	if _, err := a.Sign(nil, "a b"); err == nil {
		t.Error("a document was signed in a name that is no DNS name")
	}
}

func TestOpenSSLVerifiesDocuments(t *testing.T) {
	openssl := toolchain.Program(t, "openssl")
	a, dir := authority(t), t.TempDir()
	for name, content := range map[string][]byte{"ca.pem": a.PEM(), "other.pem": authority(t).PEM(), "document": signed(t, a)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for ca, want := range map[string]string{"ca.pem": `{"nonce":"1234567890"}`, "other.pem": ""} {
		cmd := exec.CommandContext(t.Context(), openssl, "cms", "-verify", "-inform", "DER", "-in", "document", "-CAfile", ca, "-purpose", "any")
		cmd.Dir = dir
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); got != want || (err == nil) != (want != "") {
			t.Errorf("openssl with %s: %q, %v; want %q", ca, got, err, want)
		}
	}
}
