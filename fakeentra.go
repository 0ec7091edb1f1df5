package fakeentra

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra/emulator/blob"
	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/imds"
	"github.com/fakeentra/fakeentra/emulator/issuer"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/sts"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/fixtures"
	"github.com/fakeentra/fakeentra/internal/clock"
	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// A Cloud is one emulated Azure cloud instance: its tenants, its hosts, its
// storage accounts, and the record of everything that was asked of it.
//
// All methods may be called from several goroutines. Two Clouds share nothing,
// unless one took the place of the other by [Cloud.Reload].
type Cloud struct {
	options
	adjustable *clock.Adjustable // nil when the Cloud was given a clock
	number     int               // of the Cloud in this process
	ring       *token.Ring
	journal    *journal.Journal
	faults     *fault.Plan
	directory  *directory.Directory
	sts        *sts.Service
	imds       *imds.Service
	keyFolder  *keyFolder
	blob       *blob.Service
	issuers    *issuer.Service
	router     *door.Router
	workloads

	line       *succession
	generation int // how many Clouds of the line came before

	mu           sync.Mutex
	tenants      map[string]directory.TenantID
	clients      map[string]directory.ClientID // applications and managed identities
	hosts        []string                      // in the order they were added
	authority    *pki.Authority
	proxies      map[string]*proxyListener // of Host.Environ, by host
	endpoints    map[string]*endpoint      // of Host.Environ, by host
	pinned       *tls.Certificate          // of the endpoint at Service Fabric, since its first use
	certificates string                    // folder of CertificateFiles, since its first use
	closed       bool
}

// clouds counts the Clouds of this process, so that their identifiers differ.
var clouds atomic.Int64

// pool parses each of the embedded keys once for the whole process.
var pool = sync.OnceValue(func() *token.Pool { return token.NewPool(fixtures.Keys) })

// TB is the part of [testing.TB] that [Start] needs. Other test frameworks have
// values that satisfy it.
type TB interface {
	Helper()
	Name() string
	Failed() bool
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start returns a running Cloud that is closed when the test ends.
//
// If the test failed, the journal is written to the test log first. Identifiers
// are derived from names and differ between Clouds of one process, because some
// client libraries keep a process-wide token cache.
func Start(t TB, opts ...Option) *Cloud {
	t.Helper()
	c, err := New(opts...)
	if err != nil {
		t.Fatalf("fakeentra: %v", err)
		return nil
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("What was asked of fakeentra, and why it answered as it did:\n%s", c.Journal())
		}
		if err := c.Close(); err != nil {
			t.Logf("fakeentra: %v", err)
		}
	})
	return c
}

// New returns a Cloud for use outside tests. The caller must call Close.
func New(opts ...Option) (*Cloud, error) {
	o := options{environment: AzurePublic}
	for _, opt := range opts {
		if err := opt.apply(&o); err != nil {
			return nil, err
		}
	}
	c := &Cloud{options: o, number: int(clouds.Add(1))}
	c.settle()
	c.found()
	c.wire()
	c.line = newSuccession(c, o)
	c.setClock()
	if err := c.populate(); err != nil {
		return nil, err
	}
	return c, nil
}

// settle fills in what the options left open. A scenario file wins over them.
func (c *Cloud) settle() {
	if s := c.scenario; s != nil {
		c.environment = s.Environment()
		c.seed = s.Seed
		c.lifetimes = sts.Lifetimes(s.TokenLifetimes)
	}
	if c.seed == "" {
		c.seed = fmt.Sprintf("fakeentra %d", c.number)
	}
	if c.lifetimes.ManagedIdentity == 0 {
		c.lifetimes.ManagedIdentity = sts.DefaultLifetimes.ManagedIdentity
	}
	if c.lifetimes.Application == 0 {
		c.lifetimes.Application = sts.DefaultLifetimes.Application
	}
	if c.clock == nil {
		c.adjustable = &clock.Adjustable{}
		c.clock = c.adjustable
	}
}

