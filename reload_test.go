package fakeentra_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/control"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

// announced is a scenario as the announcement has it, for reloads to change.
const announced = `fakeentra: 1
tenants:
  contoso:
    id: 11111111-1111-1111-1111-111111111111
    managed-identities: {build-agent: {}}
    applications: {exporter: {federated-identity-credentials: {fic: {trusts: build-agent}}}}
issuers: {ci: {url: https://ci.example}}
hosts: {vm1: {source: imds, identities: [build-agent]}, laptop: {source: none}}
storage-accounts:
  contosodata: {tenant: contoso, containers: {reports: {q1.csv: "a"}}, roles: {exporter: Storage Blob Data Reader}}
seed: reload
`

// startScenario returns a cloud of a scenario, with what it is made of.
func startScenario(t *testing.T, yaml string) world {
	t.Helper()
	c := fakeentra.Start(t, fakeentra.WithScenario([]byte(yaml)))
	return named(c)
}

func named(c *fakeentra.Cloud) world {
	return world{c, c.Tenant("contoso"), c.ManagedIdentity("build-agent"), c.Application("exporter"), c.StorageAccount("contosodata"), c.Host("vm1")}
}

// changed is the announced scenario with words replaced.
func changed(oldnew ...string) []byte {
	return []byte(strings.NewReplacer(oldnew...).Replace(announced))
}

