package suite

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/stage"
)

// A Client is one client under test of a session.
type Client struct {
	session *Session
	name    string
}

// Token asks for a token for storage.
func (c *Client) Token() Got { return c.Ask(driver.TokenRequest{}) }

// Ask asks for a token; scopes are those of storage if there are none.
func (c *Client) Ask(r driver.TokenRequest) Got { return c.AskTogether(1, r)[0] }

// AskTogether has n callers ask for a token at the same time.
func (c *Client) AskTogether(n int, r driver.TokenRequest) []Got {
	if len(r.Scopes) == 0 {
		r.Scopes = []string{StorageScope}
	}
	return c.ask(n, driver.Request{Op: driver.OpToken, TokenRequest: &r, N: n})
}

// ManagedIdentityToken asks for the token of the managed identity.
func (c *Client) ManagedIdentityToken(resource string) Got {
	return c.ask(1, driver.Request{Op: driver.OpMIToken, Resource: resource})[0]
}

// Use has the client send its token to a resource.
func (c *Client) Use(action, url string) Got {
	return c.ask(1, driver.Request{Op: driver.OpResource, ResourceRequest: &driver.ResourceRequest{Action: action, URL: url}})[0]
}

func (c *Client) ask(n int, r driver.Request) []Got {
	if message, failed := strings.CutPrefix(c.name, refused); failed {
		got := Got{Outcome: driver.Outcome{Error: &driver.Failure{Kind: driver.Misconfig, Message: message}}}
		return slices.Repeat([]Got{got}, n)
	}
	s := c.session
	r.Session = c.name
	a, took := s.do(r)
	if a.Error != nil {
		return slices.Repeat([]Got{{Outcome: driver.Outcome{Error: a.Error}, Took: took}}, n)
	}
	var results driver.Results
	if err := json.Unmarshal(a.OK, &results); err != nil {
		panic(ended{Error, fmt.Sprintf("the driver answered %s with what is no result: %s", r.Op, stage.Misread(err))})
	}
	if len(results.Results) != n {
		panic(ended{Error, fmt.Sprintf("the driver answered %s with %d results instead of %d", r.Op, len(results.Results), n)})
	}
	out := make([]Got, n)
	for i, o := range results.Results {
		if o.Token != "" {
			s.Secret("a token", o.Token)
		}
		if o.Error != nil && o.Error.Kind == driver.Crashed {
			s.Want("crash", false, "an outcome", "a crash: %q", shorten(o.Error.Message, 300))
		}
		out[i] = Got{o, took}
	}
	return out
}