// found makes what stays when the scenario is another one.
func (c *Cloud) found() {
	c.ring = token.NewRing(c.keys())
	c.journal, c.faults = journal.New(c.limits), &fault.Plan{}
	c.keyFolder = &keyFolder{shown: map[string]shownFolder{}, files: map[string]string{}}
}

func (c *Cloud) edge() *edge.Edge {
	return &edge.Edge{Clock: c.clock, Journal: c.journal, Faults: c.faults, Seed: c.seed}
}

// wire builds the services and says which host names they answer for.
func (c *Cloud) wire() {
	env := c.environment
	c.directory = directory.New(env.TokenExchangeAudience)
	c.issuers = issuer.New()
	c.sts = sts.New(sts.Config{Environment: env, Directory: c.directory, Ring: c.ring, Fetch: c.fetch, Note: c.noteAssertion, Certified: c.certified, Era: c.era(), Lifetimes: c.lifetimes, Seed: c.seed})
	c.imds = imds.New(imds.Config{Directory: c.directory, Issuer: identityIssuer{c.sts}, Authority: notary{c}, Seed: c.seed, Keys: c.keyFolder})
	c.blob = blob.New(blob.Config{Environment: env, Directory: c.directory, Keys: c.ring, Seed: c.etagSeed()})
	c.router = door.NewRouter(c.edge())
	c.router.Handle(c.imds, metadataHost)
	c.router.Handle(c.sts, env.LoginAliases...)
	c.router.HandleFunc(c.sts, func() []string { return nil }, func(name string) bool { return env.Regional(name) || env.MutualTLS(name) })
	c.router.HandleFunc(c.blob, c.blobHosts, c.blob.Knows)
	c.router.HandleFunc(c.issuers, c.issuers.Hosts, c.issuers.Knows)
	c.wireWorkloads()
}

// metadataHost is the link-local address of the Instance Metadata Service.
const metadataHost = "169.254.169.254"

// keys returns the source of the tenants' signing keys.
func (c *Cloud) keys() func() (*token.Key, error) {
	next := pool().From(c.number)
	if c.key == nil {
		return next
	}
	first := c.key
	return func() (*token.Key, error) {
		if k := first; k != nil {
			first = nil
			return k, nil
		}
		return token.GenerateKey()
	}
}

func (c *Cloud) era() sts.Era {
	if c.scenario != nil && c.scenario.Era != "" {
		return sts.Era(c.scenario.Era)
	}
	return sts.Era2025
}

// fetch gets a document of an issuer outside Entra the way Entra does: from its
// host name, through the router.
func (c *Cloud) fetch(url string) (int, []byte, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	if host := req.URL.Hostname(); !c.issuers.Knows(host) {
		return 0, nil, fmt.Errorf("this cloud has no issuer at %s; add it (AddIssuer, or issuers in the scenario)", host)
	}
	resp, err := c.router.Serve(edge.Caller{Host: "entra", TLS: true}, req)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(resp.HTTP(req).Body)
	return resp.Status, body, err
}

// An identityIssuer lets IMDS ask the token service for tokens. The two know
// nothing of each other.
type identityIssuer struct{ sts *sts.Service }

func (i identityIssuer) IssueManagedIdentityToken(in imds.ManagedIdentityRequest) (imds.Grant, error) {
	got, err := i.sts.IdentityToken(sts.IdentityRequest{Now: in.Now, RequestID: in.RequestID, Identity: in.Identity, Resource: in.Resource, Host: in.HostResourceID})
	return imds.Grant{Token: got.Raw, Issued: got.Issued, Expires: got.Expires}, err
}

// A notary signs with the Cloud's certificate authority, which is made when it
// is first needed.
type notary struct{ cloud *Cloud }

func (n notary) Sign(document []byte, names ...string) ([]byte, error) {
	authority, err := n.cloud.certificateAuthority()
	if err != nil {
		return nil, err
	}
	return authority.Sign(document, names...)
}

