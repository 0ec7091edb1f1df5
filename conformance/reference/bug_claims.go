package reference

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// claimsKnobs change what the client does about claims challenges and continuous access evaluation (CAE).
type claimsKnobs struct {
	KeepIdentity bool // claims do not reach IMDS, which takes none
	OneCache     bool // for tokens with and without the capability of CAE
	Base64Hash   bool // which tokens were refused is not said in hexadecimal
}

// hash writes a hash as endpoints read it.
func (k *knobs) hash(sum []byte) string {
	if k.Base64Hash {
		return base64.RawURLEncoding.EncodeToString(sum)
	}
	return hex.EncodeToString(sum)
}

func claimsBugs() []*Bug {
	return []*Bug{
		{
			Check: "CAE-01", What: "answers a challenge with its claims alone, without its own capabilities",
			Break: func(k *knobs) { k.form(claimsAlone) },
		},
		{
			Check: "CAE-02", What: "answers the same challenge again and again",
			Break: func(k *knobs) {
				k.Insist = func(_ context.Context, _ *client, r *driver.TokenRequest, resp *http.Response, n int) bool {
					r.Claims = challenge(resp.Header)
					return r.Claims != "" && n < 5
				}
			},
		},
		{
			Check: "CAE-03", What: "makes an exchange for its caller's claims, and returns what it had",
			Break: func(k *knobs) { k.onAsk(keepingTokens) },
		},
		{
			Check: "CAE-04", What: "begins an exchange with claims with the token of the managed identity that it has",
			Break: func(k *knobs) { k.KeepIdentity = true },
		},
		{
			Check: "CAE-05", What: "has one cache for tokens with and without continuous access evaluation",
			Break: func(k *knobs) { k.OneCache = true },
		},
		{
			Check: "CAE-06", What: "makes a new exchange when it cannot read the claims of a challenge",
			Break: func(k *knobs) {
				k.Insist = func(_ context.Context, _ *client, r *driver.TokenRequest, resp *http.Response, _ int) bool {
					if r.Claims != "" || challenge(resp.Header) != "" || !strings.Contains(resp.Header.Get("Www-Authenticate"), "insufficient_claims") {
						return false
					}
					r.Claims = "{}"
					return true
				}
			},
		},
		{
			Check: "CAE-07", What: "tells endpoints which token was refused in Base64",
			Break: func(k *knobs) { k.Base64Hash = true },
		},
	}
}

// claimsAlone takes the capabilities out of claims that have something else.
func claimsAlone(form url.Values) {
	var claims map[string]map[string]any
	if json.Unmarshal([]byte(form.Get("claims")), &claims) != nil || len(claims["access_token"]) < 2 {
		return
	}
	delete(claims["access_token"], "xms_cc")
	if left, err := json.Marshal(claims); err == nil {
		form.Set("claims", string(left))
	}
}

// keepingTokens returns the first token that a caller got, also to one who comes
// with claims. The client's own pipeline is not concerned.
func keepingTokens(_ *client, next asker) asker {
	var mu sync.Mutex
	var kept driver.Outcome
	return func(ctx context.Context, r driver.TokenRequest) (driver.Outcome, error) {
		got, err := next(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil || r.CAE || r.Tenant != "":
			return got, err
		case r.Claims != "" && kept.Token != "":
			return kept, nil
		}
		kept = got
		return got, nil
	}
}
