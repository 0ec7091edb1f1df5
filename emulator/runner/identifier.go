package runner

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/internal/ident"
)

// guid returns the GUID of something in this package's part of a seed.
func guid(seed string, path ...string) string {
	return ident.GUID(seed, append([]string{"runner"}, path...)...)
}

// number returns an identifier of nine digits, as those of repositories are.
func number(seed string, path ...string) string {
	sum := digest(seed, path)
	return strconv.Itoa(100_000_000 + int(binary.BigEndian.Uint32(sum[:4])%900_000_000))
}

// commit returns something that looks like the hash of a commit.
func commit(seed string, path ...string) string {
	sum := digest(seed, path)
	return hex.EncodeToString(sum[:20])
}

// secret returns a token that no other job has.
func secret(seed string, path ...string) string {
	sum := digest(seed, append([]string{"secret"}, path...))
	return hex.EncodeToString(sum[:])
}

func digest(seed string, path []string) [sha256.Size]byte {
	return sha256.Sum256([]byte(seed + "\x00runner\x00" + strings.Join(path, "\x00")))
}
