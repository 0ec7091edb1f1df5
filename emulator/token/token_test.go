package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var pool = NewPool(os.DirFS("../../fixtures"))

func sign(t *testing.T, r *Ring, claims any, version int) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := r.Sign(payload, version)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestTokensVerifyAndTamperedOnesDoNot(t *testing.T) {
	ring := NewRing(pool.From(0))
	raw := sign(t, ring, Claims{Audience: Audience{"https://storage.azure.com"}, Subject: "s", Expires: 7}, 1)
	good, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := ring.Lookup(good.Header.KeyID)
	if !ok {
		t.Fatalf("the ring does not publish %s", good.Header.KeyID)
	}
	if err := good.Verify(key, "RS256"); err != nil {
		t.Fatalf("a good token: %v", err)
	}
	if good.Header.X5T != good.Header.KeyID || good.Claims.Subject != "s" || good.Claims.Expires != 7 {
		t.Fatalf("read header %+v, claims %+v", good.Header, good.Claims)
	}
	parts := strings.Split(raw, ".")
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"someone else"}`))
	other := sign(t, NewRing(pool.From(1)), Claims{Subject: "s"}, 2)
	for name, tampered := range map[string]string{
		"other payload":   parts[0] + "." + payload + "." + parts[2],
		"other signature": parts[0] + "." + parts[1] + other[strings.LastIndexByte(other, '.'):],
		"no signature":    parts[0] + "." + parts[1] + ".",
		"another key":     other,
	} {
		tok, err := Parse(tampered)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := tok.Verify(key, "RS256"); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestVerifyRefusesOtherAlgorithms(t *testing.T) {
	ring := NewRing(pool.From(0))
	key, err := ring.Active()
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"none", "HS256", "ES256", "made-up"} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + alg + `"}`))
		tok, err := Parse(header + ".e30.AAAA")
		if err != nil {
			t.Errorf("%s: Parse: %v", alg, err)
			continue
		}
		if err := tok.Verify(key.Public(), "RS256"); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: error %v, want ErrAlgorithm", alg, err)
		}
	}
}

func TestParseRefusesWhatIsNoToken(t *testing.T) {
	enc := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	header := enc(`{"alg":"RS256"}`)
	long := func(length int) string { // a token but for its length
		parts := header + "." + enc("{}") + "."
		return parts + strings.Repeat("A", length-len(parts))
	}
	for name, tc := range map[string]struct{ raw, want string }{
		"empty":           {"", "invalid number of segments"},
		"one part":        {"abc", "invalid number of segments"},
		"four parts":      {"a.b.c.d", "invalid number of segments"},
		"not base64":      {header + ".***.AAAA", "could not base64 decode claim"},
		"not JSON":        {header + "." + enc("{") + ".AAAA", "could not JSON decode claim: unexpected end"},
		"an array":        {header + "." + enc("[]") + ".AAAA", "cannot unmarshal array"},
		"null":            {header + "." + enc("null") + ".AAAA", "are not a JSON object"},
		"header an array": {"W10." + enc("{}") + ".AAAA", "could not JSON decode header"},
		"iss is a number": {header + "." + enc(`{"iss":7}`) + ".AAAA", "cannot unmarshal number into Go struct field Claims.iss"},
		"exp is a word":   {header + "." + enc(`{"exp":"soon"}`) + ".AAAA", `"soon" is not a NumericDate`},
		"exp is huge":     {header + "." + enc(`{"exp":1e300}`) + ".AAAA", "1e300 is not a NumericDate"},
		"aud is a number": {header + "." + enc(`{"aud":1}`) + ".AAAA", "expected a string or an array of strings"},
		"too long":        {long(MaxLength + 1), "the token has 65537 characters; at most 65536 are read"},
	} {
		if tok, err := Parse(tc.raw); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, %v; want an error that says %q", name, tok, err, tc.want)
		}
	}
	if _, err := Parse(long(MaxLength)); err != nil {
		t.Errorf("the longest: %v", err)
	}
}

