package fakeentra_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/internal/toolchain"
	"github.com/smallstep/pkcs7"
)

// attest returns the signed message that a host shows to those who doubt that it
// runs in Azure.
func attest(t *testing.T, h *fakeentra.Host) []byte {
	t.Helper()
	_, body := metadata(t, h, "GET", "/attested/document?api-version=2025-04-07&nonce=1234567890", "")
	var got struct{ Encoding, Signature string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Encoding != "pkcs7" {
		t.Fatalf("%s, %v", body, err)
	}
	message, err := base64.StdEncoding.DecodeString(got.Signature)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestAttestedDocumentsAreVerifiedWithTheCertificateAuthority(t *testing.T) {
	entra := fakeentra.Start(t)
	vm := entra.AddHost("vm1", fakeentra.IMDS)
	message, err := pkcs7.Parse(attest(t, vm))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(entra.CA())
	if err := message.VerifyWithChain(roots); err != nil {
		t.Error(err)
	}
	if err := message.GetOnlySigner().VerifyHostname("westeurope.metadata.azure.com"); err != nil {
		t.Error(err)
	}
	var got struct{ Nonce string }
	if err := json.Unmarshal(message.Content, &got); err != nil || got.Nonce != "1234567890" {
		t.Errorf("the document is %s, %v; want the nonce 1234567890", message.Content, err)
	}
}

// These are the commands of Microsoft's page, with the verification of the
// chain that the page does separately.
func TestAttestedDocumentsAreVerifiedByOpenSSL(t *testing.T) {
	openssl := toolchain.Program(t, "openssl")
	entra := fakeentra.Start(t)
	dir := t.TempDir()
	for name, content := range map[string][]byte{"decodedsignature": attest(t, entra.AddHost("vm1", fakeentra.IMDS)), "ca.pem": entra.CAPEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for command, want := range map[string]string{
		"pkcs7 -in decodedsignature -inform DER -print_certs -out signer.pem":        "",
		"smime -verify -in decodedsignature -inform DER -noverify":                   `"nonce":"1234567890"`,
		"smime -verify -in decodedsignature -inform DER -CAfile ca.pem -purpose any": `"nonce":"1234567890"`,
	} {
		cmd := exec.CommandContext(t.Context(), openssl, strings.Fields(command)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("openssl %s: %v\n%s", command, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), openssl, "verify", "-CAfile", filepath.Join(dir, "ca.pem"), "-verify_hostname", "metadata.azure.com", filepath.Join(dir, "signer.pem")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "OK") {
		t.Errorf("openssl verify: %v\n%s", err, out)
	}
}
