package blob

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/token"
)

// storageAudience is the resource that clients ask tokens for, in every cloud.
const storageAudience = "https://storage.azure.com"

// skew is how far the clocks of Entra and Storage may be apart. That there is an
// allowance is general knowledge; that it is five minutes is an assumption.
const skew = 300 * time.Second

// authorize decides whether the caller may do what it asks for.
func (s *Service) authorize(o *operation, c *call) *Error {
	credentials := c.header.Values("Authorization")
	if len(credentials) == 0 {
		return s.anonymous(o, c)
	}
	scheme, parameter, ok := splitCredentials(credentials)
	if !ok {
		return errAuthorization.because("the Authorization header is not one scheme, one space and one parameter, as in: Bearer eyJ...")
	}
	switch strings.ToLower(scheme) {
	case "bearer":
		return s.bearer(o, c, parameter)
	case "sharedkey", "sharedkeylite":
		return errAccountKey.because("the request is signed with an account key; accounts of fakeentra have none, as if shared key access were disabled. Use a token credential")
	}
	return errAuthorization.because("the Authorization header has the scheme %s; expected Bearer", scheme)
}

// splitCredentials reads an Authorization header (RFC 9110 section 11.6.2).
func splitCredentials(values []string) (scheme, parameter string, ok bool) {
	if len(values) != 1 {
		return "", "", false
	}
	scheme, parameter, _ = strings.Cut(values[0], " ")
	parameter = strings.Trim(parameter, " ")
	return scheme, parameter, scheme != "" && parameter != "" && !strings.ContainsAny(parameter, "\r\n\t")
}

// bearer checks a token, and then the roles of whoever it stands for.
func (s *Service) bearer(o *operation, c *call, raw string) *Error {
	c.Presented("token", raw)
	switch {
	case c.version < versionBearer:
		return errOldVersion.because("x-ms-version is %q; bearer tokens need at least %s", c.version, versionBearer)
	case !c.Caller.TLS:
		return errPlainHTTP.because("a bearer token came over http; Storage takes them over https only")
	}
	claims, e := s.authenticate(raw, c.account, c.Now)
	if e != nil {
		return s.challenge(c, e)
	}
	return s.permit(o, c, directory.ObjectID(strings.ToLower(claims.ObjectID)))
}

// challenge turns a refusal of a token into what the service version has for
// it: a challenge, or a plain 403 before there were any.
//
// The values of the challenge are unquoted, separated by a space and without a
// slash at the end: the Go SDK appends /.default to resource_id, and reads the
// tenant from the path of authorization_uri without checking that it has one.
func (s *Service) challenge(c *call, e *Error) *Error {
	if c.version != "" && c.version < versionChallenge && e.Detail != "" {
		older := errOldToken.because("%s", e.Reason)
		older.details = []detail{{"AuthenticationErrorDetail", e.Detail}}
		return older
	}
	tenant := string(c.account.Tenant)
	if c.account.Name == "" { // a fault refuses before the account is looked up
		account, _ := s.Account(c.at.account)
		tenant = string(account.Tenant)
	}
	return e.with("WWW-Authenticate", "Bearer authorization_uri="+s.Environment.Authority(tenant)+"/oauth2/authorize resource_id="+storageAudience)
}

// authenticate verifies a token for an account: its form, signature, issuer,
// audience and lifetime, in this order, which is inferred.
func (s *Service) authenticate(raw string, account Account, now time.Time) (token.Claims, *Error) {
	t, err := token.Parse(raw)
	if err != nil {
		return token.Claims{}, errUnreadableToken.because("the bearer token is not a JWT: %v", err)
	}
	if e := s.checkSignature(t); e != nil {
		return token.Claims{}, e
	}
	if e := s.checkIssuer(t.Claims, account); e != nil {
		return token.Claims{}, e
	}
	if e := s.checkAudience(t.Claims.Audience, account); e != nil {
		return token.Claims{}, e
	}
	return t.Claims, checkLifetime(t.Claims, now)
}

