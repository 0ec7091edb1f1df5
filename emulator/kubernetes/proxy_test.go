package kubernetes

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

const tokenPath = "https://127.0.0.1:1/" + contoso + "/oauth2/v2.0/token?client-request-id=1"

// exchange sends a token request to the proxy, as the SDKs do.
func (w *world) exchange(t testing.TB, assertion, clientID string) edge.Response {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "scope": {"https://storage.azure.com/.default"}, "client_assertion": {assertion}}
	return w.ask(t, w.proxy, "POST", tokenPath, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func TestTheProxyPresentsAnAssertionOfTheBindingsIssuer(t *testing.T) {
	w := newWorld(t)
	raw := w.rotate(t, "agent")
	w.clock.now = noon.Add(13 * time.Minute)
	if resp := w.exchange(t, raw, identity); resp.Status != 200 || string(resp.Body) != `{"access_token":"t"}` {
		t.Fatalf("%d %s", resp.Status, resp.Body)
	}
	form, err := url.ParseQuery(w.bodies[0])
	must(t, err)
	got, err := token.Parse(form.Get("client_assertion"))
	must(t, err)
	key, _ := w.rings[1].Lookup(got.Header.KeyID)
	must(t, got.Verify(key, "RS256"))
	want := token.Claims{Issuer: "https://ib.oic.prod-aks.azure.com/" + contoso + "/" + identity, Subject: identity, Audience: token.Audience{"api://AzureADTokenExchange"},
		IssuedAt: token.NumericDate(w.clock.now), NotBefore: token.NumericDate(w.clock.now), Expires: token.NumericDate(w.clock.now.Add(5 * time.Minute)), JTI: got.Claims.JTI}
	if diff := cmp.Diff(want, got.Claims); diff != "" || form.Get("scope") != "https://storage.azure.com/.default" || form.Get("client_id") != identity {
		t.Errorf("assertion (-want +got):\n%s\nform %v", diff, form)
	}
	if in := w.forwarded[0]; in.URL.Path != "/"+contoso+"/oauth2/v2.0/token" || in.URL.RawQuery != "client-request-id=1" || in.URL.Host != "" || in.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("forwarded %s %v", in.URL, in.Header)
	}
	if got, want := w.last().String(), "2 kubernetes.token-proxy 200 agent assertion=#1 pod=agent rotation=1 age=13m"; got != want {
		t.Errorf("the transcript says %q, want %q", got, want)
	}
}

func TestDocumentsGoThroughTheProxy(t *testing.T) {
	w := newWorld(t)
	resp := w.ask(t, w.proxy, "GET", "https://127.0.0.1:1/common/discovery/instance?api-version=1.1", "")
	if resp.Status != 200 || w.forwarded[0].URL.String() != "https:///common/discovery/instance?api-version=1.1" {
		t.Errorf("%d, forwarded %s", resp.Status, w.forwarded[0].URL)
	}
}

func TestTheProxyIsKnownByTheServerNamesOfBindingsAlone(t *testing.T) {
	w := newWorld(t)
	names := w.proxy.ServerNames()
	if len(names) != 1 || !w.proxy.Knows(names[0]) || w.proxy.Knows(w.Hosts()[0]) || !w.Knows(w.Hosts()[0]) {
		t.Errorf("server names %v, hosts %v", names, w.Hosts())
	}
}
