package lab

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An Op says what a request asks for. The names are those of the journal where
// there is one.
type Op string

// The operations that checks look at.
const (
	IMDSToken         Op = "imds.token"               // at 169.254.169.254
	IMDSOther         Op = "imds.other"               // anything else there
	EndpointToken     Op = "endpoint.token"           // at the managed identity endpoint of another source
	InstanceDiscovery Op = "sts.instance-discovery"   // which hosts are login hosts
	OpenIDConfig      Op = "sts.openid-configuration" // of a tenant
	Keys              Op = "sts.keys"                 // of a tenant
	Token             Op = "sts.token"                // the exchange
	STSOther          Op = "sts.other"                // anything else at a login host
	Blob              Op = "blob"                     // anything at a storage account
	Cleartext         Op = "cleartext"                // port 80 of a host that has https
	Trap              Op = "trap"                     // a host that nothing should lead to
	Proxy             Op = "proxy"                    // a request to the HTTP proxy, but for CONNECT
	Connect           Op = "proxy.connect"            // a tunnel through the HTTP proxy
)

// An Exchange is one request as it came in, and the answer to it.
type Exchange struct {
	Seq    int       // 1, 2, 3 ... in order of arrival
	At     time.Time // when the whole request was there
	Op     Op
	Door   string // https, http, endpoint or proxy
	Conn   int    // number of the connection
	Proto  string // such as HTTP/2.0
	Method string
	Host   string // as the client sent it
	Target string // the request line's, as the client sent it
	URL    *url.URL
	Header http.Header
	Body   []byte

	Status int // 0 when there was no answer
	Reply  http.Header
	Answer []byte // the head of it
	Sent   int64  // bytes of the body that were written
	Fault  string // name of the rule that acted
	Gone   bool   // the client, or a rule, broke the connection
	Done   time.Time

	address string // of the entrance, if it is another one than the host's
}

// Query returns the parameters of the URL.
func (x *Exchange) Query() url.Values { return x.URL.Query() }

// Form returns the parameters of the body, if it is a form.
func (x *Exchange) Form() url.Values {
	form, _ := url.ParseQuery(string(x.Body))
	return form
}

// Tenant returns the first segment of the path, which is the tenant at login
// hosts.
func (x *Exchange) Tenant() string {
	tenant, _, _ := strings.Cut(strings.TrimPrefix(x.URL.Path, "/"), "/")
	return tenant
}

// Bearer returns the token of the Authorization header, if there is one.
func (x *Exchange) Bearer() string {
	scheme, token, _ := strings.Cut(x.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Issued returns the access token that the answer hands out, if it does.
func (x *Exchange) Issued() string {
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if x.Status != http.StatusOK || json.Unmarshal(x.Answer, &body) != nil {
		return ""
	}
	return body.AccessToken
}

// Claims returns what a token says, without a look at its signature. It is empty
// for what is no JWT.
func Claims(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims map[string]any
	if json.Unmarshal(raw, &claims) != nil {
		return nil
	}
	return claims
}

// Claim returns a claim that is text.
func Claim(token, name string) string {
	text, _ := Claims(token)[name].(string)
	return text
}

// Expiry returns when a token ends; the zero time if it does not say.
func Expiry(token string) time.Time {
	seconds, ok := Claims(token)["exp"].(float64)
	if !ok {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
