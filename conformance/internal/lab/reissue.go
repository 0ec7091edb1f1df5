package lab

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/directory"
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

// Assertion returns a token of a managed identity for the token exchange, which no
// endpoint handed out.
func (l *Lab) Assertion(m *fakeentra.ManagedIdentity, life time.Duration) string {
	return l.Forge(map[string]any{"aud": string(directory.TokenExchangeApp), "sub": string(m.ObjectID), "oid": string(m.ObjectID), "azp": string(m.ClientID), "xms_mirid": string(m.ResourceID)}, life)
}
