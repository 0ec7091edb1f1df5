package imds

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// backdated is how long before it was minted IMDS says that a token became
// valid: expires_on - not_before is a day and five minutes in all recordings.
const backdated = 300 * time.Second

// A tokenCache keeps the answers that carry tokens. IMDS hands out the same
// token until it expires and recomputes nothing but expires_in: in recorded
// answers ext_expires_in stays the same while expires_in falls. The other
// sources cache too: App Service for about 24 hours, Service Fabric at several
// levels (their pages on managed identities).
type tokenCache struct {
	mu      sync.RWMutex
	answers map[tokenKey]*answer
}

// A tokenKey says whom a token was minted for. Resources are told apart as
// they are spelled, because the answer echoes the spelling.
type tokenKey struct {
	host     string
	identity directory.ClientID
	resource string
}

// An answer is what carries a token. head and tail are the body of IMDS without
// the value of expires_in.
type answer struct {
	token              string
	identity           directory.ClientID
	resource           string
	notBefore, expires int64 // seconds since 1970
	head, tail         string
}

// granted returns the cached token of an identity, or a new one, and records that
// it is handed out.
func (s *Service) granted(r *edge.Request, host Host, m directory.ManagedIdentity, resource string, bypass bool) (*answer, error) {
	key := tokenKey{host.Name, m.ClientID, resource}
	a := s.tokens.find(key, r.Now)
	if a == nil || bypass {
		var err error
		a, err = s.tokens.replace(key, r.Now, bypass, func() (Grant, error) {
			return s.issuer.IssueManagedIdentityToken(ManagedIdentityRequest{
				Now: r.Now, RequestID: r.ID, Identity: m, Resource: resource, HostResourceID: host.ResourceID,
			})
		})
		if err != nil {
			return nil, err
		}
	}
	r.Issued(a.token)
	return a, nil
}

// find returns the answer that is valid at now, or nil.
func (c *tokenCache) find(key tokenKey, now time.Time) *answer {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if a := c.answers[key]; a != nil && a.validAt(now) {
		return a
	}
	return nil
}

// replace stores a new answer. Unless fresh is set, it returns the one that
// another request has stored in the meantime: clients that ask at the same
// time get the same token.
func (c *tokenCache) replace(key tokenKey, now time.Time, fresh bool, mint func() (Grant, error)) (*answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.answers[key]; !fresh && a != nil && a.validAt(now) {
		return a, nil
	}
	g, err := mint()
	if err != nil {
		return nil, err
	}
	a := newAnswer(key, g)
	c.answers[key] = a
	return a, nil
}

func (c *tokenCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = map[tokenKey]*answer{}
}

// newAnswer renders what does not change. Members are in alphabetical order
// and all values are strings, as recorded. MSAL.NET takes the lifetime from
// whichever of expires_in and expires_on comes last, so the order matters.
func newAnswer(key tokenKey, g Grant) *answer {
	a := &answer{token: g.Token, identity: key.identity, resource: key.resource, notBefore: g.Issued.Add(-backdated).Unix(), expires: g.Expires.Unix()}
	a.head = `{"access_token":` + quote(g.Token) + `,"client_id":` + quote(string(key.identity)) + `,"expires_in":"`
	a.tail = `","expires_on":"` + strconv.FormatInt(a.expires, 10) +
		// For a day's lifetime IMDS says 86399; other lifetimes are inferred.
		`","ext_expires_in":"` + strconv.FormatInt(a.expires-g.Issued.Unix()-1, 10) +
		`","not_before":"` + strconv.FormatInt(a.notBefore, 10) +
		`","resource":` + quote(key.resource) + `,"token_type":"Bearer"}`
	return a
}

// validAt is false before not_before too, for clocks that were set back.
func (a *answer) validAt(now time.Time) bool {
	return a.notBefore <= now.Unix() && now.Unix() < a.expires
}

// body renders the answer as it reads at now.
func (a *answer) body(now time.Time) []byte {
	b := make([]byte, 0, len(a.head)+20+len(a.tail))
	b = append(b, a.head...)
	b = strconv.AppendInt(b, a.expires-now.Unix(), 10)
	return append(b, a.tail...)
}

// quote renders a JSON string the way [edge.JSON] does.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string and a strings.Builder cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}
