package reference

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// answered changes the answers of the managed identity endpoint before the client
// reads them.
func (k *knobs) answered(change func(resp *http.Response, body []byte) []byte) {
	k.onWire(toIdentity, func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				return nil, err
			}
			return with(resp, change(resp, body)), nil
		})
	})
}

// misread changes the members of successes.
func (k *knobs) misread(change func(members map[string]any)) {
	k.answered(func(resp *http.Response, body []byte) []byte {
		var members map[string]any
		if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &members) != nil || members == nil {
			return body
		}
		change(members)
		changed, _ := json.Marshal(members) // comes from JSON
		return changed
	})
}

// misreadDate changes expires_on where it is text of some kind.
func (k *knobs) misreadDate(is func(string) bool, change func(members map[string]any)) {
	k.misread(func(members map[string]any) {
		if text, _ := members["expires_on"].(string); is(text) {
			change(members)
		}
	})
}

func identityTokenBugs() []*Bug {
	soon := func(members map[string]any) { members["expires_on"] = float64(time.Now().Add(time.Second).Unix()) }
	return []*Bug{
		{
			Check: "MIT-01", What: "does not escape plus signs in the form",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						return
					}
					body = bytes.ReplaceAll(body, []byte("%2B"), []byte("+"))
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				})
			},
		},
		{
			Check: "MIT-02", What: "takes eleven minutes off an hour or more when expires_on is text, and says so",
			Break: func(k *knobs) {
				k.misread(func(members map[string]any) {
					text, _ := members["expires_on"].(string)
					if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > time.Now().Add(time.Hour).Unix() {
						members["expires_on"] = strconv.FormatInt(seconds-11*60, 10)
					}
				})
			},
		},
		{
			Check: "MIT-11", What: "takes expires_on for over when it is a number",
			Break: func(k *knobs) {
				k.misread(func(members map[string]any) {
					if _, number := members["expires_on"].(float64); number {
						soon(members)
					}
				})
			},
		},
		{
			Check: "MIT-03", What: "takes a date with seven digits for now, and never uses such a token again",
			Break: func(k *knobs) {
				k.misreadDate(func(text string) bool { return strings.Contains(text, ".0000000") }, soon)
			},
		},
		{
			Check: "MIT-04", What: "cannot read dates with AM and PM, and never uses such a token again",
			Break: func(k *knobs) {
				k.misreadDate(func(text string) bool { return strings.Contains(text, "M +") }, soon)
			},
		},
		{
			Check: "MIT-05", What: "trusts expires_in more than expires_on",
			Break: func(k *knobs) {
				k.misread(func(members map[string]any) {
					if members["expires_in"] != nil {
						delete(members, "expires_on")
					}
				})
			},
		},
		{
			Check: "MIT-05", What: "takes a token that has ended for an error, and asks for no other one",
			Silent: []string{"SRC-03", "AST-10"}, // which are about the other one
			Break:  func(k *knobs) { k.onIdentity(once) },
		},
		{
			Check: "MIT-06", What: "uses a token that has ended, for as long as it takes to say so",
			Break: func(k *knobs) {
				k.misread(func(members map[string]any) {
					if ends, ok := moment(members["expires_on"]); ok && ends.Before(time.Now()) {
						members["expires_on"], members["expires_in"] = float64(time.Now().Add(time.Minute).Unix()), nil
					}
				})
			},
		},
		{
			Check: "MIT-07", What: "takes every member for text or a number",
			Break: func(k *knobs) {
				k.answered(func(_ *http.Response, body []byte) []byte {
					var members map[string]any
					_ = json.Unmarshal(body, &members)
					for _, value := range members {
						switch value.(type) {
						case string, float64:
						default:
							return nil
						}
					}
					return body
				})
			},
		},
		{
			Check: "MIT-08", What: "takes a page for a failure that passes, and asks again eight times",
			Break: func(k *knobs) {
				const odd = http.StatusLoopDetected // a status that IMDS does not have
				k.Delay = func(n, status int, h http.Header, now time.Time) (time.Duration, bool) {
					if status == odd {
						return time.Second, n < 8
					}
					return delay(n, status, h, now)
				}
				k.answered(func(resp *http.Response, body []byte) []byte {
					if resp.StatusCode == http.StatusOK && bytes.HasPrefix(body, []byte("<")) {
						resp.StatusCode = odd
					}
					return body
				})
			},
		},
		{
			Check: "MIT-09", What: "makes text of a token that is null",
			Break: func(k *knobs) {
				k.misread(func(members map[string]any) {
					if token, ok := members["access_token"]; ok && token == nil {
						members["access_token"] = "null"
					}
				})
			},
		},
		{
			Check: "MIT-10", What: "takes every 403 for a refusal",
			Break: func(k *knobs) {
				k.answered(func(resp *http.Response, body []byte) []byte {
					if resp.StatusCode == http.StatusForbidden && !json.Valid(body) {
						return []byte(`{"error":"access_denied"}`)
					}
					return body
				})
			},
		},
	}
}

// once asks for the token of a resource a single time.
func once(_ *managedIdentity, next identityAsker) identityAsker {
	var tokens sync.Map
	return func(ctx context.Context, resource, claims string) (identityToken, error) {
		if before, ok := tokens.Load(resource); ok && claims == "" {
			t := before.(identityToken)
			if time.Now().After(t.ends) {
				return identityToken{}, failed(driver.Auth, "the token of the managed identity has expired")
			}
			return t, nil
		}
		t, err := next(ctx, resource, claims)
		if err == nil {
			tokens.Store(resource, t)
		}
		return t, err
	}
}
