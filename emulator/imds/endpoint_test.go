package imds

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// ownClient is the system-assigned identity of the host box.
const ownClient = directory.ClientID("66666666-aaaa-4bbb-8ccc-000000000006")

// A shelf is a KeyFolder in memory.
type shelf struct {
	files map[string]string
	full  bool
}

func (f *shelf) Put(host, name string, key []byte) (string, error) {
	if f.full {
		return "", errors.New("the disk is full")
	}
	path := "/var/opt/azcmagent/tokens/" + name + ".key"
	f.files[path] = string(key)
	return path, nil
}

func (f *shelf) Remove(_, path string) { delete(f.files, path) }

// newPlace returns a world with the host box, which has a source and identities.
func newPlace(t testing.TB, source Source, identities ...directory.ClientID) *world {
	t.Helper()
	w := newWorld(t)
	w.keys = &shelf{files: map[string]string{}}
	must(t, w.directory.AddManagedIdentity(directory.ManagedIdentity{Name: "box-own", Tenant: contoso, ClientID: ownClient, ObjectID: "66666666-aaaa-4bbb-8ccc-0000000000ff", Kind: directory.SystemAssigned}))
	must(t, w.AddHost(Host{Name: "box", Source: source, Tenant: contoso, ResourceID: "/subscriptions/77777777-aaaa-4bbb-8ccc-000000000007/resourceGroups/rg1/providers/Microsoft.Web/sites/box"}))
	if source == CloudShell { // which has one user
		identities = identities[:min(1, len(identities))]
	}
	for _, id := range identities {
		must(t, w.Assign("box", id))
	}
	return w
}

// ask sends a request from box as world.send does, but without the Metadata
// header. In headers {secret} stands for the secret of the host.
func (w *world) ask(t testing.TB, method, url string, headers ...string) edge.Response {
	t.Helper()
	host, _ := w.Host("box")
	filled := []string{"Metadata", ""}
	for _, h := range headers {
		filled = append(filled, strings.ReplaceAll(h, "{secret}", w.secret(host)))
	}
	return w.send(t, "box", method, url, filled...)
}

const (
	appURL    = "http://127.0.0.1:41741/msi/token?resource=" + exchange + "&api-version=2019-08-01"
	oldURL    = "http://127.0.0.1:41741/msi/token?resource=" + exchange + "&api-version=2017-09-01"
	fabricURL = "https://localhost:2377/metadata/identity/oauth2/token?resource=" + exchange + "&api-version=2019-07-01-preview"
	arcURL    = "http://localhost:40342/metadata/identity/oauth2/token?resource=" + exchange + "&api-version=2020-06-01"
	shellURL  = "http://localhost:50342/oauth2/token"
	mlURL     = "http://127.0.0.1:46808/MSI/auth/?resource=" + exchange + "&api-version=2017-09-01"
)

func just(ids ...directory.ClientID) []directory.ClientID { return ids }

