package pki

import (
	"crypto/sha1"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"slices"
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
//
// The format has no specification but its source, sun.security.provider.JavaKeyStore
// of OpenJDK: a magic number, version 2, the number of entries; for each the tag
// of a certificate, an alias, the time in milliseconds, the type, the content;
// and a keyed digest.
func JKS(certificates []byte, now time.Time) []byte {
	entries := make([]byte, 0, len(certificates))
	count := uint32(0)
	for block, rest := pem.Decode(certificates); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		const trusted = 2
		entries = binary.BigEndian.AppendUint32(entries, trusted)
		entries = appendUTF(entries, fmt.Sprintf("certificate-%d", count))
		entries = binary.BigEndian.AppendUint64(entries, uint64(now.UnixMilli()))
		entries = appendUTF(entries, "X.509")
		entries = binary.BigEndian.AppendUint32(entries, uint32(len(block.Bytes)))
		entries = append(entries, block.Bytes...)
		count++
	}
	const magic, version = 0xFEEDFEED, 2
	store := binary.BigEndian.AppendUint32(nil, magic)
	store = binary.BigEndian.AppendUint32(store, version)
	store = binary.BigEndian.AppendUint32(store, count)
	store = append(slices.Grow(store, len(entries)+sha1.Size), entries...)
	return append(store, digest(store)...)
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
