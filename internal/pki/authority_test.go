package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/toolchain"
)

func authority(t *testing.T) *Authority {
	a, err := New(time.Now(), "microsoftonline.com", ".core.windows.net")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// dial shakes hands over a pipe as a client that trusts a and wants name.
// sni says whether it tells the server so.
func dial(t *testing.T, a *Authority, fallback, name string, sni bool, client *tls.Config) (tls.ConnectionState, error) {
	near, far := net.Pipe()
	defer func() { _ = near.Close() }()
	server := tls.Server(far, a.TLSConfig(fallback))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = server.Close() }()
		_ = server.HandshakeContext(t.Context())
	}()
	client.RootCAs = x509.NewCertPool()
	client.RootCAs.AddCert(a.Certificate())
	client.ServerName = name
	if !sni {
		client.ServerName, client.InsecureSkipVerify = "", true
		client.VerifyConnection = func(s tls.ConnectionState) error {
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: client.RootCAs, DNSName: name})
			return err
		}
	}
	conn := tls.Client(near, client)
	err := conn.HandshakeContext(t.Context())
	state := conn.ConnectionState()
	_ = near.Close()
	<-done
	return state, err
}

func TestClientsTrustEmulatedNames(t *testing.T) {
	a := authority(t)
	for _, tc := range []struct {
		fallback, name string
		sni            bool
	}{
		{"", "login.microsoftonline.com", true},
		{"", "LOGIN.microsoftonline.com", true},
		{"", "contosodata.blob.core.windows.net", true},
		{"", "localhost", true},
		{"login.microsoftonline.com", "login.microsoftonline.com", false},
		{"login.microsoftonline.com", "localhost", false},
		{"login.microsoftonline.com", "127.0.0.1", false},
		{"login.microsoftonline.com", "::1", false},
		{"", "169.254.169.254", false},
		{"127.0.0.9", "127.0.0.9", false},
	} {
		if _, err := dial(t, a, tc.fallback, tc.name, tc.sni, &tls.Config{}); err != nil {
			t.Errorf("%s (fallback %q, SNI %v): %v", tc.name, tc.fallback, tc.sni, err)
		}
	}
}

