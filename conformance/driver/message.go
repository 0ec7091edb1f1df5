package driver

import (
	"encoding/json"
	"math"
)

// Version is that of the protocol. A runner and a driver speak the same.
const Version = 1

// A Hello says who a driver is and what it can do.
type Hello struct {
	Protocol       int            `json:"protocol"`
	Implementation Implementation `json:"implementation"`
	Dependencies   []Dependency   `json:"dependencies,omitempty"` // as resolved, not as asked for
	Capabilities   []Capability   `json:"capabilities"`
}

// An Implementation is the client under test.
type Implementation struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Language string `json:"language"`
	Runtime  string `json:"runtime,omitempty"` // such as "node 22.11.0"
	Homepage string `json:"homepage,omitempty"`
	Issues   string `json:"issues,omitempty"` // where its bugs are reported
}

// A Dependency is a package that the client was built with.
type Dependency struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// A Capability is something that not every client can do. Checks that need one
// which a driver does not name are skipped.
type Capability string

// The capabilities. The first ones are sources of managed identity tokens, as in
// [Config.Source].
const (
	IMDS          Capability = "imds"
	AppService    Capability = "appservice"
	Arc           Capability = "arc"
	ServiceFabric Capability = "servicefabric"
	CloudShell    Capability = "cloudshell"
	AzureML       Capability = "azureml"
	TokenFile     Capability = "tokenfile"

	IdentityClientID   Capability = "identity.client_id"
	IdentityObjectID   Capability = "identity.object_id"
	IdentityResourceID Capability = "identity.resource_id"
	IdentitySystem     Capability = "identity.system"

	Tenants         Capability = "tenants"          // a tenant for one request: [TokenRequest.Tenant]
	Claims          Capability = "claims"           // a claims challenge: [TokenRequest.Claims]
	CAE             Capability = "cae"              // it says that it understands continuous access evaluation
	Blob            Capability = "blob"             // the action blob.list
	HTTP            Capability = "http"             // the action http.get
	Cancel          Capability = "cancel"           // [TokenRequest.CancelAfter]
	Timeout         Capability = "timeout"          // [TokenRequest.Timeout]
	VerboseLog      Capability = "verbose_log"      // [Config.LogLevel]
	PersistentCache Capability = "persistent_cache" // [Config.PersistentCache]
	MIToken         Capability = "mi_token"         // the operation mi_token
	SetEnv          Capability = "setenv"           // the operation setenv
	Reset           Capability = "reset"            // sessions of one process share nothing, if they are of different tenants and identities
	Concurrency     Capability = "concurrency"      // [Request.N] over 1
	Correlation     Capability = "correlation"      // [TokenRequest.CorrelationID]
)

// Capabilities lists all there are.
func Capabilities() []Capability {
	return []Capability{
		IMDS, AppService, Arc, ServiceFabric, CloudShell, AzureML, TokenFile,
		IdentityClientID, IdentityObjectID, IdentityResourceID, IdentitySystem,
		Tenants, Claims, CAE, Blob, HTTP, Cancel, Timeout, VerboseLog, PersistentCache, MIToken, SetEnv, Reset, Concurrency, Correlation,
	}
}

// A Request is one line that a runner sends: an operation and what it needs.
type Request struct {
	ID json.RawMessage `json:"id"` // echoed by the answer
	Op Op              `json:"op"`

	Protocol int    `json:"protocol,omitempty"` // of hello
	Suite    string `json:"suite,omitempty"`    // of hello: the version of the suite
	Seed     string `json:"seed,omitempty"`     // of hello

	Session string  `json:"session,omitempty"` // of every operation but hello, setenv and stop
	Config  *Config `json:"config,omitempty"`  // of open

	*TokenRequest    // of token
	*ResourceRequest // of resource

	N        int               `json:"n,omitempty"`        // of token and resource: so many callers at once; 0 means one
	Resource string            `json:"resource,omitempty"` // of mi_token
	Vars     map[string]string `json:"vars,omitempty"`     // of setenv
}

// An Op is what a driver is asked to do.
type Op string

// The operations.
const (
	OpHello    Op = "hello"
	OpOpen     Op = "open"
	OpToken    Op = "token"
	OpMIToken  Op = "mi_token"
	OpResource Op = "resource"
	OpSetEnv   Op = "setenv"
	OpClose    Op = "close"
	OpStop     Op = "stop"
)

// A Config is what a client under test is configured with, as its users would.
type Config struct {
	Cloud          string    `json:"cloud"` // public, usgov or china; empty for another one, of which Endpoints.Authority is
	Tenant         string    `json:"tenant"`
	AppClientID    string    `json:"app_client_id"`
	Audience       string    `json:"audience"` // of the assertion, such as api://AzureADTokenExchange
	Identity       Identity  `json:"identity"`
	Source         string    `json:"mi_source"` // where the assertion comes from, as the capabilities are called
	AllowedTenants []string  `json:"allowed_tenants"`
	Discovery      bool      `json:"instance_discovery"`
	CAE            bool      `json:"cae,omitempty"` // the client is to say that it understands it
	Endpoints      Endpoints `json:"endpoints"`
	LogLevel       string    `json:"log_level"` // default or verbose

	PersistentCache bool `json:"persistent_cache,omitempty"`

	InProcess `json:"-"`
}