func TestEverySourceAnswersInItsOwnForm(t *testing.T) {
	for name, tc := range map[string]struct {
		source     Source
		os         string
		identities []directory.ClientID
		url        string
		headers    []string
		want       string
	}{
		"app service": {AppService, "", just(agentClient, ownClient), appURL, []string{"X-Identity-Header", "{secret}"},
			`{"access_token":"{token}","client_id":"66666666-aaaa-4bbb-8ccc-000000000006","expires_on":"1800086400","not_before":"1799999700","resource":"api://AzureADTokenExchange","token_type":"Bearer"}`},
		"app service before 2019, on Linux": {AppService, "", just(ownClient), oldURL, []string{"Secret", "{secret}"},
			`{"access_token":"{token}","expires_on":"01/16/2027 08:00:00 +00:00","resource":"api://AzureADTokenExchange","token_type":"Bearer"}`},
		"app service before 2019, on Windows": {Functions, "Windows", just(ownClient), oldURL, []string{"Secret", "{secret}"},
			`{"access_token":"{token}","expires_on":"1/16/2027 8:00:00 AM +00:00","resource":"api://AzureADTokenExchange","token_type":"Bearer"}`},
		"service fabric": {ServiceFabric, "", just(ownClient), fabricURL, []string{"Secret", "{secret}"},
			`{"token_type":"Bearer","access_token":"{token}","expires_on":1800086400,"resource":"api://AzureADTokenExchange"}`},
		"service fabric, later version": {ServiceFabric, "", just(agentClient), strings.Replace(fabricURL, "2019-07-01-preview", "2020-05-01", 1), []string{"Secret", "{secret}"},
			`{"token_type":"Bearer","access_token":"{token}","expires_on":1800086400,"resource":"api://AzureADTokenExchange"}`},
		"cloud shell": {CloudShell, "", just(ownClient), shellURL + "?resource=https://storage.azure.com", []string{"Metadata", "true"},
			`{"access_token":"{token}","refresh_token":"","expires_in":"86400","expires_on":"1800086400","not_before":"1799999700","resource":"https://storage.azure.com","token_type":"Bearer"}`},
		"azure ml": {AzureML, "", just(agentClient), mlURL, []string{"Secret", "{secret}"},
			`{"access_token":"{token}","client_id":"33333333-3333-3333-3333-333333333333","expires_on":1800086400,"resource":"api://AzureADTokenExchange","token_type":"Bearer"}`},
	} {
		w := newPlace(t, tc.source, tc.identities...)
		w.setMachine("box", Machine{OS: tc.os})
		resp := w.ask(t, "GET", tc.url, tc.headers...)
		var got struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(resp.Body, &got); err != nil || got.Token == "" {
			t.Errorf("%s: %d %s, %v", name, resp.Status, resp.Body, err)
			continue
		}
		if diff := cmp.Diff(strings.Replace(tc.want, "{token}", got.Token, 1), string(resp.Body)); diff != "" || resp.Status != 200 {
			t.Errorf("%s: %d (-want +got):\n%s", name, resp.Status, diff)
		}
	}
}

func (w *world) setMachine(host string, m Machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[host]
	h.Machine = m
	w.hosts[host] = h
}

// The older dialect on Windows has twelve hours, without zeros before numbers.
func TestDatesOfBefore2019(t *testing.T) {
	for seconds, want := range map[int64][2]string{
		1560987721: {"06/19/2019 23:42:01 +00:00", "6/19/2019 11:42:01 PM +00:00"}, // Azure/azure-cli#20215
		1579152252: {"01/16/2020 05:24:12 +00:00", "1/16/2020 5:24:12 AM +00:00"},  // Azure/azure-sdk-for-python#9480
	} {
		if got := [2]string{dated(seconds, "Linux"), dated(seconds, "Windows")}; got != want {
			t.Errorf("%d: %v, want %v", seconds, got, want)
		}
	}
}

func TestIdentitiesAreSelectedAsEachSourceSpellsIt(t *testing.T) {
	web, ml := []string{"X-Identity-Header", "{secret}"}, []string{"Secret", "{secret}"}
	for _, tc := range []struct {
		source       Source
		url          string
		headers      []string
		query, facts string
	}{
		{AppService, appURL, web, "client_id=" + strings.ToUpper(string(agentClient)), "build-agent resource=api://AzureADTokenExchange"},
		{AppService, appURL, web, "principal_id=" + string(agentPrincipal), "build-agent resource=api://AzureADTokenExchange"},
		{AppService, appURL, web, "object_id=" + string(agentPrincipal), "build-agent resource=api://AzureADTokenExchange undocumented=object_id"},
		{Functions, appURL, web, "mi_res_id=" + string(agentResource), "build-agent resource=api://AzureADTokenExchange"},
		{ContainerApps, appURL, web, "", "box-own resource=api://AzureADTokenExchange"},
		{AppService, appURL, web, "clientid=" + string(agentClient), "box-own resource=api://AzureADTokenExchange ignored=clientid"},
		{AppService, appURL, web, "msi-res-id=" + string(agentResource), "box-own resource=api://AzureADTokenExchange ignored=msi-res-id"},
		{AppService, oldURL, ml, "clientid=" + string(agentClient), "build-agent resource=api://AzureADTokenExchange"},
		{AppService, oldURL, ml, "client_id=" + string(agentClient), "box-own resource=api://AzureADTokenExchange ignored=client_id"},
		{AzureML, mlURL, ml, "clientid=" + string(agentClient), "build-agent resource=api://AzureADTokenExchange"},
		{AzureML, mlURL, ml, "clientid=", "box-own resource=api://AzureADTokenExchange"},
		{ServiceFabric, fabricURL, ml, "client_id=" + string(agentClient), "box-own resource=api://AzureADTokenExchange ignored=client_id"},
		{ServiceFabric, fabricURL, ml, "principalId=" + string(agentPrincipal), "box-own resource=api://AzureADTokenExchange ignored=principalId"},
		{CloudShell, shellURL + "?resource=https://vault.azure.net", []string{"Metadata", "True"}, "client_id=" + string(deployerClient), "build-agent resource=https://vault.azure.net ignored=client_id"},
	} {
		w := newPlace(t, tc.source, agentClient, ownClient)
		resp := w.ask(t, "GET", tc.url+"&"+tc.query, tc.headers...)
		if _, facts, _ := strings.Cut(w.last().String(), " box "); resp.Status != 200 || facts != tc.facts {
			t.Errorf("%s %s: %d with %q, want 200 with %q", tc.source, tc.query, resp.Status, facts, tc.facts)
		}
	}
}