func (n notary) Certify(request *x509.CertificateRequest, notBefore, notAfter time.Time) ([]byte, error) {
	authority, err := n.cloud.certificateAuthority()
	if err != nil {
		return nil, err
	}
	return authority.Certify(request, notBefore, notAfter)
}

// certified reports whether a client certificate is one of the Cloud's.
func (c *Cloud) certified(certificate *x509.Certificate) bool {
	authority, err := c.certificateAuthority()
	return err == nil && authority.Certified(certificate)
}

// Handler answers for every emulated host name, chosen by the Host header. It is
// what every door serves. Requests seem to come from no host in particular.
func (c *Cloud) Handler() http.Handler { return c.line.front.Handler("") }

// Journal returns what happened so far. Requests that are still being answered
// are not in it.
func (c *Cloud) Journal() journal.Log { return c.journal.Snapshot() }

// Now returns the time that the Cloud's clock shows.
func (c *Cloud) Now() time.Time { return c.clock.Now() }

// Advance moves the Cloud's clock by d. It panics if the Cloud was given a clock
// with [WithClock].
func (c *Cloud) Advance(d time.Duration) {
	if c.adjustable == nil {
		panic("fakeentra: Advance was called, but the Cloud was given a clock of its own; move that one")
	}
	c.adjustable.Advance(d)
	c.clockMoved()
}

// RotateKeys makes all tenants sign with a new key. The old ones stay published
// until RetireKeys is called. As in Entra, the tenants of a cloud share their
// keys.
func (c *Cloud) RotateKeys() { must(c.ring.Rotate()) }

// RetireKeys takes every signing key but the newest out of publication. Tokens
// that were signed with them are refused from now on.
func (c *Cloud) RetireKeys() { c.ring.Retire() }

// SigningKey returns the key that tenants sign with, and its certificate, in PEM
// form. Keep it in a file of mode 0600, if at all.
func (c *Cloud) SigningKey() ([]byte, error) {
	key, err := c.ring.Active()
	if err != nil {
		return nil, err
	}
	return bytes.Clone(key.PEM()), nil
}

// Reset returns the Cloud to what its scenario file says, or to nothing if it
// has none: tenants, hosts, blobs, faults, the clock and the journal. Signing
// keys and open doors stay. Requests that are being answered meanwhile may see
// either state.
func (c *Cloud) Reset() error {
	c.line.resetting.Lock()
	defer c.line.resetting.Unlock()
	c.mu.Lock()
	c.tenants, c.clients, c.hosts = nil, nil, nil
	c.mu.Unlock()
	c.imds.Reset()
	c.blob.Reset()
	c.issuers.Reset()
	c.resetWorkloads()
	c.directory.Reset()
	c.faults.Reset()
	c.journal.Reset()
	if c.adjustable != nil {
		c.adjustable.Set(time.Now())
	}
	c.setClock()
	return errors.Join(c.populate(), c.reproject())
}

// Close stops the doors and removes the files that [Host.Environ],
// [Cloud.CertificateFiles] and the endpoint of Azure Arc made. It waits for
// requests in flight.
func (c *Cloud) Close() error {
	c = c.line.first
	c.mu.Lock()
	already := c.closed
	c.closed = true
	proxies, endpoints, certificates := c.proxies, c.endpoints, c.certificates
	c.mu.Unlock()
	if already {
		return nil
	}
	err := errors.Join(closeProxies(proxies), closeEndpoints(endpoints), c.keyFolder.close(), c.line.latest.Load().closeProjections())
	if certificates != "" {
		err = errors.Join(err, os.RemoveAll(certificates))
	}
	return err
}

// errClosed is what a Cloud that was closed says to those who want more of it.
var errClosed = errors.New("the Cloud is closed")

// must panics with a sentence about misuse.
func must(err error) {
	if err != nil {
		panic("fakeentra: " + err.Error())
	}
}
