package runner

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
	"github.com/fakeentra/fakeentra/internal/edge"
)

// noon is when every test takes place.
var noon = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)

type stopped struct{}

func (stopped) Now() time.Time { return noon }

// unsigned returns an issuer whose tokens have no signature, which is all that
// the tests of this package look at.
func unsigned(url string) Issuer {
	return Issuer{url, func(claims map[string]any) (string, error) {
		payload, err := json.Marshal(claims)
		return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".", err
	}}
}

const (
	gitHubIssuer = "https://token.actions.githubusercontent.com"
	devOpsIssuer = "https://vstoken.dev.azure.com/6804a3a0-e94c-41ae-9343-c5676fd58375"
	contoso      = "11111111-1111-1111-1111-111111111111"
)

type world struct {
	*Service
	edge *edge.Edge
}

// newWorld returns a cloud with the hosts runner (GitHub), agent (Azure
// Pipelines) and modern (Azure Pipelines, tokens by Entra).
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Service: New("test"), edge: &edge.Edge{Clock: stopped{}, Journal: journal.New(journal.Limits{}), Faults: &fault.Plan{}, Seed: "test"}}
	must(t, w.AddGitHub(GitHubJob{Host: "runner", Issuer: unsigned(gitHubIssuer), Repository: "contoso/exporter"}))
	p := PipelinesJob{Host: "agent", Issuer: unsigned(devOpsIssuer), Organization: "contoso", Project: "Exporter", ServiceConnection: "azure-prod", TenantID: contoso, ClientID: "2"}
	must(t, w.AddPipelines(p))
	p.Host, p.Issuer = "modern", unsigned("https://login.microsoftonline.com/"+contoso+"/v2.0")
	must(t, w.AddPipelines(p))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// variable returns a variable of a host.
func (w *world) variable(host, name string) string {
	for _, v := range w.Variables(host) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// ask sends a request; headers are names and values.
func (w *world) ask(t testing.TB, method, url string, headers ...string) edge.Response {
	t.Helper()
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.edge.Serve(w.Service, edge.Caller{TLS: true}, r)
	must(t, err)
	return resp
}

// last returns the newest entry of the journal.
func (w *world) last() journal.Entry {
	entries := w.edge.Journal.Snapshot().Entries
	return entries[len(entries)-1]
}

// claims returns the claims of the token in a member of a body.
func claims(t testing.TB, resp edge.Response, member string) map[string]any {
	t.Helper()
	var body, out map[string]any
	must(t, json.Unmarshal(resp.Body, &body))
	raw, _ := body[member].(string)
	parts := strings.Split(raw, ".")
	if resp.Status != 200 || len(parts) != 3 {
		t.Fatalf("%d %s", resp.Status, resp.Body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	must(t, json.Unmarshal(payload, &out))
	return out
}