// An Identity names the managed identity.
type Identity struct {
	Kind  string `json:"kind"` // client_id, object_id, resource_id or system
	Value string `json:"value,omitempty"`
}

// Endpoints tell where things are. In the mode netns they are where they are in
// production, so that a driver needs none of it. In the mode explicit they are the
// only way to them: URLs of loopback, of which those with https have certificates
// that CAFile vouches for. The sources besides imds are found by the environment
// in both.
type Endpoints struct {
	Mode      string `json:"mode"`      // netns or explicit
	Authority string `json:"authority"` // such as https://login.microsoftonline.com, without a slash at the end
	IMDS      string `json:"imds"`      // such as http://169.254.169.254
	Blob      string `json:"blob"`      // of a storage account
	CAFile    string `json:"ca_file,omitempty"`
}

// A TokenRequest asks for the application's token.
type TokenRequest struct {
	Scopes      []string `json:"scopes"`
	Tenant      string   `json:"tenant,omitempty"` // instead of that of the configuration
	Claims      string   `json:"claims,omitempty"` // a claims challenge, decoded
	CAE         bool     `json:"cae,omitempty"`
	Timeout     int      `json:"timeout_ms,omitempty"`      // deadline of the caller
	CancelAfter int      `json:"cancel_after_ms,omitempty"` // when the caller gives up
	// Tenants are those of several callers at once, in place of Tenant: each takes
	// the next one, over and over.
	Tenants []string `json:"tenants,omitempty"`
	// CorrelationID is what the client is to send as its client-request-id.
	CorrelationID string `json:"correlation_id,omitempty"`
}

// A ResourceRequest asks the client to use its token.
type ResourceRequest struct {
	Action string `json:"action"` // blob.list or http.get
	URL    string `json:"url"`
}

// The actions of a [ResourceRequest].
const (
	ListBlobs = "blob.list"
	Get       = "http.get"
)

// An Answer is one line that a driver sends. It has exactly one of OK, Error and
// Skip.
type Answer struct {
	ID    json.RawMessage `json:"id"`
	OK    json.RawMessage `json:"ok,omitempty"` // a Hello, Results or {}
	Error *Failure        `json:"error,omitempty"`
	Skip  *Skip           `json:"skip,omitempty"`
}

// Results is what token, mi_token and resource are answered with: one Outcome for
// each caller.
type Results struct {
	Results []Outcome `json:"results"`
}

// An Outcome is what one caller got: a token, what a resource said, or an error.
type Outcome struct {
	Token     string `json:"token,omitempty"`
	ExpiresOn int64  `json:"expires_on,omitempty"` // seconds since 1970
	RefreshOn int64  `json:"refresh_on,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	FromCache *bool  `json:"from_cache,omitempty"`

	Status int      `json:"status,omitempty"` // of the resource
	Items  []string `json:"items,omitempty"`  // names of the blobs
	SHA256 string   `json:"sha256,omitempty"` // of the content, in hexadecimal

	Error *Failure `json:"error,omitempty"`
}

// UnmarshalJSON reads an Outcome. A client that made nonsense of a lifetime may
// tell a time that is no whole number, or none that there is: the nearest is read.
func (o *Outcome) UnmarshalJSON(b []byte) error {
	type plain Outcome
	in := struct {
		*plain
		ExpiresOn json.Number `json:"expires_on"`
		RefreshOn json.Number `json:"refresh_on"`
	}{plain: (*plain)(o)}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	o.ExpiresOn, o.RefreshOn = nearest(in.ExpiresOn), nearest(in.RefreshOn)
	return nil
}

func nearest(n json.Number) int64 {
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	switch {
	case f >= math.MaxInt64: // also when it is too much for a float
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	case err != nil: // it is empty
		return 0
	}
	return int64(f)
}

// A Failure is an error of the client under test. Only Message is required: the
// runner finds codes in it by itself.
type Failure struct {
	Kind          Kind   `json:"kind,omitempty"`
	Message       string `json:"message"`
	AADSTS        []int  `json:"aadsts,omitempty"`
	OAuthError    string `json:"oauth_error,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
	HTTPStatus    int    `json:"http_status,omitempty"`
	Retryable     bool   `json:"retryable,omitempty"`
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// A Kind is a class of failures.
type Kind string

// The kinds.
const (
	Auth        Kind = "auth"
	Unavailable Kind = "unavailable" // there is no managed identity here
	Network     Kind = "network"
	TLS         Kind = "tls"
	TimedOut    Kind = "timeout"
	Cancelled   Kind = "cancelled"
	Misconfig   Kind = "config"
	Protocol    Kind = "protocol" // the other side's answer made no sense
	Crashed     Kind = "crashed"  // the client panicked, or its like, where it should have failed
	Other       Kind = "other"
)

// Kinds lists all there are.
func Kinds() []Kind {
	return []Kind{Auth, Unavailable, Network, TLS, TimedOut, Cancelled, Misconfig, Protocol, Crashed, Other}
}

// A Skip says that the client cannot do what it was asked for.
type Skip struct {
	Reason   string `json:"reason"`
	IssueURL string `json:"issue_url,omitempty"`
}

// Error returns the reason.
func (s *Skip) Error() string { return "skipped: " + s.Reason }
