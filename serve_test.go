package fakeentra_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/control"
	"github.com/fakeentra/fakeentra/emulator/fault"
)

// serve opens all doors of a cloud on free ports until the test ends.
func serve(t *testing.T, c *fakeentra.Cloud) fakeentra.Doors {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan fakeentra.Doors, 1), make(chan error, 1)
	const free = "127.0.0.1:0"
	go func() {
		done <- c.Serve(ctx, fakeentra.Listen{HTTPS: free, IMDS: free, Proxy: free, Control: free, Ready: func(d fakeentra.Doors) { ready <- d }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	select {
	case d := <-ready:
		return d
	case err := <-done:
		done <- nil
		t.Fatalf("Serve: %v", err)
	}
	return fakeentra.Doors{}
}

// overTLS is a client that trusts the cloud alone and dials one address for
// every host.
func overTLS(t *testing.T, c *fakeentra.Cloud, door string) *http.Client {
	t.Helper()
	u, err := url.Parse(door)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, u.Host)
		}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// The exchange through real listeners: TLS by SNI, and plain HTTP for IMDS.
func TestServeAnswersOnEveryDoor(t *testing.T) {
	w := newWorld(t)
	doors := serve(t, w.Cloud)
	imds := w.plain()
	imds.http = overTLS(t, w.Cloud, doors.IMDS)
	assertion := imds.identityToken(t, "api://AzureADTokenExchange")
	c := w.plain()
	c.http = overTLS(t, w.Cloud, doors.HTTPS)
	status, body := c.exchangeWith(t, assertion)
	if status != 200 {
		t.Fatalf("exchange: %d %v", status, body)
	}
	if status, code := c.list(t, body["access_token"].(string)); status != 200 {
		t.Fatalf("list: %d %s", status, code)
	}
	// As a client with an authority on localhost sees it.
	u, err := url.Parse(doors.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	local := "https://localhost:" + u.Port()
	status, _, document := c.do(t, "GET", local+"/"+string(w.contoso.ID)+"/v2.0/.well-known/openid-configuration", "", "")
	if status != 200 || !strings.Contains(document, `"token_endpoint":"`+local+"/") {
		t.Errorf("a localhost authority was answered %d %s", status, document)
	}
}

func TestTheControlPlane(t *testing.T) {
	w := newWorld(t)
	doors := serve(t, w.Cloud)
	client := control.NewClient(doors.Control, nil)
	ctx := t.Context()
	info, err := client.Info(ctx)
	if err != nil || info.Tenants[0].ID != w.contoso.ID || info.Applications[0].ServicePrincipals[0].PrincipalID != w.exporter.PrincipalID() ||
		info.ManagedIdentities[0].PrincipalID != w.agent.ObjectID || info.Hosts[0].Identities[0] != "build-agent" || info.Doors["control"] != doors.Control {
		t.Fatalf("info %+v, %v", info, err)
	}
	before := w.Now()
	if err := client.Advance(ctx, 2*time.Hour); err != nil || w.Now().Sub(before) < 2*time.Hour {
		t.Errorf("after Advance the clock shows %v: %v", w.Now(), err)
	}
	if err := client.Inject(ctx, fault.Spec{Op: "imds.token", Times: 1, Refuse: "throttled"}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := w.plain().do(t, "GET", "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x", "", "", "Metadata", "true"); status != 429 {
		t.Errorf("the fault answered %d, want 429", status)
	}
	kids := w.plain().kids(t)
	if err := client.RotateKeys(ctx, "contoso"); err != nil || len(w.plain().kids(t)) != len(kids)+1 {
		t.Errorf("rotation: %v", err)
	}
	if err := client.RotateKeys(ctx, "nobody"); err == nil || !strings.Contains(err.Error(), `no tenant or issuer "nobody"; there are: contoso`) {
		t.Errorf("rotating the keys of nobody: %v", err)
	}
	log, err := client.Journal(ctx, control.Filter{Refused: true})
	if err != nil || len(log.Entries) != 1 || log.Entries[0].Fault != "refuse throttled" {
		t.Errorf("journal %v, %v", log, err)
	}
	if err := client.Reset(ctx); err != nil || len(w.Journal().Entries) != 0 {
		t.Errorf("Reset: %v", err)
	}
}

// A cloud is served for one host, and opens doors for others when it is asked to.
func TestTheControlPlaneOpensDoorsForOtherHosts(t *testing.T) {
	w := newWorld(t)
	w.AddHost("web", fakeentra.AppService).Assign(w.contoso.AddSystemAssignedIdentity("web"))
	doors := serve(t, w.Cloud)
	client := control.NewClient(doors.Control, nil)
	web, err := client.OpenDoors(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	for kind, url := range map[string]string{"https": doors.HTTPS, "imds": doors.IMDS, "proxy": doors.Proxy} {
		if other := web.Doors[kind]; (other == "") != (url == "") || url != "" && other == url {
			t.Errorf("the door %s is at %q for web, and at %q for vm1", kind, other, url)
		}
	}
	again, err := client.OpenDoors(t.Context(), "web")
	if diff := cmp.Diff(web, again); diff != "" || err != nil {
		t.Errorf("asked again: %v (-want +got):\n%s", err, diff)
	}
	c := w.plain()
	c.http = &http.Client{}
	if status, _, body := c.do(t, "GET", value(web.Variables, "IDENTITY_ENDPOINT")+"?api-version=2019-08-01&resource=https://storage.azure.com", "", "", "X-Identity-Header", value(web.Variables, "IDENTITY_HEADER")); status != 200 {
		t.Errorf("the endpoint of web: %d %s", status, body)
	}
	if got := len(w.Journal().Of("appservice.token").From("web").Entries); got != 1 {
		t.Errorf("%d requests from web, want 1\n%s", got, w.Journal())
	}
	own, err := client.OpenDoors(t.Context(), "vm1")
	if err != nil || own.Doors["imds"] != doors.IMDS || own.Doors["control"] != doors.Control || own.Variables != nil {
		t.Errorf("the doors of vm1: %+v, %v; want %+v", own, err, doors)
	}
	if _, err := w.Reload("scenario", []byte("fakeentra: 1\nhosts: {vm1: {source: imds}}\n")); err == nil || !strings.Contains(err.Error(), `there is no host "web" any more`) {
		t.Errorf("a scenario without the host of a door: %v", err)
	}
	if _, err := client.OpenDoors(t.Context(), "wbe"); err == nil || !strings.Contains(err.Error(), `there is no host "wbe"; there are: vm1, web`) {
		t.Errorf("doors of a host that is not there: %v", err)
	}
}

func TestServeRefusesWhatItCannotListenOn(t *testing.T) {
	w := newWorld(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for want, l := range map[string]fakeentra.Listen{
		"cannot listen for IMDS on " + taken.Addr().String() + ": ": {Proxy: "127.0.0.1:0", IMDS: taken.Addr().String()},
		`there is no host "nobody"; there are: vm1`:                 {Host: "nobody"},
		"cannot listen for HTTPS on nonsense":                       {HTTPS: "nonsense"},
	} {
		if err := w.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Serve(%+v) = %v, want %q", l, err, want)
		}
	}
}

// The journal is bounded, and the control plane shows what it dropped.
func TestTheJournalIsBounded(t *testing.T) {
	w := newWorld(t, fakeentra.WithJournalLimits(5, 0))
	c := w.plain()
	for range 20 {
		c.do(t, "GET", "http://169.254.169.254/metadata/versions", "", "")
	}
	if log := w.Journal(); len(log.Entries) != 5 || log.Dropped.Entries != 15 || !strings.HasPrefix(log.String(), "(15 older entries") {
		t.Errorf("journal: %s", log)
	}
	raw, err := json.Marshal(w.Journal())
	if err != nil || !json.Valid(raw) {
		t.Error(err)
	}
}

// As in a sandbox, whose listeners come from elsewhere.
func TestServeOnAnswersOnListenersOfOthers(t *testing.T) {
	w := newWorld(t)
	https, imds := listenOnLoopback(t), listenOnLoopback(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.ServeOn(ctx, "vm1", https, imds) }()
	c := w.plain()
	c.http = overTLS(t, w.Cloud, "http://"+imds.Addr().String())
	assertion := c.identityToken(t, "api://AzureADTokenExchange")
	c.http = overTLS(t, w.Cloud, "https://"+https.Addr().String())
	if status, body := c.exchangeWith(t, assertion); status != 200 {
		t.Errorf("exchange: %d %v", status, body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ServeOn: %v", err)
	}
	for _, l := range []net.Listener{https, imds} {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a listener is left open: %v", err)
		}
	}
}

func TestServeOnRefusesHostsThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	l := listenOnLoopback(t)
	err := w.ServeOn(t.Context(), "vm9", nil, l)
	if want := `there is no host "vm9"; there are: `; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s...", err, want)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

func listenOnLoopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKnowsIsWhatTheCloudAnswersFor(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]bool{
		"login.microsoftonline.com": true, "Login.MicrosoftOnline.com.": true, "contosodata.blob.core.windows.net": true,
		"fabrikam.blob.core.windows.net": false, "example.com": false, "": false,
	} {
		if got := w.Knows(name); got != want {
			t.Errorf("Knows(%q) is %v, want %v", name, got, want)
		}
	}
}

func TestNamesAreTheHostNamesThatTheCloudAnswersFor(t *testing.T) {
	w := newWorld(t)
	w.AddIssuer("https://ci.example/oidc")
	want := []string{"ci.example", "contosodata.blob.core.windows.net", "login.microsoft.com", "login.microsoftonline.com", "login.windows.net", "sts.windows.net"}
	if diff := cmp.Diff(want, w.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
