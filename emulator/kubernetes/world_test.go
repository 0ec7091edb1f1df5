package kubernetes

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/fixtures"
	"github.com/fakeentra/fakeentra/internal/edge"
)

const (
	contoso  = "11111111-1111-1111-1111-111111111111"
	exporter = "22222222-2222-2222-2222-222222222222"
	identity = "44444444-4444-4444-4444-444444444444"
	cluster  = "https://eastus.oic.prod-aks.azure.com/11111111-1111-1111-1111-111111111111/99999999-9999-9999-9999-999999999999/"
)

// noon is when every test begins.
var noon = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)

type handClock struct{ now time.Time }

func (c *handClock) Now() time.Time { return c.now }

// A world is a cloud with the pods exporter, which has an application, and
// agent, which has a managed identity by an identity binding.
type world struct {
	*Service
	proxy     *Proxy
	edge      *edge.Edge
	clock     *handClock
	rings     []*token.Ring // of the cluster and of the identity binding
	forwarded []*http.Request
	bodies    []string
	deaf      bool // the token service does not answer
}

var pool = token.NewPool(fixtures.Keys)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{clock: &handClock{noon}, rings: []*token.Ring{token.NewRing(pool.From(0)), token.NewRing(pool.From(1))}}
	w.Service = New(Config{Seed: "test", Audience: "api://AzureADTokenExchange", AuthorityHost: "https://login.microsoftonline.com/", Forward: w.answer})
	w.proxy = w.TokenProxy()
	w.edge = &edge.Edge{Clock: w.clock, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}, Seed: "test"}
	must(t, w.AddPod(Pod{Host: "exporter", Issuer: issuer(cluster, w.rings[0]), Namespace: "jobs", ServiceAccount: "exporter", TenantID: contoso, ClientID: exporter}))
	must(t, w.AddPod(Pod{Host: "agent", Issuer: issuer(cluster, w.rings[0]), TenantID: contoso, ClientID: identity, Binding: issuer(BindingIssuer(contoso, identity), w.rings[1])}))
	return w
}

func issuer(url string, ring *token.Ring) Issuer {
	return Issuer{URL: url, Keys: ring, Sign: func(claims map[string]any) (string, error) {
		payload, err := json.Marshal(claims)
		if err != nil {
			return "", err
		}
		return ring.Sign(payload, 2)
	}}
}

// answer is the token service.
func (w *world) answer(_ edge.Caller, in *http.Request) (edge.Response, error) {
	if w.deaf {
		return edge.Response{}, errors.New("nobody answers")
	}
	body, err := io.ReadAll(in.Body)
	w.forwarded, w.bodies = append(w.forwarded, in), append(w.bodies, string(body))
	return edge.JSON(http.StatusOK, map[string]string{"access_token": "t"}), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) serve(t testing.TB, s edge.Service, r *http.Request) edge.Response {
	t.Helper()
	resp, err := w.edge.Serve(s, edge.Caller{Host: "agent", TLS: true}, r)
	must(t, err)
	return resp
}

// rotate plays kubelet: it gets the next token of a pod.
func (w *world) rotate(t testing.TB, host string) string {
	t.Helper()
	req, err := w.TokenRequest(host)
	must(t, err)
	resp := w.serve(t, w.Service, req)
	raw, err := ReadToken(resp.Status, resp.Body)
	must(t, err)
	return raw
}

// last returns the newest entry of the journal.
func (w *world) last() journal.Entry {
	entries := w.edge.Journal.Snapshot().Entries
	return entries[len(entries)-1]
}

// ask sends a request with kubelet's token; headers are names and values.
func (w *world) ask(t testing.TB, s edge.Service, method, url, body string, headers ...string) edge.Response {
	t.Helper()
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.nodeToken())
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.serve(t, s, r)
}
