package kubernetes

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// {pod} in a body stands for a right reference to the pod exporter.
const (
	objects = `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","spec":{"audiences":["a"],"boundObjectRef":{pod}}}`
	seconds = `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","spec":{"audiences":["a"],"expirationSeconds":{n},"boundObjectRef":{pod}}}`
	tokens  = "/api/v1/namespaces/jobs/serviceaccounts/exporter/token"
)

var provocations = []struct {
	row, method, path, body string
	headers                 []string
	status                  int
	want, why               string // what the body holds, and what the reason begins with
}{
	{"unauthorized", "POST", tokens, objects, []string{"Authorization", ""}, 401, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`, "the API server was asked by somebody else than kubelet"},
	{"unauthorized", "POST", "/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token", "", []string{"Authorization", "Bearer x"}, 401, `"reason":"Unauthorized"`, "the API server was asked by somebody else"},
	{"malformed", "POST", tokens, "{", nil, 400, `"reason":"BadRequest"`, "the body is no TokenRequest: unexpected end"},
	{"malformed", "POST", tokens, `{"kind":"Pod","apiVersion":"v1"}`, nil, 400, `"reason":"BadRequest"`, "the body is a Pod of v1"},
	{"not-bound", "POST", tokens, strings.Replace(objects, "{pod}", "null", 1), nil, 403, `"reason":"Forbidden"`, "the token would be bound to something else"},
	{"not-bound", "POST", tokens, strings.Replace(objects, "{pod}", `{"kind":"Pod","name":"exporter","uid":"x"}`, 1), nil, 403, `"reason":"Forbidden"`, "the token would be bound to something else"},
	{"invalid", "POST", tokens, strings.Replace(seconds, "{n}", "599", 1), nil, 422, `"message":"TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"`, "expirationSeconds is 599; expected 600 to 4294967296"},
	{"invalid", "POST", tokens, strings.Replace(seconds, "{n}", "4294967297", 1), nil, 422, "may not specify a duration larger than 2^32 seconds", "expirationSeconds is 4294967297"},
	{"no-service-account", "POST", "/api/v1/namespaces/jobs/serviceaccounts/other/token", objects, nil, 404, `"message":"serviceaccounts \"other\" not found"`, "no pod of this cloud has the service account other of jobs"},
	{"not-found", "GET", "/api/v1/pods", "", nil, 404, `"message":"the server could not find the requested resource"`, "fakeentra emulates no more of a cluster than TokenRequest"},
	{"method", "GET", tokens, "", nil, 405, `"reason":"MethodNotAllowed"`, "GET is not a method of"},
}

// expand fills in the reference to the pod exporter.
func (w *world) expand(body string) string {
	p, _ := w.Pod("exporter")
	return strings.Replace(body, "{pod}", `{"kind":"Pod","apiVersion":"v1","name":"exporter","uid":"`+w.uid(p, "pod", "exporter")+`"}`, 1)
}

func TestEveryBadRequestToAnAPIServerIsRefusedAndExplained(t *testing.T) {
	for _, tc := range provocations {
		w := newWorld(t)
		resp := w.ask(t, w.Service, tc.method, "https://"+w.Hosts()[0]+tc.path, w.expand(tc.body), tc.headers...)
		if resp.Status != tc.status || !strings.Contains(string(resp.Body), tc.want) {
			t.Errorf("%s: %d %s; want %d %s", tc.row, resp.Status, resp.Body, tc.status, tc.want)
		}
		if got := w.last().Decision; got.Code != tc.row || !strings.HasPrefix(got.Why, tc.why) {
			t.Errorf("%s: the journal says %s: %s; want %s", tc.row, got.Code, got.Why, tc.why)
		}
	}
}

// proxied bring rows of the token proxy about. They edit a right exchange.
var proxied = []struct {
	row    string
	edit   func(w *world, assertion, client *string)
	status int
	why    string
}{
	{"proxy-request", func(_ *world, a, _ *string) { *a = "" }, 400, "the form has no client_assertion"},
	{"proxy-assertion", func(_ *world, a, _ *string) { *a = "x" }, 401, "the client_assertion cannot be read"},
	{"proxy-assertion", func(w *world, a, _ *string) { *a = w.sign(token.Claims{Issuer: "https://x", Subject: "s"}) }, 401, `the client_assertion is of the issuer "https://x" and the subject "s"`},
	{"proxy-assertion", func(w *world, a, _ *string) {
		*a = w.sign(token.Claims{Issuer: cluster, Subject: "system:serviceaccount:jobs:exporter"})
	}, 401, "the client_assertion is of the issuer"}, // without a binding
	{"proxy-assertion", func(w *world, a, _ *string) {
		*a = w.sign(token.Claims{Issuer: cluster, Subject: "system:serviceaccount:default:default", Audience: token.Audience{"api://AzureADTokenExchange"}})
	}, 401, "the service account token is for api://AzureADTokenExchange; with an identity binding it has to be for api://AKSIdentityBinding"},
	{"proxy-assertion", func(w *world, _, _ *string) { w.clock.now = noon.Add(time.Hour) }, 401, "the service account token is valid from 2026-08-20T12:00:00Z to 2026-08-20T13:00:00Z, and it is 2026-08-20T13:00:00Z"},
	{"proxy-assertion", func(w *world, _, _ *string) { w.retire() }, 401, "the cluster does not publish the key"},
	{"proxy-assertion", func(_ *world, a, _ *string) { *a = (*a)[:len(*a)-8] + "AAAAAAAA" }, 401, "the signature of the service account token does not fit the key"},
	{"proxy-not-bound", func(_ *world, _, c *string) { *c = exporter }, 403, "system:serviceaccount:default:default has no identity binding for the client ID"},
	{"proxy-failed", func(w *world, _, _ *string) { w.deaf = true }, 502, "the token service does not answer: nobody answers"},
	{"proxy-failed", func(w *world, _, _ *string) {
		w.pods["agent"].Binding.Sign = func(map[string]any) (string, error) { return "", errors.New("the key ring is empty") }
	}, 502, "the assertion could not be signed: the key ring is empty"},
}

func (w *world) sign(c token.Claims) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	raw, err := w.rings[0].Sign(payload, 2)
	if err != nil {
		panic(err)
	}
	return raw
}

// retire takes the key out of publication that signed so far.
func (w *world) retire() {
	if err := w.rings[0].Rotate(); err != nil {
		panic(err)
	}
	w.rings[0].Retire()
}

func TestEveryBadRequestToTheProxyIsRefusedAndExplained(t *testing.T) {
	for _, tc := range proxied {
		w := newWorld(t)
		assertion, client := w.rotate(t, "agent"), identity
		tc.edit(w, &assertion, &client)
		resp := w.exchange(t, assertion, client)
		var body struct{ Error string }
		must(t, json.Unmarshal(resp.Body, &body))
		if row, _ := named(tc.row); resp.Status != tc.status || body.Error != row.code {
			t.Errorf("%s: %d %s; want %d", tc.row, resp.Status, resp.Body, tc.status)
		}
		if got := w.last().Decision; got.Code != tc.row || !strings.HasPrefix(got.Why, tc.why) {
			t.Errorf("%s: the journal says %s: %s; want %s", tc.row, got.Code, got.Why, tc.why)
		}
	}
}

func TestABodyThatIsNoFormIsRefusedByTheProxy(t *testing.T) {
	w := newWorld(t)
	if resp := w.ask(t, w.proxy, "POST", tokenPath, "%zz"); resp.Status != 400 || w.last().Decision.Code != "proxy-request" {
		t.Errorf("%d %s", resp.Status, resp.Body)
	}
}

func TestATokenThatCannotBeSignedIsAnInternalError(t *testing.T) {
	w := newWorld(t)
	w.pods["exporter"].Issuer.Sign = func(map[string]any) (string, error) { return "", errors.New("the key ring is empty") }
	req, err := w.TokenRequest("exporter")
	must(t, err)
	resp := w.serve(t, w.Service, req)
	if _, err := ReadToken(resp.Status, resp.Body); resp.Status != 500 || w.last().Decision.Code != "failed" || err == nil || !strings.HasPrefix(err.Error(), "the API server answered 500 ") {
		t.Errorf("%d %s, %v", resp.Status, resp.Body, err)
	}
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	for _, s := range []func(*world) edge.Service{func(w *world) edge.Service { return w.Service }, func(w *world) edge.Service { return w.proxy }} {
		w := newWorld(t)
		if resp := w.ask(t, s(w), "POST", "https://"+w.Hosts()[0]+tokens, "", "X-Long", strings.Repeat("x", edge.MaxHeaders)); resp.Status != 413 {
			t.Errorf("%d %s", resp.Status, resp.Body)
		}
	}
}

func TestAFaultCanAskForAnyRow(t *testing.T) {
	for _, row := range rows {
		w := newWorld(t)
		w.edge.Faults.Add(fault.Rule{Op: "kubernetes.token-request", Do: fault.Refuse(row.name)}, fault.Rule{Op: "kubernetes.token-proxy", Do: fault.Refuse(row.name)})
		if resp := w.ask(t, w.Service, "POST", "https://"+w.Hosts()[0]+tokens, ""); resp.Status != row.status {
			t.Errorf("%s: %d, want %d", row.name, resp.Status, row.status)
		}
		if resp := w.exchange(t, "", ""); resp.Status != row.status {
			t.Errorf("%s at the proxy: %d, want %d", row.name, resp.Status, row.status)
		}
	}
	if _, ok := newWorld(t).Refuse(&edge.Request{}, "no-such-row"); ok {
		t.Error("Refuse claims to have a row that does not exist")
	}
}

func TestEveryRowIsProvokedAndHasASource(t *testing.T) {
	tested := map[string]bool{"failed": true, "too-large": true} // by the tests of their names above
	for _, tc := range provocations {
		tested[tc.row] = true
	}
	for _, tc := range proxied {
		tested[tc.row] = true
	}
	for _, w := range rows {
		if !tested[w.name] || w.source == "" || w.fidelity == "" || w.form == nil || w.text == "" || w.code == "" || w.status < 400 {
			t.Errorf("row %s: tested %v, source %q, fidelity %q", w.name, tested[w.name], w.source, w.fidelity)
		}
		delete(tested, w.name)
	}
	if len(tested) > 0 {
		t.Errorf("tests for rows that do not exist, or are there twice: %v", tested)
	}
}

// FuzzTokenRequest sends any body to an API server. It is answered with a token
// that is bound to the pod, or refused, in JSON.
func FuzzTokenRequest(f *testing.F) {
	w := newWorld(f)
	for _, seed := range []string{objects, strings.Replace(seconds, "{n}", "7200", 1), strings.Replace(seconds, "{n}", "-1", 1), "{", "null", `{"spec":{"boundObjectRef":{"name":"exporter"}}}`, `[{}]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		resp := w.ask(t, w.Service, "POST", "https://"+w.Hosts()[0]+tokens, w.expand(body))
		if !json.Valid(resp.Body) || w.last().Decision.Code == "fakeentra_bug" {
			t.Fatalf("%d %s", resp.Status, resp.Body)
		}
		if resp.Status != 201 {
			return
		}
		raw, err := ReadToken(resp.Status, resp.Body)
		must(t, err)
		if got, err := token.Parse(raw); err != nil || got.Claims.Subject != "system:serviceaccount:jobs:exporter" {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	})
}

// FuzzTokenProxy sends any form to the token proxy. Nothing gets through without
// a token of a pod.
func FuzzTokenProxy(f *testing.F) {
	w := newWorld(f)
	for _, seed := range []string{"", "client_assertion=x.y.z&client_id=" + identity, "client_assertion=" + url.QueryEscape(w.sign(token.Claims{Issuer: cluster, Subject: "system:serviceaccount:default:default"})), "%zz", "a;b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		resp := w.ask(t, w.proxy, "POST", tokenPath, form)
		if resp.Status < 400 || !json.Valid(resp.Body) || w.last().Decision.Code == "fakeentra_bug" {
			t.Errorf("%s: %d %s", form, resp.Status, resp.Body)
		}
	})
}
