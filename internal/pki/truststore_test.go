package pki

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// The trust store has its own way through a bundle, which must find what
// encoding/pem finds.
func TestTheTrustStoreHasEveryCertificateOfABundle(t *testing.T) {
	plain := string(authority(t).PEM())
	for name, bundle := range map[string]string{
		"alone":           plain,
		"with a comment":  "# CA\n" + plain + "\n\n" + plain,
		"in CRLF":         strings.ReplaceAll(plain, "\n", "\r\n"),
		"indented":        strings.ReplaceAll(plain, "\nMII", "\n \tMII"),
		"in one line":     strings.NewReplacer("E-----\n", "E-----\n", "\n-----", "\n-----", "\n", "").Replace(plain) + "\n",
		"begun twice":     "-----BEGIN CERTIFICATE-----\nAAAA\n" + plain,
		"after a key":     "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + plain,
		"broken, and one": "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n" + plain,
		"cut off":         plain + "-----BEGIN CERTIFICATE-----\nAAAA\n",
		"of the system":   string(SystemBundle(0)) + plain,
	} {
		var want [][]byte
		for block, rest := pem.Decode([]byte(bundle)); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" {
				want = append(want, block.Bytes)
			}
		}
		var got [][]byte
		for der := range blocks([]byte(bundle)) {
			got = append(got, bytes.Clone(der))
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%s: %d certificates, %d of encoding/pem, or others", name, len(got), len(want))
		}
	}
}

func TestTheSystemsCertificatesEndWithALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(file, []byte("system\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	for _, room := range []int{0, 4 << 10} {
		if got := SystemBundle(room); string(got) != "system\n" || cap(got) < len(got)+room {
			t.Errorf("%q with room for %d, want %d", got, cap(got)-len(got), room)
		}
	}
}

func TestCertificatesAreAddedToATrustStore(t *testing.T) {
	a, b, now := authority(t).PEM(), authority(t).PEM(), time.Now()
	both := JKS(append(bytes.Clone(a), b...), now)
	if got := TrustStore(nil).With(a, now).With(b, now).JKS(); !bytes.Equal(got, both) {
		t.Errorf("one after the other they make a store of %d bytes, %d together, or another one", len(got), len(both))
	}
}
