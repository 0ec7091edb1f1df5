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
// whoever points one to an [Authority] appends it to these, for which they have
// room for as many bytes.
func SystemBundle(room int) []byte {
	for _, f := range append([]string{os.Getenv("SSL_CERT_FILE")}, Bundles()...) {
		if b := readWithRoom(f, room+1); len(b) > 0 {
			return append(bytes.TrimRight(b, "\n"), '\n')
		}
	}
	return nil
}

// readWithRoom returns what is in a file, or nothing, with room behind it for as
// much more: bundles are large, and every sandbox has one before it starts.
func readWithRoom(name string, room int) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		b.Grow(int(info.Size()) + bytes.MinRead + room)
	}
	if _, err := b.ReadFrom(f); err != nil {
		return nil
	}
	return b.Bytes()
}
