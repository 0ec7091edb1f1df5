package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// lookup asks a server for a name, and returns the status of the answer and the
// data of its records.
func lookup(t *testing.T, network, server, name string, kind uint16) []string {
	t.Helper()
	reply, _, err := (&dns.Client{Net: network, Timeout: deadline}).Exchange(new(dns.Msg).SetQuestion(name, kind), server)
	if err != nil {
		t.Fatalf("%s %s: %v", network, name, err)
	}
	got := []string{dns.RcodeToString[reply.Rcode]}
	for i := range reply.Answer {
		got = append(got, dns.Field(reply.Answer[i], 1))
	}
	return got
}

func TestServeResolvesTheEmulatedNamesAndNoOther(t *testing.T) {
	s := startServe(t, "--dns", "127.0.0.1:0", "--dns-answer", "169.254.169.254")
	for _, c := range []struct {
		name string
		kind uint16
		want []string
	}{
		{"login.microsoftonline.com.", dns.TypeA, []string{"NOERROR", "169.254.169.254"}},
		{"ContosoData.blob.core.windows.net.", dns.TypeA, []string{"NOERROR", "169.254.169.254"}},
		{"login.microsoftonline.com.", dns.TypeAAAA, []string{"NOERROR"}},
		{"example.com.", dns.TypeA, []string{"NXDOMAIN"}},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if diff := cmp.Diff(c.want, lookup(t, network, s.DNS, c.name, c.kind)); diff != "" {
				t.Errorf("%s over %s (-want +got):\n%s", c.name, network, diff)
			}
		}
	}
}

func TestServeSendsClientsToTheAddressOfHTTPS(t *testing.T) {
	s := startServe(t, "--dns", "127.0.0.1:0")
	if diff := cmp.Diff([]string{"NOERROR", "127.0.0.1"}, lookup(t, "udp", s.DNS, "login.microsoftonline.com.", dns.TypeA)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServeSharesCertificatesForAsLongAsItLives(t *testing.T) {
	made, found := filepath.Join(t.TempDir(), "certificates"), t.TempDir()
	for folder, left := range map[string]bool{made: false, found: true} {
		s := startServe(t, "--certificates", folder)
		files := []string{filepath.Join(folder, "ca.pem"), filepath.Join(folder, "bundle.pem"), filepath.Join(folder, "truststore.jks")}
		if diff := cmp.Diff(files, []string{s.CA, s.Bundle, s.TrustStore}); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
		for _, name := range files {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o444 != 0o444 {
				t.Errorf("%s is not for everybody to read: %v, %v", name, info, err)
			}
		}
		if _, err := listBlobs(s.proxied(t)); err != nil {
			t.Errorf("with the bundle in %s: %v", folder, err)
		}
		s.signal(t, syscall.SIGTERM)
		if err := s.process.Wait(); err != nil {
			t.Errorf("%v; standard error:\n%s", err, s.stderr.String())
		}
		for _, name := range files {
			if _, err := os.Stat(name); left != (err == nil) {
				t.Errorf("%s is left: %t, want %t (%v)", name, err == nil, left, err)
			}
		}
		if _, err := os.Stat(folder); left != (err == nil) {
			t.Errorf("%s is left: %t, want %t", folder, err == nil, left)
		}
	}
}
