package pki

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func TestJavaReadsTheTrustStore(t *testing.T) {
	keytool := toolchain.Program(t, "keytool")
	a, b := authority(t), authority(t)
	file := filepath.Join(t.TempDir(), "cacerts")
	if err := os.WriteFile(file, JKS(append(a.PEM(), b.PEM()...), time.Now()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(keytool, "-list", "-rfc", "-keystore", file, "-storepass", JKSPassword, "-J-Xshare:auto").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listed := strings.ReplaceAll(string(out), "\r", "")
	for name, a := range map[string]*Authority{"certificate-0": a, "certificate-1": b} {
		if !strings.Contains(listed, "Alias name: "+name+"\n") || !strings.Contains(listed, strings.TrimSpace(string(a.PEM()))) {
			t.Errorf("keytool does not list %s:\n%s", name, listed)
		}
	}
	out, err = exec.Command(keytool, "-list", "-keystore", file, "-storepass", "wrong").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("password was incorrect")) {
		t.Errorf("another password is accepted: %s", out)
	}
}

func TestAnEmptyTrustStoreHasNoEntries(t *testing.T) {
	got := hex.EncodeToString(JKS([]byte("-----BEGIN X-----\nAA==\n-----END X-----\n"), time.Now()))
	if want := "feedfeed0000000200000000" + "e2686e45fb43dfa4d992dd41ceb6b21c6330d792"; got != want { // as keytool writes one
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOpenSSLLooksForTheHashedName(t *testing.T) {
	a := authority(t)
	got, err := HashedName(a.Certificate().Subject.CommonName)
	if want := "6f30397f"; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	openssl := exec.Command(toolchain.Program(t, "openssl"), "x509", "-noout", "-subject_hash")
	openssl.Stdin = bytes.NewReader(a.PEM())
	out, err := openssl.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(out)); got != want {
		t.Errorf("%s, want %s, as openssl says", got, want)
	}
}
