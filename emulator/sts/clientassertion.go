package sts

import (
	"crypto"
	"fmt"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// skew is how far clocks may be apart. Entra's allowance is not documented; five
// minutes is what it back-dates its own tokens by.
const skew = 5 * time.Minute

// authenticateByAssertion checks a client assertion (RFC 7521 section 4.2). One
// that names the client as its own issuer is signed with a certificate of the
// application; any other is a token of someone whom the client may trust with a
// federated identity credential.
func (s *Service) authenticateByAssertion(r *edge.Request, g *grant, raw string) *Error {
	if err := checkAssertionType(g.form.Get("client_assertion_type")); err != nil {
		return err
	}
	r.Presented("assertion", raw)
	if s.Note != nil {
		s.Note(r, raw)
	}
	assertion, err := token.Parse(raw)
	if err != nil {
		return errAssertionMalformed.because(nil, "the client_assertion cannot be read: %v", err)
	}
	if assertion.Claims.Issuer == "" {
		return errAssertionMalformed.because(nil, "the client_assertion has no iss claim (RFC 7523 section 3)")
	}
	if selfSigned(assertion.Claims) {
		r.Note("credential", "certificate")
		g.method = authentication{strength: "2"}
		return s.checkCertificate(r, g, assertion)
	}
	g.method = authentication{strength: "2", federated: true}
	return s.checkFederated(r, g, assertion)
}

func checkAssertionType(kind string) *Error {
	switch kind {
	case assertionBearer:
		return nil
	case "":
		return missing("client_assertion_type", "there is a client_assertion but no client_assertion_type; expected %s", assertionBearer)
	case assertionBound:
		return errNoClientCertificate.because(nil, "the assertion is said to be bound to a client certificate, which fakeentra does not emulate for assertions")
	}
	return errParameter.because(values{"name": "client_assertion_type"}, "client_assertion_type is %q; expected %s", kind, assertionBearer)
}

// selfSigned reports whether an assertion is of the kind that a certificate
// signs: its issuer is a client, not a URL.
func selfSigned(c token.Claims) bool {
	return !strings.Contains(c.Issuer, "://")
}

// checkTime compares the time claims of an assertion. An absent claim reads as
// 1970, as in Entra's own messages.
func checkTime(now time.Time, c token.Claims) *Error {
	from, until := c.NotBefore.Time(), c.Expires.Time()
	if !now.Before(from.Add(-skew)) && now.Before(until.Add(skew)) {
		return nil
	}
	why := fmt.Sprintf("the assertion expired %s ago; ask its issuer for a new one before each exchange", now.Sub(until).Round(time.Second))
	if until.Unix() == 0 {
		why = "the assertion has no exp claim; its issuer must say until when it is valid (RFC 7523 section 3)"
	}
	if now.Before(from) {
		why = fmt.Sprintf("the assertion becomes valid in %s; compare the clocks", from.Sub(now).Round(time.Second))
	}
	return errAssertionTime.because(values{"now": roundTrip(now), "from": roundTrip(from), "until": roundTrip(until)}, "%s", why)
}

// roundTrip writes a time as .NET's "o" format does.
func roundTrip(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// checkSignature verifies an assertion against a key that was found for it.
func checkSignature(a *token.Token, key crypto.PublicKey, algorithms ...string) *Error {
	for _, alg := range algorithms {
		if a.Header.Algorithm == alg {
			if err := a.Verify(key, algorithms...); err != nil {
				return errSignature.because(nil, "the signature of the assertion does not fit the key %q: %v", a.Header.KeyID, err)
			}
			return nil
		}
	}
	return errAlgorithm.because(nil, "the assertion is signed with %q; expected %s", a.Header.Algorithm, strings.Join(algorithms, " or "))
}