func (s *Service) checkSignature(t *token.Token) *Error {
	key, ok := s.Keys.Lookup(t.Header.KeyID)
	if !ok && t.Header.Algorithm == "RS256" {
		return errWrongSignature.because("the token names the key %q, which the token service does not publish (any more)", t.Header.KeyID)
	}
	err := t.Verify(key, "RS256")
	switch {
	case errors.Is(err, token.ErrAlgorithm):
		return errWrongSignature.because("%v", err)
	case err != nil:
		return errWrongSignature.because("the signature of the token does not fit the key %q: the token was changed or signed by somebody else", t.Header.KeyID)
	}
	return nil
}

// checkIssuer demands the v1.0 issuer of the account's tenant. That tokens of a
// v2.0 issuer are refused is inferred: Storage is registered for v1.0 tokens, and
// no other have been seen.
func (s *Service) checkIssuer(claims token.Claims, account Account) *Error {
	want := s.Environment.IssuerV1(string(account.Tenant))
	if claims.Issuer == want && claims.TenantID == string(account.Tenant) {
		return nil
	}
	tenant, version, known := s.Environment.TenantOf(claims.Issuer)
	other, elsewhere := s.Environment.Elsewhere(claims.Issuer)
	switch {
	case known && version == 2:
		return errWrongIssuer.because("the token has the v2.0 issuer %s; Storage takes v1.0 tokens of %s. Ask the token service for the scope %s/.default", claims.Issuer, want, storageAudience)
	case known && claims.Issuer != want:
		return errWrongIssuer.because("the token is of tenant %s; the account %s belongs to tenant %s. Ask that tenant's authority for the token",
			s.Directory.Explain(tenant), account.Name, s.Directory.Explain(string(account.Tenant)))
	case known:
		return errWrongIssuer.because("the token has the tid %q, which is not the tenant of its issuer %s", claims.TenantID, claims.Issuer)
	case elsewhere:
		return errWrongIssuer.because("the token has the issuer %s of the %s cloud; the account %s is in the %s cloud", claims.Issuer, other.Name, account.Name, s.Environment.Name)
	}
	return errWrongIssuer.because("the token has the issuer %q; expected %s", claims.Issuer, want)
}

// checkAudience accepts the resource of Storage, its client ID, and the
// account's own endpoint, all but the client ID with or without one slash at
// the end (audiences that Azurite accepts).
func (s *Service) checkAudience(audience token.Audience, account Account) *Error {
	own := "https://" + account.Name + "." + s.Environment.BlobSuffix
	for _, aud := range audience {
		if plain := strings.TrimSuffix(aud, "/"); plain == storageAudience || plain == own || aud == string(directory.StorageApp) {
			return nil
		}
	}
	got := strings.Join(audience, ", ")
	if len(audience) == 1 {
		got = s.Directory.Explain(got)
	}
	if slices.Contains(audience, s.Environment.TokenExchangeAudience) || slices.Contains(audience, string(directory.TokenExchangeApp)) {
		return errWrongAudience.because("the token is for %s: it is an assertion to be exchanged, and has to be exchanged at the token endpoint first", got)
	}
	return errWrongAudience.because("the token is for %s; expected %s, %s or %s. Ask for the scope %s/.default", got, storageAudience, own, directory.StorageApp, storageAudience)
}

func checkLifetime(claims token.Claims, now time.Time) *Error {
	from, until := claims.NotBefore.Time(), claims.Expires.Time()
	if now.After(until.Add(skew)) {
		return errExpired.because("the token expired at %s, %s before the request; %s of clock skew are allowed",
			until.Format(time.RFC3339), now.Sub(until).Round(time.Second), skew)
	}
	if now.Before(from.Add(-skew)) {
		return errNotYetValid.because("the token is not valid before %s, %s after the request; %s of clock skew are allowed",
			from.Format(time.RFC3339), from.Sub(now).Round(time.Second), skew)
	}
	return nil
}
