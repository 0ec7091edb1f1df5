package token

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Claims are the claims of an access token, in the order in which Entra writes
// them. Fields that are empty are left out. It reads the tokens of others too,
// and is then as lenient about types as Entra is.
//
// Sources: Microsoft's "Access token claims reference", and dumps of real
// tokens.
type Claims struct {
	Audience  Audience `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	IssuedAt  Time     `json:"iat,omitempty"`
	NotBefore Time     `json:"nbf,omitempty"`
	Expires   Time     `json:"exp,omitempty"`
	AIO       string   `json:"aio,omitempty"`
	AppID     string   `json:"appid,omitempty"`    // v1.0: client ID
	AppIDACR  string   `json:"appidacr,omitempty"` // v1.0: how the client authenticated
	AZP       string   `json:"azp,omitempty"`      // v2.0: client ID
	AZPACR    string   `json:"azpacr,omitempty"`   // v2.0: how the client authenticated
	// Confirmation binds the token to a key.
	Confirmation *Confirmation `json:"cnf,omitempty"`
	IDP          string        `json:"idp,omitempty"`
	IDType       string        `json:"idtyp,omitempty"` // "app" in app-only tokens
	JTI          string        `json:"jti,omitempty"`
	ObjectID     string        `json:"oid,omitempty"`
	RH           string        `json:"rh,omitempty"`
	Roles        []string      `json:"roles,omitempty"`
	Scopes       string        `json:"scp,omitempty"` // delegated tokens only
	Subject      string        `json:"sub,omitempty"`
	TenantID     string        `json:"tid,omitempty"`
	UTI          string        `json:"uti,omitempty"`
	Version      string        `json:"ver,omitempty"`
	ActFacet     string        `json:"xms_act_fct,omitempty"`
	AzureRID     string        `json:"xms_az_rid,omitempty"`  // the host, in user-assigned identities' tokens
	FICInfo      string        `json:"xms_ficinfo,omitempty"` // present when a FIC was used to get the token
	FTD          string        `json:"xms_ftd,omitempty"`
	IDRel        string        `json:"xms_idrel,omitempty"`
	MIRID        string        `json:"xms_mirid,omitempty"` // present in managed identities' tokens
	SubFacet     string        `json:"xms_sub_fct,omitempty"`
	Created      int64         `json:"xms_tcdt,omitempty"`
	Enterprise   string        `json:"enterprise,omitempty"` // of GitHub's tokens
}

// A Confirmation is a cnf claim (RFC 7800 section 3.1).
type Confirmation struct {
	X5TS256 string `json:"x5t#S256,omitempty"` // of the client's certificate; RFC 8705 section 3.1
}

// An Audience is an aud claim: a string, or an array of strings (RFC 7519
// section 4.1.3). One value is written as a string.
type Audience []string

// MarshalJSON writes one value as a string.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads a string or an array of strings.
func (a *Audience) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*a = Audience{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return fmt.Errorf("aud is %s; expected a string or an array of strings", b)
	}
	*a = many
	return nil
}

// A Time is a NumericDate: seconds since 1970. Zero stands for a claim that is
// absent, which Entra reads as 1970 too.
type Time int64

// NumericDate returns t as a claim.
func NumericDate(t time.Time) Time { return Time(t.Unix()) }

// Time returns the moment that the claim stands for.
func (t Time) Time() time.Time { return time.Unix(int64(t), 0).UTC() }

// UnmarshalJSON reads a number, with or without a fraction, or a string with a
// number in it. MSAL.NET signs assertions with strings and MSAL Python with
// fractions, and Entra takes both.
func (t *Time) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	if unquoted, err := strconv.Unquote(s); err == nil {
		s = unquoted
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1<<53 {
		return fmt.Errorf("%s is not a NumericDate", b)
	}
	*t = Time(f)
	return nil
}
