// Package ident derives identifiers from names, so that nothing in a cloud is
// random and a golden file of one run fits the next.
package ident

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// namespace keeps the GUIDs of this project apart from those that others
// derive from the same words.
var namespace = uuid.MustParse("6a1e7c3c-6f0b-5d57-8d1b-5f6a6b656e74")

// GUID returns a lower-case GUID (RFC 9562 version 5) that depends on nothing
// but seed and path. The parts of path are separated, so ("a", "bc") and
// ("ab", "c") differ.
func GUID(seed string, path ...string) string {
	return uuid.NewSHA1(namespace, []byte(seed+"\x00"+strings.Join(path, "\x00"))).String()
}

// IsGUID reports whether s is a GUID in the 8-4-4-4-12 form, in any letter case.
func IsGUID(s string) bool {
	return len(s) == 36 && uuid.Validate(s) == nil
}

// LittleEndian returns the 16 bytes of a GUID as .NET lays them out: the first
// three groups little-endian, the rest as written. Entra packs GUIDs this way
// in the uti and rh claims and in FMI subjects. It returns nil for a string
// that is not a GUID.
func LittleEndian(guid string) []byte {
	u, err := uuid.Parse(guid)
	if err != nil {
		return nil
	}
	b := u[:]
	return []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]}
}

// Packed returns the unpadded base64url form of [LittleEndian], as in the uti
// claim.
func Packed(guid string) string {
	return base64.RawURLEncoding.EncodeToString(LittleEndian(guid))
}

// Request returns the identifier of the n-th request of a cloud. Like nearly
// all request identifiers of the real service it ends in 00.
func Request(seed string, n int) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	sum := sha256.Sum256(append([]byte(seed+"\x00request\x00"), b[:]...))
	sum[6] = sum[6]&0x0f | 0x40 // version 4, as the real ones
	sum[8] = sum[8]&0x3f | 0x80
	sum[15] = 0
	var out [36]byte
	hex.Encode(out[0:8], sum[0:4])
	hex.Encode(out[9:13], sum[4:6])
	hex.Encode(out[14:18], sum[6:8])
	hex.Encode(out[19:23], sum[8:10])
	hex.Encode(out[24:36], sum[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
