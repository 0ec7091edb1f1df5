// Package lab is the world of one conformance check: an emulated cloud behind
// doors on which everything that comes in is recorded, can be answered in another
// way, and meets traps where no client should go.
package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fakeentra/fakeentra"
)

// A Lab is the world of one case of a check. Its methods may be called from
// several goroutines.
type Lab struct {
	*World
	// Secrets are kept out of what people see, and looked for where they must not
	// be. Answers add to them.
	secrets secrets

	tape     *tape
	rules    rules
	profiles profiles
	noise    noise
	front    atomic.Pointer[Front]
	observe  atomic.Pointer[func()]
	cloud    http.RoundTripper
	ctx      context.Context
	cancel   context.CancelFunc
	issued   atomic.Int64
}

// New makes a lab. The caller must close it.
func New(f Fixture) (*Lab, error) {
	w, err := f.build()
	if err != nil {
		return nil, err
	}
	l := &Lab{World: w, cloud: w.Host.Client().Transport, tape: newTape(), noise: noise{f.Noise}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for _, v := range w.Host.Variables() {
		name, value, _ := strings.Cut(v, "=")
		if name == "IDENTITY_HEADER" || name == "MSI_SECRET" {
			l.secrets.add(name, value)
		}
	}
	return l, nil
}

// Close ends the requests that are still answered. Those that come later are not
// recorded, and get no answer.
func (l *Lab) Close() error {
	l.cancel()
	l.tape.close()
	return l.Cloud.Close()
}

// maxBody is how much of a request is read; clients send less than 100 KB.
const maxBody = 4 << 20

// maxKept is how much of an answer is kept.
const maxKept = 64 << 10

// serve answers a request that came in by an entrance.
func (l *Lab) serve(e entrance, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client is gone
	}
	x := &Exchange{
		At: time.Now(), Door: e.door, Conn: connOf(r), Proto: r.Proto, Method: r.Method, Host: r.Host, Target: r.RequestURI,
		Header: r.Header, Body: body, address: e.address,
	}
	x.URL = l.meant(e, r)
	x.Op = l.classify(x)
	if !l.tape.begin(x) {
		disconnect(w, false)
		return
	}
	defer l.tape.end()
	if look := l.observe.Load(); look != nil {
		(*look)()
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	next := sync.OnceValue(func() *Answer { return l.usual(ctx, x) })
	rule := l.turn(x)
	var a *Answer
	if rule != nil {
		a = rule.Do(x, next)
	} else {
		a = l.noise.disturb(x, next())
	}
	l.record(x, rule, a)
	finished := false
	defer func() { // also when the handler is aborted
		l.tape.update(func() { x.Gone, x.Done = !finished, time.Now() })
	}()
	finished = a.write(ctx, w, func(n int) { l.tape.update(func() { x.Sent += int64(n) }) })
}

// record notes an answer before it goes out, so that a client cannot be ahead.
func (l *Lab) record(x *Exchange, rule *Rule, a *Answer) {
	if !a.silent() {
		l.secrets.find(x, a.Body)
	}
	l.tape.update(func() {
		if rule != nil {
			x.Fault = rule.Name
		}
		if a.silent() {
			return
		}
		x.Status, x.Reply, x.Answer = a.Status, a.Header, a.Body[:min(len(a.Body), maxKept)]
	})
}

// meant returns the URL that a client asked for.
func (l *Lab) meant(e entrance, r *http.Request) *url.URL {
	if r.URL.IsAbs() { // to a proxy
		u := *r.URL
		return &u
	}
	scheme := "http"
	if e.door == "https" || e.door == "endpoint" && l.Pinned() {
		scheme = "https"
	}
	u := *r.URL
	u.Scheme, u.Host = scheme, cmp.Or(e.as, r.Host)
	return &u
}

// usual is the answer that there is without a rule.
func (l *Lab) usual(ctx context.Context, x *Exchange) *Answer {
	switch x.Op {
	case Trap, Proxy, Cleartext:
		return l.plausible(x)
	}
	u := *x.URL
	if address := x.namedAddress(); address != "" {
		a := l.askAs(ctx, &u, x)
		a.Body = bytes.ReplaceAll(a.Body, []byte("https://"+l.Environment.LoginHost+"/"), []byte(address+"/"))
		return a
	}
	if x.Door == "endpoint" {
		u.Host = l.Host.Endpoint()
		if l.Pinned() {
			u.Scheme = "https"
		}
	}
	return l.ask(ctx, &u, x)
}

// ask has the emulated cloud answer.
func (l *Lab) ask(ctx context.Context, u *url.URL, x *Exchange) *Answer {
	req, err := http.NewRequestWithContext(ctx, x.Method, u.String(), bytes.NewReader(x.Body))
	if err != nil {
		return Text(http.StatusBadRequest, "text/plain", "the lab cannot make a request of it: "+err.Error())
	}
	req.URL = u
	req.Header = x.Header.Clone()
	resp, err := l.cloud.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return &Answer{Hang: true} // nobody waits any more
		}
		return &Answer{Hangup: true}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return &Answer{Hangup: true}
	}
	header := resp.Header.Clone()
	header.Del("Content-Length")
	if x.Method == http.MethodHead {
		header = resp.Header.Clone()
	}
	return &Answer{Status: resp.StatusCode, Header: header, Body: body}
}