func TestReloadKeepsKeysDoorsAndTheJournal(t *testing.T) {
	w := startScenario(t, announced)
	doors := serve(t, w.Cloud)
	kids := w.plain().kids(t)
	w.RotateKeys()
	c := w.exchange(t)
	requests := len(w.Journal().Entries)

	next, err := w.Reload("scenario", changed("q1.csv: \"a\"", "q9.csv: \"b\"", "  contosodata:", "  newdata: {tenant: contoso}\n  contosodata:", "tenants:\n", "tenants:\n  fabrikam: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	// The clients of before, with their tokens and their doors.
	if status, code := c.list(t, c.access); status != 200 {
		t.Errorf("a token of before is answered %d %s", status, code)
	}
	if status, body := c.exchangeWith(t, c.assertion); status != 200 {
		t.Errorf("an assertion of before is answered %d %v", status, body)
	}
	if got := c.kids(t); len(got) != 2 || got[0] != kids[0] {
		t.Errorf("keys %v, want %s and another one", got, kids[0])
	}
	c.http = overTLS(t, w.Cloud, doors.HTTPS)
	status, _, body := c.do(t, "GET", "https://contosodata.blob.core.windows.net/reports?restype=container&comp=list", "", "", "Authorization", "Bearer "+c.access, "x-ms-version", "2026-04-06")
	if status != 200 || !strings.Contains(body, "<Name>q9.csv</Name>") || strings.Contains(body, "q1.csv") {
		t.Errorf("at the HTTPS door: %d %s", status, body)
	}
	// What is new has a name, a certificate and a way through the proxy.
	proxy, err := url.Parse(doors.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	through := overTLS(t, w.Cloud, doors.HTTPS).Transport.(*http.Transport)
	through.DialContext, through.Proxy = nil, http.ProxyURL(proxy)
	c.http = &http.Client{Transport: through}
	fabrikam := next.Tenant("fabrikam")
	for target, want := range map[string]int{"https://newdata.blob.core.windows.net/c/b": 401, fabrikam.Authority() + "/v2.0/.well-known/openid-configuration": 200} {
		if status, _, body := c.do(t, "GET", target, "", "", "x-ms-version", "2026-04-06"); status != want {
			t.Errorf("%s: %d %s, want %d", target, status, body, want)
		}
	}
	if !w.Knows("newdata.blob.core.windows.net") {
		t.Error("the new account has no name for DNS")
	}
	info, err := control.NewClient(doors.Control, nil).Info(t.Context())
	if err != nil || len(info.Tenants) != 2 || len(info.StorageAccounts) != 2 {
		t.Errorf("the control plane describes %+v, %v", info, err)
	}
	if log := next.Journal(); len(log.Entries) != requests+6 || log.Entries[requests].Seq != log.Entries[requests-1].Seq+1 {
		t.Errorf("the journal does not go on after %d entries:\n%s", requests, log)
	}
	if diff := cmp.Diff([]string{}, next.Unvouched()); diff != "" {
		t.Errorf("names without a certificate: %s", diff)
	}
}

func TestReloadLetsRequestsEndAsTheyBegan(t *testing.T) {
	w := startScenario(t, announced)
	c := w.exchange(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	w.Inject(fault.Rule{Op: "blob.list-blobs", Do: fault.Delay(0), When: func(journal.Request) bool { close(begun); <-goOn; return false }})
	status := make(chan int)
	go func() {
		s, _ := c.list(t, c.access)
		status <- s
	}()
	<-begun
	next, err := w.Reload("scenario", changed("contosodata", "otherdata"))
	if err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if got := <-status; got != 200 {
		t.Errorf("the request was answered %d, want the blobs of the account that was there", got)
	}
	if next.Knows("contosodata.blob.core.windows.net") || !w.Knows("otherdata.blob.core.windows.net") {
		t.Error("the account is not the one of the new scenario")
	}
}

func TestReloadThatFailsChangesNothing(t *testing.T) {
	w := startScenario(t, announced)
	_ = w.vm.Environ() // opens a door that stands for vm1
	c := w.exchange(t)
	w.Inject(fault.Rule{Op: "imds.token", Do: fault.Hangup{}, After: 99})
	for want, yaml := range map[string][]byte{
		`scenario:9: unknown key "storage-acounts"; did you mean "storage-accounts"?`:                  changed("storage-accounts", "storage-acounts"),
		`there is no host "vm1" any more, which programs seem to run on; keep it, or start again`:      changed("vm1", "vm2"),
		`the source of the host "vm1" was imds and is none now; start again`:                           changed("source: imds, identities: [build-agent]", "source: none"),
		"the cloud was public and is china now, whose names the certificates do not have; start again": changed("fakeentra: 1", "fakeentra: 1\ncloud: china"),
	} {
		if _, err := w.Reload("scenario", yaml); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if status, code := c.list(t, c.access); status != 200 {
		t.Errorf("the blobs are answered %d %s", status, code)
	}
	if _, err := w.Reload("scenario", changed("laptop", "desktop")); err != nil {
		t.Errorf("a host that no door stands for: %v", err)
	}
}

func TestReloadMovesTheClockOnlyIfTheFileDoes(t *testing.T) {
	w := startScenario(t, announced+"clock: 2026-01-01T00:00:00Z\n")
	w.Advance(48 * time.Hour)
	near := func(when string, c *fakeentra.Cloud, want time.Time) {
		t.Helper()
		if d := c.Now().Sub(want); d < 0 || d > time.Minute {
			t.Errorf("%s the clock shows %v, want %v", when, c.Now(), want)
		}
	}
	next, err := w.Reload("scenario", []byte(announced+"clock: 2026-01-01T00:00:00Z\n"))
	if err != nil {
		t.Fatal(err)
	}
	near("with the same file,", next, time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC))
	next, err = w.Reload("scenario", []byte(announced+"clock: 2026-06-01T00:00:00Z\n"))
	if err != nil {
		t.Fatal(err)
	}
	near("with another time,", next, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	before := time.Now()
	if next, err = w.Reload("scenario", []byte(announced)); err != nil {
		t.Fatal(err)
	}
	near("without a time,", next, before)
}

func TestReloadKeepsTheKeysOfIssuersAndTellsWhichAreYoung(t *testing.T) {
	w := startScenario(t, announced)
	_ = w.CA()
	const keys = "https://ci.example/.well-known/jwks"
	_, _, before := w.plain().do(t, "GET", keys, "", "")
	next, err := w.Reload("scenario", changed("issuers: {ci", "issuers: {about: {url: https://young.example}, ci"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, after := w.plain().do(t, "GET", keys, "", ""); after != before || !strings.Contains(after, `"kid"`) {
		t.Errorf("the issuer has the keys %s, want %s", after, before)
	}
	if _, _, young := w.plain().do(t, "GET", "https://young.example/.well-known/jwks", "", ""); young == before || !strings.Contains(young, `"kid"`) {
		t.Errorf("the young issuer has the keys %s", young)
	}
	if diff := cmp.Diff([]string{"young.example"}, next.Unvouched()); diff != "" {
		t.Errorf("names without a certificate (-want +got):\n%s", diff)
	}
}

func TestReloadArmsTheFaultsOfTheFile(t *testing.T) {
	w := startScenario(t, announced)
	doors := serve(t, w.Cloud)
	w.Inject(fault.Rule{Name: "by hand", Op: "sts.token", Do: fault.Hangup{}})
	if _, err := w.Reload("scenario", []byte(announced+"faults: [{op: imds.token, refuse: throttled, times: 2}]\n")); err != nil {
		t.Fatal(err)
	}
	got, err := control.NewClient(doors.Control, nil).Faults(t.Context())
	if err != nil || len(got) != 1 || got[0].Op != "imds.token" {
		t.Errorf("armed are %+v, %v", got, err)
	}
	if status, _, _ := w.plain().do(t, "GET", "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x", "", "", "Metadata", "true"); status != 429 {
		t.Errorf("a token is answered %d, want 429", status)
	}
}

func TestResetGoesBackToWhatWasReloaded(t *testing.T) {
	w := startScenario(t, announced)
	doors := serve(t, w.Cloud)
	if _, err := w.Reload("scenario", changed("contosodata", "otherdata")); err != nil {
		t.Fatal(err)
	}
	if err := control.NewClient(doors.Control, nil).Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.Knows("contosodata.blob.core.windows.net") || !w.Knows("otherdata.blob.core.windows.net") {
		t.Error("the account is not the one of the scenario that was loaded last")
	}
}

func TestReloadTakesTheTokenFilesOfPodsThatAreGone(t *testing.T) {
	w := startScenario(t, announced)
	pod := w.AddPod("pod1", fakeentra.Pod{Cluster: w.AddIssuer("https://oidc.example"), Identity: w.exporter})
	var file string
	for _, entry := range pod.Variables() {
		if path, ok := strings.CutPrefix(entry, "AZURE_FEDERATED_TOKEN_FILE="); ok {
			file = path
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Reload("scenario", []byte(announced)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the token file of a pod that is gone: %v", err)
	}
}
