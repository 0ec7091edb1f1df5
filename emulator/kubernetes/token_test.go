package kubernetes

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/token"
)

func TestATokenHasTheClaimsThatKubeletAsksFor(t *testing.T) {
	w := newWorld(t)
	got, err := token.Parse(w.rotate(t, "exporter"))
	must(t, err)
	key, _ := w.rings[0].Lookup(got.Header.KeyID)
	must(t, got.Verify(key, "RS256"))
	p, _ := w.Pod("exporter")
	object := func(kind, name string) map[string]any {
		return map[string]any{"name": name, "uid": w.uid(p, kind, name)}
	}
	jti, _ := got.All["jti"].(string)
	want := map[string]any{
		"aud": []any{"api://AzureADTokenExchange"}, "iss": cluster, "sub": "system:serviceaccount:jobs:exporter", "jti": jti,
		"iat": float64(noon.Unix()), "nbf": float64(noon.Unix()), "exp": float64(noon.Unix() + 3600),
		"kubernetes.io": map[string]any{"namespace": "jobs", "node": object("node", nodeName), "pod": object("pod", "exporter"), "serviceaccount": object("serviceaccount", "exporter")},
	}
	if diff := cmp.Diff(want, got.All); diff != "" || len(jti) != 36 {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if got, want := w.last().String(), "1 kubernetes.token-request 201 agent jobs/exporter pod=exporter rotation=1"; got != want {
		t.Errorf("the transcript says %q, want %q", got, want)
	}
}

func TestATokenOfAPodWithAnIdentityBindingIsForTheProxy(t *testing.T) {
	w := newWorld(t)
	got, err := token.Parse(w.rotate(t, "agent"))
	must(t, err)
	if diff := cmp.Diff(token.Audience{"api://AKSIdentityBinding"}, got.Claims.Audience); diff != "" || got.Claims.Subject != "system:serviceaccount:default:default" {
		t.Errorf("audience (-want +got):\n%s\nsubject %s", diff, got.Claims.Subject)
	}
}

func TestTokensOfAPodDifferAndAreRecognized(t *testing.T) {
	w := newWorld(t)
	first := w.rotate(t, "exporter")
	w.clock.now = noon.Add(48 * time.Minute)
	second := w.rotate(t, "exporter")
	other := w.rotate(t, "agent")
	for raw, want := range map[string]Issued{first: {"exporter", 1, noon}, second: {"exporter", 2, w.clock.now}, other: {"agent", 1, w.clock.now}} {
		if got, ok := w.Recognize(raw); got != want || !ok {
			t.Errorf("recognized %+v, %v; want %+v", got, ok, want)
		}
	}
	if _, ok := w.Recognize("x"); ok {
		t.Error("a token of nobody's is recognized")
	}
}

func TestKubeletReplacesATokenAtFourFifthsOfItsLife(t *testing.T) {
	if got := Due(noon); !got.Equal(noon.Add(48 * time.Minute)) {
		t.Errorf("due at %v, want 48 minutes after %v", got, noon)
	}
}

func TestOnlyTheNewestTokensAreKept(t *testing.T) {
	w := newWorld(t)
	for i := range kept + 1 {
		w.remember("exporter", fmt.Sprint(i), noon.Add(time.Duration(i)))
	}
	if _, oldest := w.Recognize("0"); oldest || len(w.issued) != kept {
		t.Errorf("%d tokens are kept, the oldest %v; want %d without it", len(w.issued), oldest, kept)
	}
}

func TestTheWebhookInjectsWhatItsSourceSays(t *testing.T) {
	w := newWorld(t)
	want := []string{"AZURE_CLIENT_ID=" + exporter, "AZURE_TENANT_ID=" + contoso, "AZURE_FEDERATED_TOKEN_FILE=" + TokenFile, "AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/"}
	if diff := cmp.Diff(want, w.Variables("exporter", Injection{TokenFile: TokenFile})); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	got := w.Variables("agent", Injection{TokenFile: TokenFile, CAFile: CAFile})[4:]
	want = []string{"AZURE_KUBERNETES_TOKEN_PROXY=https://" + w.Hosts()[0], "AZURE_KUBERNETES_SNI_NAME=" + w.proxy.ServerNames()[0], "AZURE_KUBERNETES_CA_FILE=" + CAFile}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables of an identity binding (-want +got):\n%s", diff)
	}
	if got := w.Variables("laptop", Injection{}); got != nil {
		t.Errorf("a host that is no pod has %v", got)
	}
}

func TestPodsThatCouldNotBeAreRefused(t *testing.T) {
	w := newWorld(t)
	right := Pod{Host: "h", Issuer: issuer(cluster, w.rings[0])}
	with := func(edit func(*Pod)) error { p := right; edit(&p); return w.AddPod(p) }
	for want, err := range map[string]error{
		`host "h": "jobs/" is not a service account; expected namespace/name, in lower-case letters, digits and hyphens`:    with(func(p *Pod) { p.Namespace = "jobs" }),
		`host "h": "Jobs/x" is not a service account; expected namespace/name, in lower-case letters, digits and hyphens`:   with(func(p *Pod) { p.Namespace, p.ServiceAccount = "Jobs", "x" }),
		`host "h": "jobs/x/y" is not a service account; expected namespace/name, in lower-case letters, digits and hyphens`: with(func(p *Pod) { p.Namespace, p.ServiceAccount = "jobs", "x/y" }),
		`host "exporter": the name is empty, or the host is a pod already`:                                                  with(func(p *Pod) { p.Host = "exporter" }),
		`host "h": there is no issuer to sign its service account tokens`:                                                   with(func(p *Pod) { p.Issuer.Keys = nil }),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestResetForgetsPodsAndTokens(t *testing.T) {
	w := newWorld(t)
	raw := w.rotate(t, "exporter")
	w.Reset()
	if _, known := w.Recognize(raw); known || w.Hosts() != nil || w.proxy.ServerNames() != nil {
		t.Errorf("after Reset: token known %v, hosts %v, server names %v", known, w.Hosts(), w.proxy.ServerNames())
	}
	if _, err := w.TokenRequest("exporter"); err == nil || err.Error() != `host "exporter" is not a pod` {
		t.Errorf("got %v", err)
	}
}