func TestTokensOfOtherSourcesAreCached(t *testing.T) {
	w := newPlace(t, AppService, ownClient)
	first := w.ask(t, "GET", appURL, "X-Identity-Header", "{secret}")
	w.clock.now = epoch.Add(600e9)
	second := w.ask(t, "GET", appURL, "X-Identity-Header", "{secret}")
	if string(first.Body) != string(second.Body) || len(w.issuer.minted) != 1 {
		t.Fatalf("%d tokens were minted, want 1:\n%s\n%s", len(w.issuer.minted), first.Body, second.Body)
	}
}

// Nodes of clusters are virtual machines; what else has an endpoint of its own
// refuses 169.254.169.254.
func TestWhereTheMetadataAddressAnswers(t *testing.T) {
	for source, want := range map[Source]string{ServiceFabric: "200 400", AKS: "200 400", AppService: "closed", Arc: "closed", CloudShell: "closed", AzureML: "closed", ContainerApps: "closed", GitHub: "closed", AzurePipelines: "closed", NoSource: "closed"} {
		w := newPlace(t, source, ownClient)
		var got []string
		for _, url := range []string{"http://169.254.169.254/metadata/instance?api-version=2021-02-01", fresh} {
			in := httptest.NewRequestWithContext(t.Context(), "GET", url, nil)
			in.Header.Set("Metadata", "true")
			resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "box"}, in)
			if errors.Is(err, edge.ErrHangup) {
				got = []string{"closed"}
				continue
			}
			got = append(got, strconv.Itoa(resp.Status))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", source, got, want)
		}
	}
	w := newPlace(t, ServiceFabric, ownClient)
	w.get(t, "box", fresh)
	if got := w.last().Decision; got.Code != "identity-not-found" || !strings.Contains(got.Why, "the node that box runs on") {
		t.Errorf("%+v", got)
	}
}

func TestVariablesNameTheEndpoint(t *testing.T) {
	secret := ident.GUID("test", "identity-header", "box")
	for source, want := range map[Source][]string{
		IMDS:          nil,
		AppService:    {"IDENTITY_ENDPOINT=http://h:1/msi/token", "IDENTITY_HEADER=" + secret, "MSI_ENDPOINT=http://h:1/msi/token", "MSI_SECRET=" + secret},
		ContainerApps: {"IDENTITY_ENDPOINT=http://h:1/msi/token", "IDENTITY_HEADER=" + secret, "MSI_ENDPOINT=http://h:1/msi/token", "MSI_SECRET=" + secret},
		Arc:           {"IDENTITY_ENDPOINT=http://h:1/metadata/identity/oauth2/token", "IMDS_ENDPOINT=http://h:1"},
		ServiceFabric: {"IDENTITY_ENDPOINT=http://h:1/metadata/identity/oauth2/token", "IDENTITY_HEADER=" + secret, "IDENTITY_API_VERSION=2020-05-01"},
		CloudShell:    {"MSI_ENDPOINT=http://h:1/oauth2/token"},
		AzureML:       {"MSI_ENDPOINT=http://h:1/MSI/auth/", "MSI_SECRET=" + secret, "DEFAULT_IDENTITY_CLIENT_ID=" + string(agentClient)},
		AKS:           nil,
		NoSource:      nil,
	} {
		if diff := cmp.Diff(want, newPlace(t, source, ownClient, agentClient).Variables("box", "http://h:1/")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}