func TestAnotherAuthorityIssuesForTheNamesThatAreItsOwn(t *testing.T) {
	a, err := New(time.Now(), "azmk8s.io")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := New(time.Now(), "ests.aks")
	if err != nil {
		t.Fatal(err)
	}
	a.Delegate("One.ests.aks", cluster)
	for name, want := range map[string]*Authority{"one.ests.aks": cluster, "ONE.ESTS.AKS": cluster, "api.azmk8s.io": a} {
		cert, err := a.TLSConfig("").GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(want.Certificate())
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClientsRefuseNamesOutsideTheConstraints(t *testing.T) {
	a := authority(t)
	for _, name := range []string{"www.example.com", "notmicrosoftonline.com", "windows.net"} {
		_, err := dial(t, a, "", name, true, &tls.Config{})
		var invalid x509.CertificateInvalidError
		if !errors.As(err, &invalid) || invalid.Reason != x509.CANotAuthorizedForThisName {
			t.Errorf("%s: got %v, want a client that refuses the name", name, err)
		}
	}
	leaf, err := a.nameless("10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "10.0.0.1"}); err == nil {
		t.Error("a client accepts the address 10.0.0.1")
	}
}

func TestProtocolsAreNegotiated(t *testing.T) {
	a := authority(t)
	for _, tc := range []struct {
		name   string
		client *tls.Config
		want   string
	}{
		{"HTTP/2", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, "h2 TLS 1.3"},
		{"HTTP/1.1", &tls.Config{NextProtos: []string{"http/1.1"}, MaxVersion: tls.VersionTLS12}, "http/1.1 TLS 1.2"},
		{"no ALPN", &tls.Config{}, " TLS 1.3"},
	} {
		state, err := dial(t, a, "", "localhost", true, tc.client)
		if got := state.NegotiatedProtocol + " " + tls.VersionName(state.Version); err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v; want %q", tc.name, got, err, tc.want)
		}
	}
	if _, err := dial(t, a, "", "localhost", true, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("the server speaks TLS 1.1")
	}
}

func TestCertificatesSayWhatStrictClientsWant(t *testing.T) {
	now := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	a, err := New(now, "microsoftonline.com")
	if err != nil {
		t.Fatal(err)
	}
	tlsCert, err := a.named("login.microsoftonline.com")
	if err != nil {
		t.Fatal(err)
	}
	ca, leaf := a.Certificate(), tlsCert.Leaf
	for _, c := range []*x509.Certificate{ca, leaf} {
		if want := now.Add(-time.Hour); !c.NotBefore.Equal(want) {
			t.Errorf("%s begins at %v, want %v", c.Subject, c.NotBefore, want)
		}
		if want := now.Add(7 * 24 * time.Hour); !c.NotAfter.Equal(want) {
			t.Errorf("%s ends at %v, want %v", c.Subject, c.NotAfter, want)
		}
		if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
			t.Errorf("%s has a key of type %T, want P-256", c.Subject, c.PublicKey)
		}
	}
	if !ca.PermittedDNSDomainsCritical || !ca.IsCA || !ca.MaxPathLenZero {
		t.Errorf("critical constraints %v, CA %v, no CA below it %v; want all", ca.PermittedDNSDomainsCritical, ca.IsCA, ca.MaxPathLenZero)
	}
	if diff := cmp.Diff([]string{"localhost", "microsoftonline.com"}, ca.PermittedDNSDomains); diff != "" {
		t.Errorf("permitted names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("[127.0.0.0/8 ::1/128 169.254.169.254/32]", fmt.Sprint(ca.PermittedIPRanges)); diff != "" {
		t.Errorf("permitted addresses (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"login.microsoftonline.com"}, leaf.DNSNames); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, leaf.ExtKeyUsage); diff != "" {
		t.Errorf("extended key usage (-want +got):\n%s", diff)
	}
	if len(leaf.AuthorityKeyId) == 0 || !bytes.Equal(leaf.AuthorityKeyId, ca.SubjectKeyId) {
		t.Errorf("authority key identifier %x, want %x", leaf.AuthorityKeyId, ca.SubjectKeyId)
	}
}

func TestOpenSSLAcceptsTheChainInStrictMode(t *testing.T) {
	openssl := toolchain.Program(t, "openssl")
	a, dir := authority(t), t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, a.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	nameless, err := a.nameless("login.microsoftonline.com")
	if err != nil {
		t.Fatal(err)
	}
	named, err := a.named("contosodata.blob.core.windows.net")
	if err != nil {
		t.Fatal(err)
	}
	outside, err := a.named("www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, flag string
		cert       *tls.Certificate
		want       string
	}{
		{"contosodata.blob.core.windows.net", "-verify_hostname", named, "OK"},
		{"localhost", "-verify_hostname", nameless, "OK"},
		{"169.254.169.254", "-verify_ip", nameless, "OK"},
		{"www.example.com", "-verify_hostname", outside, "permitted subtree violation"},
	} {
		file := filepath.Join(dir, "leaf.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tc.cert.Certificate[0]}), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca, tc.flag, tc.name, file).CombinedOutput()
		if !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: openssl says\n%swant %q", tc.name, out, tc.want)
		}
	}
}

func TestNewRefusesNamesThatAreNoDNSNames(t *testing.T) {
	for _, name := range []string{"", "a..b", "*.windows.net", "http://windows.net", "windows.net:443", strings.Repeat("a", 64) + ".net", strings.Repeat("a.", 127) + "net"} {
		if _, err := New(time.Now(), name); err == nil || !strings.Contains(err.Error(), "is not a DNS name") {
			t.Errorf("%q: got %v, want a refusal", name, err)
		}
	}
}

func TestLeavesAreKeptAndBounded(t *testing.T) {
	a := authority(t)
	first, err := a.named("login.microsoftonline.com")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := a.named("LOGIN.MicrosoftOnline.com"); again != first {
		t.Error("the second hello gets another certificate")
	}
	for i := range maxLeaves {
		if _, err := a.named(fmt.Sprintf("h%d.core.windows.net", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.leaves.byName) != maxLeaves || len(a.leaves.order) != maxLeaves {
		t.Errorf("%d certificates are kept in %d places, want %d", len(a.leaves.byName), len(a.leaves.order), maxLeaves)
	}
	if again, _ := a.named("login.microsoftonline.com"); again == first {
		t.Error("the oldest certificate was not dropped")
	}
}

func TestAuthoritiesShareNothing(t *testing.T) {
	if a, b := authority(t), authority(t); bytes.Equal(a.PEM(), b.PEM()) || a.Certificate().SerialNumber.Cmp(b.Certificate().SerialNumber) == 0 {
		t.Error("two authorities have the same certificate or number")
	}
}

func TestSystemBundleLooksWhereSSLCertFilePoints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(file, authority(t).PEM()[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	if got := string(SystemBundle(0)); got != "-----BEGIN CERTIFICA\n" {
		t.Errorf("got %q", got)
	}
}

func TestSystemBundleHoldsCertificates(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", "")
	b := SystemBundle(0)
	if b == nil {
		toolchain.Without(t, "a file of the certificates that the system trusts", "install ca-certificates with the system's packages")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) || !bytes.HasSuffix(b, []byte("-----\n")) {
		t.Errorf("%d bytes without a certificate, or without a newline at the end", len(b))
	}
}

// FuzzServerName sends any name as SNI. A certificate comes back that is for
// this name, or none.
func FuzzServerName(f *testing.F) {
	for _, name := range []string{"login.microsoftonline.com", "LOCALHOST", "*.windows.net", "169.254.169.254", "::1", "a..b", "nameless x", "\x00", "ä.net"} {
		f.Add(name)
	}
	a, err := New(time.Now(), "windows.net")
	if err != nil {
		f.Fatal(err)
	}
	config := a.TLSConfig("localhost")
	f.Fuzz(func(t *testing.T, name string) {
		cert, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			return
		}
		if name == "" {
			name = "localhost"
		}
		if err := cert.Leaf.VerifyHostname(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	})
}
