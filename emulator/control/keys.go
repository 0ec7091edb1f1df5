package control

import (
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

func rotateKeys(c *call) (edge.Response, *refusal) { return c.keys(c.RotateKeys) }
func retireKeys(c *call) (edge.Response, *refusal) { return c.keys(c.RetireKeys) }

func (c *call) keys(change func(issuer string) error) (edge.Response, *refusal) {
	texts, no := readTexts(c.body, `{"issuer": name}, or an empty body for Entra's own keys`, "issuer")
	if no != nil {
		return edge.Response{}, no
	}
	if err := change(texts["issuer"]); err != nil {
		return edge.Response{}, refuse("cannot", err).expecting("the name of an issuer of this cloud, or none for Entra's own keys")
	}
	return done(), nil
}

func getCA(c *call) (edge.Response, *refusal) {
	pem := c.CA()
	if len(pem) == 0 {
		return edge.Response{}, refuse("no-ca")
	}
	return edge.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-pem-file"}}, Body: pem}, nil
}
