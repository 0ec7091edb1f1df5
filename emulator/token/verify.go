package token

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// ErrAlgorithm is returned for a token signed with an algorithm that is not
// allowed where it is presented.
var ErrAlgorithm = errors.New("the signing algorithm is not supported")

// A Token is a JWT that was read but not necessarily verified.
type Token struct {
	Raw    string
	Header Header
	Claims Claims
	// All has every claim, for rules that look at claims by name.
	All map[string]any

	method    jwt.SigningMethod
	signature []byte
}

// A Header is the JOSE header of a token, as far as it matters to anyone here.
type Header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
	X5T       string `json:"x5t"`
	X5TS256   string `json:"x5t#S256"`
}

// MaxLength is how long a token may be. Entra's limit is not documented; real
// tokens stay well below.
const MaxLength = 64 << 10

// claimsReader decodes a payload twice, into Claims and into a map. It has the
// method set that golang-jwt demands; nothing calls it, because the services
// check the claims themselves and in Entra's order.
type claimsReader struct {
	jwt.RegisteredClaims
	token *Token
}

func (c *claimsReader) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &c.token.Claims); err != nil && !foreign(err) {
		return err
	}
	return json.Unmarshal(b, &c.token.All)
}

// foreign reports whether err is about a claim that RFC 7519 leaves to the
// issuer. Other issuers have claims of the names that Entra uses, with values of
// other types, such as a number as ver and an array as scp: they are left out.
func foreign(err error) bool {
	odd, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok && !slices.Contains([]string{"", "iss", "sub"}, odd.Field)
}

// Parse reads a JWT in compact form without verifying its signature.
func Parse(raw string) (*Token, error) {
	if len(raw) > MaxLength {
		return nil, fmt.Errorf("the token has %d characters; at most %d are read", len(raw), MaxLength)
	}
	t := &Token{Raw: raw}
	parsed, parts, err := jwt.NewParser().ParseUnverified(raw, &claimsReader{token: t})
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) {
		return nil, err
	}
	if t.All == nil {
		return nil, errors.New("the claims of the token are not a JSON object")
	}
	header, err := jwt.NewParser().DecodeSegment(parts[0])
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(header, &t.Header); err != nil {
		return nil, fmt.Errorf("the header of the token: %w", err)
	}
	t.method, t.signature = parsed.Method, parsed.Signature
	return t, nil
}

// Verify checks the signature against a public key. It fails with
// [ErrAlgorithm] unless the token's algorithm is one of allowed.
func (t *Token) Verify(key crypto.PublicKey, allowed ...string) error {
	for _, alg := range allowed {
		if t.Header.Algorithm == alg && t.method != nil {
			input := t.Raw[:strings.LastIndexByte(t.Raw, '.')]
			return t.method.Verify(input, t.signature, key)
		}
	}
	return fmt.Errorf("%w: %q; expected %s", ErrAlgorithm, t.Header.Algorithm, strings.Join(allowed, " or "))
}

// A KeySource finds the public key that a token names.
type KeySource interface {
	Lookup(kid string) (crypto.PublicKey, bool)
}
