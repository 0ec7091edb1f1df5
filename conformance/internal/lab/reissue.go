package lab

import (
	"encoding/json"
	"fmt"
)

// Reissue returns an act that gives the usual answer with a token of its own. Left
// to itself, IMDS hands out the same one until it expires.
func (l *Lab) Reissue() Act {
	return Edit(func(a *Answer) {
		var members struct {
			AccessToken string `json:"access_token"`
		}
		if json.Unmarshal(a.Body, &members) != nil || members.AccessToken == "" {
			return // a refusal stays as it is
		}
		claims := Claims(members.AccessToken)
		claims["uti"] = fmt.Sprintf("reissued-%d", l.issued.Add(1))
		a.Body = edited(a.Body, map[string]any{"access_token": l.Tenant.Sign(claims)})
	})
}
