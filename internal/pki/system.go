package pki

import (
	"bytes"
	"os"
)

// Bundles returns the files in which the distributions keep the certificates
// that they trust, as listed in crypto/x509/root_linux.go.
func Bundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
		"/etc/ssl/ca-bundle.pem",                            // openSUSE
		"/etc/pki/tls/cacert.pem",                           // OpenELEC
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
		"/etc/ssl/cert.pem",                                 // Alpine, macOS
	}
}

// SystemBundle returns the certificates that this machine trusts, in PEM and
// with a newline at the end, or nothing when they are not kept in a file. Like
// Go and OpenSSL, it looks into the file that SSL_CERT_FILE names first.
//
// Variables such as SSL_CERT_FILE replace the system's certificates, so
// whoever points one to an [Authority] puts these beside it.
func SystemBundle() []byte {
	for _, f := range append([]string{os.Getenv("SSL_CERT_FILE")}, Bundles()...) {
		if b, err := os.ReadFile(f); err == nil && len(b) > 0 {
			return append(bytes.TrimRight(b, "\n"), '\n')
		}
	}
	return nil
}