// MSAL.NET writes times as strings and MSAL Python as fractions; Entra takes
// both, and an audience in either form.
func TestClaimsAreReadLeniently(t *testing.T) {
	for payload, want := range map[string]Claims{
		`{"nbf":"1700000000","exp":1700000600.5,"aud":"a"}`: {NotBefore: 1700000000, Expires: 1700000600, Audience: Audience{"a"}},
		`{"aud":["a","b"]}`: {Audience: Audience{"a", "b"}},
	} {
		var got Claims
		if err := json.Unmarshal([]byte(payload), &got); err != nil {
			t.Errorf("%s: %v", payload, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", payload, diff)
		}
	}
	if got := Time(0).Time(); !got.Equal(time.Unix(0, 0)) {
		t.Errorf("a claim that is absent reads as %v", got)
	}
}

func TestRotationOverlapAndRetirement(t *testing.T) {
	ring := NewRing(pool.From(2))
	before, _ := Parse(sign(t, ring, Claims{}, 2))
	if err := ring.Rotate(); err != nil {
		t.Fatal(err)
	}
	after, _ := Parse(sign(t, ring, Claims{}, 2))
	if before.Header.KeyID == after.Header.KeyID {
		t.Fatal("Rotate kept the key")
	}
	if _, ok := ring.Lookup(before.Header.KeyID); !ok {
		t.Error("the old key is not published after Rotate")
	}
	ring.Retire()
	if _, ok := ring.Lookup(before.Header.KeyID); ok {
		t.Error("the old key is published after Retire")
	}
	if _, ok := ring.Lookup(after.Header.KeyID); !ok {
		t.Error("the active key is not published after Retire")
	}
}

func TestPoolsStartApart(t *testing.T) {
	ids := map[string]bool{}
	for n := range 4 {
		k, err := pool.From(n)()
		if err != nil {
			t.Fatal(err)
		}
		ids[k.ID] = true
	}
	if len(ids) != 4 {
		t.Fatalf("four sources gave %d keys", len(ids))
	}
}

func TestKeysSurviveAFile(t *testing.T) {
	k, err := pool.From(0)()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParsePEM(k.PEM())
	if err != nil || back.ID != k.ID {
		t.Fatalf("read back %v, %v", back, err)
	}
	other, _ := pool.From(1)()
	mixed := append([]byte(nil), k.PEM()...)
	mixed = append(mixed[:strings.Index(string(mixed), "-----BEGIN CERT")], other.PEM()[strings.Index(string(other.PEM()), "-----BEGIN CERT"):]...)
	for name, tc := range map[string]struct{ in, want string }{
		"empty":         {"", "no RSA private key"},
		"no cert":       {strings.SplitAfter(string(k.PEM()), "-----END RSA PRIVATE KEY-----\n")[0], "no certificate"},
		"cert of other": {string(mixed), "belongs to another private key"},
	} {
		if _, err := ParsePEM([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
}

func TestJWKDescribesTheKey(t *testing.T) {
	k, err := pool.From(0)()
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.JWK().PublicKey()
	if err != nil || !k.Public().Equal(got) {
		t.Fatalf("the JWK describes another key: %v", err)
	}
	for name, j := range map[string]JWK{
		"EC key":       {KeyType: "EC"},
		"bad modulus":  {KeyType: "RSA", N: "*"},
		"bad exponent": {KeyType: "RSA", N: "AQAB", E: "AQABAQAB"},
	} {
		if _, err := j.PublicKey(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	raw, err := NewRing(pool.From(0)).Sign([]byte(`{"aud":["a"],"exp":"1","sub":"s"}`), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add("e30.e30.")
	f.Add("eyJhbGciOiJub25lIn0.bnVsbA.")
	key, err := pool.From(1)()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := Parse(raw)
		if err != nil {
			return
		}
		if err := tok.Verify(key.Public(), "RS256", "PS256"); err == nil {
			t.Fatalf("%q verifies with a key that did not sign it", raw)
		}
	})
}

// Okta writes ver as a number and scp as an array; the names are Entra's too.
func TestParseLeavesOutForeignValuesOfPrivateClaims(t *testing.T) {
	enc := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	raw := enc(`{"alg":"RS256"}`) + "." + enc(`{"ver":1,"iss":"https://okta.test","scp":["a"],"roles":"one","idp":{"id":1},"sub":"job-1","aud":"x","exp":7}`) + ".AAAA"
	tok, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := Claims{Issuer: "https://okta.test", Subject: "job-1", Audience: Audience{"x"}, Expires: 7}
	if diff := cmp.Diff(want, tok.Claims); diff != "" || tok.All["ver"] != 1.0 {
		t.Errorf("claims (-want +got):\n%s\nver = %v", diff, tok.All["ver"])
	}
}
