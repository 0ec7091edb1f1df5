package pki

import (
	"bytes"
	"crypto/sha1"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// JKSPassword is the password of every trust store that [JKS] writes: the one
// that Java itself uses for its own.
const JKSPassword = "changeit"

// JKS returns a Java trust store, in the format that every Java reads, with the
// certificates in a file in PEM form. now is when they were put into it. Blocks
// that are not certificates are left out.
func JKS(certificates []byte, now time.Time) []byte {
	return TrustStore(nil).With(certificates, now).JKS()
}

// A TrustStore is a Java trust store in the making. Nil is an empty one.
//
// The format has no specification but its source, sun.security.provider.JavaKeyStore
// of OpenJDK: a magic number, version 2, the number of entries; for each the tag
// of a certificate, an alias, the time in milliseconds, the type, the content;
// and a keyed digest, which is still to come.
type TrustStore []byte

// countAt is where the number of entries is.
const countAt = 8

// With returns the store with the certificates in a file in PEM form, as [JKS]
// does. The store itself must not be used any more.
func (s TrustStore) With(certificates []byte, now time.Time) TrustStore {
	if s == nil {
		const magic, version = 0xFEEDFEED, 2
		s = make(TrustStore, 0, len(certificates)) // which are longer in PEM
		s = binary.BigEndian.AppendUint32(s, magic)
		s = binary.BigEndian.AppendUint32(s, version)
		s = binary.BigEndian.AppendUint32(s, 0)
	}
	count := binary.BigEndian.Uint32(s[countAt:])
	for der := range blocks(certificates) {
		const trusted = 2
		s = binary.BigEndian.AppendUint32(s, trusted)
		s = appendUTF(s, "certificate-"+strconv.Itoa(int(count)))
		s = binary.BigEndian.AppendUint64(s, uint64(now.UnixMilli()))
		s = appendUTF(s, "X.509")
		s = binary.BigEndian.AppendUint32(s, uint32(len(der)))
		s = append(s, der...)
		count++
	}
	binary.BigEndian.PutUint32(s[countAt:], count)
	return s
}

// JKS returns the content of its file.
func (s TrustStore) JKS() []byte { return append(s, digest(s)...) }

// blocks are the certificates in a file in PEM form, in DER, each until the next
// one is asked for. [pem.Decode] takes six times as long, a millisecond for the
// bundle of a system, so it sees only what is not plain.
func blocks(certificates []byte) iter.Seq[[]byte] {
	begin, end := []byte("-----BEGIN CERTIFICATE-----"), []byte("-----END CERTIFICATE-----")
	return func(yield func([]byte) bool) {
		var der []byte
		for {
			start := bytes.Index(certificates, begin)
			if start < 0 {
				return
			}
			certificates = certificates[start:]
			length := bytes.Index(certificates, end)
			if length < 0 {
				return
			}
			text := certificates[len(begin):length]
			der = slices.Grow(der[:0], base64.StdEncoding.DecodedLen(len(text)))
			n, err := base64.StdEncoding.Decode(der[:cap(der)], text)
			der = der[:n]
			if err != nil {
				if block, _ := pem.Decode(certificates[:length+len(end)]); block != nil {
					der, err = block.Bytes, nil
				}
			}
			if err == nil && !yield(der) {
				return
			}
			certificates = certificates[length+len(end):]
		}
	}
}

// appendUTF appends a short text in ASCII as java.io.DataOutput.writeUTF does.
func appendUTF(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// digest guards a trust store against accidents. The whitener is part of the
// format.
func digest(store []byte) []byte {
	var salt []byte
	for _, unit := range utf16.Encode([]rune(JKSPassword)) {
		salt = binary.BigEndian.AppendUint16(salt, unit)
	}
	sum := sha1.New()
	_, _ = sum.Write(append(salt, "Mighty Aphrodite"...)) // a hash takes everything
	_, _ = sum.Write(store)
	return sum.Sum(nil)
}

// HashedName returns the file name, without the ".0" at its end, under which
// OpenSSL looks for the certificate of an authority in a folder: a digest of its
// subject, canonical as in x509_name_canon of OpenSSL. The subject is that of
// every [Authority]: one common name.
func HashedName(commonName string) (string, error) {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value string `asn1:"utf8"`
	}
	canonical := strings.ToLower(strings.Join(strings.Fields(commonName), " "))
	set, err := asn1.MarshalWithParams([]attribute{{asn1.ObjectIdentifier{2, 5, 4, 3}, canonical}}, "set")
	if err != nil {
		return "", fmt.Errorf("the subject %q: %w", commonName, err)
	}
	sum := sha1.Sum(set)
	slices.Reverse(sum[:4])
	return fmt.Sprintf("%x", sum[:4]), nil
}