// plausible is the answer of a place that no client should go to. It is what the
// client hopes for, so that a gullible one goes all the way.
func (l *Lab) plausible(x *Exchange) *Answer {
	token := l.Forge(map[string]any{"aud": "trap", "sub": "trap"}, time.Hour)
	if x.Method == http.MethodPost {
		return JSON(http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})
	}
	if q := x.Query(); q.Has("comp") || q.Has("restype") {
		return Text(http.StatusOK, "application/xml", `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs><Blob><Name>trap</Name></Blob></Blobs><NextMarker /></EnumerationResults>`)
	}
	ends := time.Now().Add(time.Hour).Unix()
	return JSON(http.StatusOK, map[string]any{
		"access_token": token, "client_id": string(l.Agent.ClientID), "expires_in": "3600", "expires_on": fmt.Sprint(ends),
		"not_before": fmt.Sprint(ends - 3900), "resource": x.Query().Get("resource"), "token_type": "Bearer",
	})
}

// Forge returns a token that the tenants signed, with claims of the caller's
// choice, and remembers it as a secret. No two are the same.
func (l *Lab) Forge(claims map[string]any, life time.Duration) string {
	now := time.Now()
	all := map[string]any{
		"iss": l.Tenant.Issuer(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(life).Unix(),
		"tid": string(l.Tenant.ID), "uti": fmt.Sprintf("forged-%d", l.issued.Add(1)),
	}
	for name, value := range claims {
		all[name] = value
	}
	token := l.Tenant.Sign(all)
	l.secrets.add("a token", token)
	return token
}

// Observe has look be called while each request waits for its answer, from several
// goroutines.
func (l *Lab) Observe(look func()) { l.observe.Store(&look) }

// Settle waits until everything that came in is answered, or was given up.
func (l *Lab) Settle() { l.tape.settle() }

// Secrets returns what is not for everybody to see, with what it is.
func (l *Lab) Secrets() map[string]string { return l.secrets.all() }

// Secret makes the lab look for more.
func (l *Lab) Secret(what, value string) { l.secrets.add(what, value) }

// HasKeyFolder reports whether clients look for key files, as at Azure Arc.
func (l *Lab) HasKeyFolder() bool { return l.Host.Source() == fakeentra.Arc }

// Pinned reports whether clients know the managed identity endpoint by its
// thumbprint, as at Service Fabric.
func (l *Lab) Pinned() bool { return l.Host.Source() == fakeentra.ServiceFabric }

// At returns the variables of the place that clients run in, with more of them,
// which win.
func (l *Lab) At(f *Front, more []string) []string {
	all := slices.Clone(l.Host.Variables())
	if l.Pinned() {
		all = append(all, "IDENTITY_SERVER_THUMBPRINT="+l.thumbprint(f))
	}
	return append(all, more...)
}

// secrets are the tokens and keys of a lab: what they are, by value.
type secrets struct {
	mu    sync.Mutex
	known map[string]string
}

func (s *secrets) add(what, value string) {
	if len(value) < 8 {
		return // would be found everywhere
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]string{}
	}
	s.known[value] = what
}

func (s *secrets) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]string, len(s.known))
	for value, what := range s.known {
		out[value] = what
	}
	return out
}

// find takes note of the token in an answer, and of those in a request that the
// lab did not issue.
func (s *secrets) find(x *Exchange, body []byte) {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.AccessToken != "" {
		what := "the token of the managed identity"
		if x.Op == Token {
			what = "the application's token"
		}
		s.add(what, answer.AccessToken)
	}
}

// Sources are the values of Config.Source and of the sources that there are.
var Sources = map[string]fakeentra.Source{
	"imds": fakeentra.IMDS, "appservice": fakeentra.AppService, "arc": fakeentra.Arc, "servicefabric": fakeentra.ServiceFabric,
	"cloudshell": fakeentra.CloudShell, "azureml": fakeentra.AzureML, "tokenfile": fakeentra.AKS,
}
