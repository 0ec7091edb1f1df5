package control

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// A wireTokenRequest asks for a token of an issuer outside Entra.
type wireTokenRequest struct {
	Issuer string                     `json:"issuer"` // name
	Claims map[string]json.RawMessage `json:"claims"`
}

type wireToken struct {
	Token string `json:"token"`
}

const tokenExample = `{"issuer": name, "claims": {"sub": text, ...}}; a claim that is null is left out`

func postToken(c *call) (edge.Response, *refusal) {
	in, no := readTokenRequest(c.body)
	if no != nil {
		return edge.Response{}, no
	}
	claims := map[string]any{}
	for name, value := range in.Claims {
		claims[name] = value
		if string(value) == "null" {
			claims[name] = nil
		}
	}
	raw, err := c.SignToken(in.Issuer, claims)
	if err != nil {
		return edge.Response{}, refuse("cannot", err).expecting("the name of an issuer of this cloud")
	}
	return edge.JSON(http.StatusOK, wireToken{raw}), nil
}

func readTokenRequest(body []byte) (wireTokenRequest, *refusal) {
	wrong := func(format string, args ...any) (wireTokenRequest, *refusal) {
		return wireTokenRequest{}, refuse("bad-body", fmt.Sprintf(format, args...)).expecting(tokenExample)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return wrong("the request body is not a JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) { // encoding/json folds case
		if name != "issuer" && name != "claims" {
			return wrong("the request body has the unknown member %q", name)
		}
	}
	var in wireTokenRequest
	if err := json.Unmarshal(members["issuer"], &in.Issuer); err != nil || in.Issuer == "" {
		return wrong("the member \"issuer\" of the request body is not the name of an issuer")
	}
	if claims, said := members["claims"]; said {
		if err := json.Unmarshal(claims, &in.Claims); err != nil {
			return wrong("the member \"claims\" of the request body is not an object")
		}
	}
	return in, nil
}
