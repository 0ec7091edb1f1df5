package reference

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// A Bug is one way to be wrong.
type Bug struct {
	Check string // the check that fails for it
	What  string // what the client does, in a sentence
	// Also are checks that fail too, since they cannot but see the same.
	Also []string
	// Silent are checks that such a client never comes to: they are inconclusive.
	Silent []string
	// Everything says, and why, that the client does not come far enough for other
	// checks to say anything.
	Everything string
	Break      func(*knobs)
}

// Bugs returns all of them.
func Bugs() []*Bug {
	return slices.Concat(imdsBugs(), imdsRetryBugs(), sourceBugs(), identityTokenBugs(), assertionBugs(), authorityBugs(), cacheBugs(),
		failureBugs(), claimsBugs(), resourceBugs(), networkBugs(), secrecyBugs(), telemetryBugs())
}

// FindBug returns the bug of a check, or nil. Of several, it is the first one, or
// that of a number, as in SEC-05#2.
func FindBug(check string) *Bug {
	check, number, _ := strings.Cut(check, "#")
	n, _ := strconv.Atoi(number) // 0 if there is none
	for _, b := range Bugs() {
		if b.Check == check {
			if n--; n <= 0 {
				return b
			}
		}
	}
	return nil
}

// A destination is what a request is for.
type destination string

const (
	toIdentity  destination = "identity"  // the managed identity endpoint
	toAuthority destination = "authority" // discovery documents
	toToken     destination = "token"     // the token endpoint
	toResource  destination = "resource"
)

// A middleware stands between the client and the network.
type middleware func(next http.RoundTripper) http.RoundTripper

// knobs change what the client does. The zero value is right.
type knobs struct {
	wire          map[destination][]middleware                          // next to the network
	client        *client                                               // the one that they change, for middlewares; set when it is opened
	asked         []func(*client, asker) asker                          // next to the caller
	identityAsked []func(*managedIdentity, identityAsker) identityAsker // between the two clients

	imdsKnobs
	imdsRetryKnobs
	sourceKnobs
	assertionKnobs
	authorityKnobs
	cacheKnobs
	failureKnobs
	claimsKnobs
	resourceKnobs
	networkKnobs
	secrecyKnobs

	FollowRedirects bool // wherever they lead
	NoSingleFlight  bool // every caller does an exchange of its own
	NoAppCache      bool // a new client of MSAL for each request
	NoIdentityCache bool // a new token of the managed identity for each exchange
	AskDiscovery    bool // instance discovery, which known clouds do without
	SkipChecks      bool // of the configuration
	AnyTenant       bool // whether allowed or not
	Impatient       bool // IMDS is not tried again
	ViaProxy        bool // IMDS is called through the proxy
	ReadAll         bool // of an answer, however long it is
	AnyTokenType    bool // whatever the token endpoint hands out is sent as Bearer
	UntypedToken    bool // a token of which it does not say the type is sent as Bearer
	TrustDocuments  bool // discovery documents may lead elsewhere
	NeverAgain      bool // the token endpoint is asked once
	InClear         bool // tokens are sent over http, too
	NotIfTold       bool // the token endpoint is not asked again where it says when; which is right, too
}

// onWire adds a middleware next to the network.
func (k *knobs) onWire(to destination, m middleware) {
	if k.wire == nil {
		k.wire = map[destination][]middleware{}
	}
	k.wire[to] = append(k.wire[to], m)
}

// request changes the requests for a destination before they are sent.
func (k *knobs) request(to destination, change func(*http.Request)) {
	k.onWire(to, func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			change(r)
			return next.RoundTrip(r)
		})
	})
}

// An asker is what hands out the application's tokens.
type asker func(context.Context, driver.TokenRequest) (driver.Outcome, error)

// onAsk adds something between callers and a client. It is called for each client.
func (k *knobs) onAsk(m func(*client, asker) asker) { k.asked = append(k.asked, m) }

// An identityAsker is what hands out the tokens of the managed identity.
type identityAsker func(ctx context.Context, resource, claims string) (identityToken, error)

// onIdentity adds something between the application's client and that of the
// managed identity. It is called for each client.
func (k *knobs) onIdentity(m func(*managedIdentity, identityAsker) identityAsker) {
	k.identityAsked = append(k.identityAsked, m)
}

// answer changes the members of answers that are JSON before the client sees them.
func (k *knobs) answer(to destination, change func(r *http.Request, members map[string]any)) {
	k.onWire(to, func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
			if err != nil {
				return nil, err
			}
			var members map[string]any
			if json.Unmarshal(body, &members) == nil {
				change(r, members)
				if body, err = json.Marshal(members); err != nil {
					return nil, err
				}
			}
			return with(resp, body), nil
		})
	})
}

// roundTripper is a function that does requests.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
