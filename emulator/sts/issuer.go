package sts

import (
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/token"
)

// checkIssuerKey finds the key of an assertion's issuer and verifies the
// signature. Entra supports RS256 alone for it ("Important considerations for
// federated identity credentials").
func (s *Service) checkIssuerKey(a *token.Token, entra bool) *Error {
	if other, ok := s.Environment.Elsewhere(a.Claims.Issuer); ok && !entra {
		return errOtherCloud.because(values{"iss": a.Claims.Issuer}, "the assertion comes from the %s cloud; this is the %s cloud, and tokens of one are not accepted in another", other.Name, s.Environment.Name)
	}
	if a.Header.Algorithm != "RS256" {
		return checkSignature(a, nil, "RS256")
	}
	key, err := s.issuerKey(a, entra)
	if err != nil {
		return err
	}
	return checkSignature(a, key, "RS256")
}

func (s *Service) issuerKey(a *token.Token, entra bool) (crypto.PublicKey, *Error) {
	var keys token.KeySource = s.Ring
	if !entra {
		fetched, err := s.fetchKeys(a.Claims.Issuer)
		if err != nil {
			return nil, s.unreachable("the keys of %s cannot be had: %v", a.Claims.Issuer, err)
		}
		keys = fetched
	}
	if key, ok := keys.Lookup(a.Header.KeyID); ok {
		return key, nil
	}
	return nil, errKeyNotPublished.because(values{"kid": a.Header.KeyID, "iss": a.Claims.Issuer},
		"%s does not publish a key %q; the key was retired, or the token comes from another server", a.Claims.Issuer, a.Header.KeyID)
}

func (s *Service) unreachable(why string, args ...any) *Error {
	switch s.Era {
	case Era2022:
		return errIssuerUnreachable2022.because(nil, why, args...)
	case Era2023:
		return errIssuerUnreachable2023.because(nil, why, args...)
	}
	return errIssuerUnreachable.because(nil, why, args...)
}

// keySet are the keys of a document that was fetched.
type keySet map[string]token.JWK

// Lookup implements token.KeySource.
func (k keySet) Lookup(kid string) (crypto.PublicKey, bool) {
	jwk, ok := k[kid]
	if !ok {
		return nil, false
	}
	key, err := jwk.PublicKey()
	return key, err == nil
}

// fetchKeys reads the keys of an issuer as Entra does: its OpenID configuration,
// whose issuer has to be the very string (OpenID Connect Discovery 1.0 section
// 4.3), and the key set that it names. Nothing is cached.
func (s *Service) fetchKeys(issuer string) (keySet, error) {
	var configuration struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := s.fetch(strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &configuration); err != nil {
		return nil, err
	}
	if configuration.Issuer != issuer {
		return nil, fmt.Errorf("its OpenID configuration is of the issuer %q", configuration.Issuer)
	}
	var set token.JWKS
	if err := s.fetch(configuration.JWKSURI, &set); err != nil {
		return nil, err
	}
	keys := keySet{}
	for _, k := range set.Keys {
		keys[k.KeyID] = k
	}
	return keys, nil
}

func (s *Service) fetch(url string, into any) error {
	if s.Fetch == nil {
		return fmt.Errorf("this cloud has no issuer outside Entra")
	}
	status, body, err := s.Fetch(url)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answered %d", url, status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}
