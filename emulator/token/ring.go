package token

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"sync"
)

// A Ring holds the keys of one issuer: the active one signs, all published
// ones verify, retired ones do neither. As in Entra, all tenants of a cloud
// share one Ring. Its methods may be called from several goroutines.
type Ring struct {
	next      func() (*Key, error)
	mu        sync.RWMutex
	published []*Key // the active key comes last
}

// NewRing returns a Ring that takes its keys from next, the first one when it
// is first used.
func NewRing(next func() (*Key, error)) *Ring { return &Ring{next: next} }

// Active returns the key that signs.
func (r *Ring) Active() (*Key, error) {
	r.mu.RLock()
	n := len(r.published)
	var k *Key
	if n > 0 {
		k = r.published[n-1]
	}
	r.mu.RUnlock()
	if k != nil {
		return k, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.published) == 0 {
		if err := r.add(); err != nil {
			return nil, err
		}
	}
	return r.published[len(r.published)-1], nil
}

func (r *Ring) add() error {
	k, err := r.next()
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	r.published = append(r.published, k)
	return nil
}

// Sign returns a JWT signed with the active key.
func (r *Ring) Sign(payload []byte, version int) (string, error) {
	k, err := r.Active()
	if err != nil {
		return "", err
	}
	return k.Sign(payload, version)
}

// Rotate makes a new key the active one. The old ones stay published.
func (r *Ring) Rotate() error {
	if _, err := r.Active(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.add()
}

// Retire takes every key but the active one out of publication, so that tokens
// signed with them are refused from now on.
func (r *Ring) Retire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.published); n > 1 {
		r.published = slices.Clone(r.published[n-1:])
	}
}

// Published returns the keys that verify, the oldest first.
func (r *Ring) Published() ([]*Key, error) {
	if _, err := r.Active(); err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.published), nil
}

// Lookup returns the published key with an identifier.
func (r *Ring) Lookup(kid string) (crypto.PublicKey, bool) {
	keys, err := r.Published()
	if err != nil {
		return nil, false
	}
	for _, k := range keys {
		if k.ID == kid {
			return k.Public(), true
		}
	}
	return nil, false
}

// A JWK is a key as Entra publishes it; member order and the absence of alg are
// as observed.
type JWK struct {
	KeyType     string   `json:"kty"`
	Use         string   `json:"use"`
	KeyID       string   `json:"kid"`
	X5T         string   `json:"x5t"`
	N           string   `json:"n"`
	E           string   `json:"e"`
	X5C         []string `json:"x5c"`
	TokenIssuer string   `json:"issuer,omitempty"` // v2.0 documents only
}

// A JWKS is a JSON Web Key Set (RFC 7517 section 5).
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// JWK returns the published form of a key, without the members of v2.0
// documents.
func (k *Key) JWK() JWK {
	return JWK{
		KeyType: "RSA", Use: "sig", KeyID: k.ID, X5T: k.ID,
		N:   base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
		E:   base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
		X5C: []string{base64.StdEncoding.EncodeToString(k.Certificate)},
	}
}

// PublicKey returns the RSA key that a JWK describes.
func (j JWK) PublicKey() (*rsa.PublicKey, error) {
	if j.KeyType != "RSA" {
		return nil, fmt.Errorf("key %q is of type %q; only RSA is supported", j.KeyID, j.KeyType)
	}
	n, err := base64.RawURLEncoding.DecodeString(j.N)
	if err != nil {
		return nil, fmt.Errorf("key %q: modulus: %w", j.KeyID, err)
	}
	e, err := base64.RawURLEncoding.DecodeString(j.E)
	if err != nil || len(e) == 0 || len(e) > 4 {
		return nil, fmt.Errorf("key %q: the exponent %q is not usable", j.KeyID, j.E)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
}
