package sts

import (
	"net/http"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

func (s *Service) keysV2(r *edge.Request) edge.Response {
	_, issuer, err := s.issuerName(r)
	if err != nil {
		return s.refuse(r, err)
	}
	return s.keys(r, s.Environment.IssuerV2(issuer))
}

// keysV1 serves keys without an issuer, as the v1.0 document does.
func (s *Service) keysV1(r *edge.Request) edge.Response {
	if _, _, err := s.issuerName(r); err != nil {
		return s.refuse(r, err)
	}
	return s.keys(r, "")
}

func (s *Service) keys(r *edge.Request, issuer string) edge.Response {
	published, err := s.Ring.Published()
	if err != nil {
		return s.broken(r, err)
	}
	set := token.JWKS{Keys: make([]token.JWK, 0, len(published))}
	for _, k := range published {
		jwk := k.JWK()
		jwk.TokenIssuer = issuer
		set.Keys = append(set.Keys, jwk)
	}
	return s.publish(r, set)
}

// broken answers when there are no signing keys, which happens only when the
// machine cannot generate any.
func (s *Service) broken(r *edge.Request, err error) edge.Response {
	r.Explain("500", err.Error())
	return edge.JSON(http.StatusInternalServerError, map[string]string{"error": "server_error", "error_description": "fakeentra has no signing key."})
}
