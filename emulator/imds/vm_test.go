package imds

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/emulator/token"
	"github.com/fakeentra/fakeentra/internal/ident"
	"github.com/google/go-cmp/cmp"
)

func TestATokenAnswerIsWhatIMDSSends(t *testing.T) {
	w := newWorld(t)
	resp := w.get(t, "vm1", fresh+"&client_id="+string(agentClient))
	raw := members(t, resp.Body)["access_token"]
	want := `{"access_token":"` + raw + `","client_id":"33333333-3333-3333-3333-333333333333","expires_in":"86400","expires_on":"1800086400",` +
		`"ext_expires_in":"86399","not_before":"1799999700","resource":"api://AzureADTokenExchange","token_type":"Bearer"}`
	if diff := cmp.Diff(want, string(resp.Body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	wantHeader := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Server": {"IMDS/150.870.65.1854"}, "X-Ms-Request-Id": {ident.Request("test", 1)}}
	if diff := cmp.Diff(wantHeader, resp.Header); diff != "" || resp.Status != 200 {
		t.Errorf("status %d, header (-want +got):\n%s", resp.Status, diff)
	}
	jwt, err := token.Parse(raw)
	if err != nil || jwt.Claims.Subject != string(agentPrincipal) {
		t.Errorf("the token's subject is %q (%v), want the principal ID", jwt.Claims.Subject, err)
	}
	if got := w.edge.Journal.IssuedBy(raw); got != 1 {
		t.Errorf("the journal says that entry %d issued the token, want 1", got)
	}
	if got, want := w.last().String(), "1 imds.token 200 vm1 build-agent resource=api://AzureADTokenExchange"; got != want {
		t.Errorf("transcript %q, want %q", got, want)
	}
}

func TestTheIssuerIsToldWhoAsksForWhat(t *testing.T) {
	w := newWorld(t)
	w.get(t, "vm1", tokenURL+"?api-version=2018-02-01&resource=https://STORAGE.azure.com/")
	got := w.issuer.minted[0]
	host, _ := w.Host("vm1")
	if got.Now != epoch || got.RequestID != ident.Request("test", 1) || got.Identity.Name != "build-agent" || got.Resource != "https://STORAGE.azure.com/" || got.HostResourceID != host.ResourceID {
		t.Fatalf("request = %+v", got)
	}
}

func TestATokenIsServedFromTheCacheUntilItExpires(t *testing.T) {
	w := newWorld(t)
	first := members(t, w.get(t, "vm1", fresh).Body)
	for _, tc := range []struct {
		after time.Duration
		want  string // expires_in
		same  bool
	}{
		{10 * time.Minute, "85800", true},
		{24*time.Hour - time.Second, "1", true},
		{-4 * time.Minute, "86640", true},
		{24 * time.Hour, "86400", false},
		{-6 * time.Minute, "86400", false}, // the clock was set back to before not_before
	} {
		w.clock.now = epoch.Add(tc.after)
		got := members(t, w.get(t, "vm1", fresh).Body)
		if same := got["access_token"] == first["access_token"]; same != tc.same || got["expires_in"] != tc.want || got["ext_expires_in"] != "86399" {
			t.Errorf("after %v: same token %v, expires_in %s, ext_expires_in %s; want %v, %s, 86399", tc.after, same, got["expires_in"], got["ext_expires_in"], tc.same, tc.want)
		}
	}
}

func TestTokensAreCachedForAHostAnIdentityAndAResource(t *testing.T) {
	w := newWorld(t)
	original := members(t, w.get(t, "crowded", fresh+"&client_id="+string(agentClient)).Body)["access_token"]
	for _, tc := range []struct {
		name, host, url string
		same            bool
	}{
		{"same query", "crowded", fresh + "&client_id=" + string(agentClient), true},
		{"another selector for the same identity", "crowded", fresh + "&object_id=" + string(agentPrincipal), true},
		{"another identity", "crowded", fresh + "&client_id=" + string(deployerClient), false},
		{"another host", "vm1", fresh, false},
		{"another resource", "crowded", tokenURL + "?api-version=2018-02-01&resource=https://vault.azure.net&client_id=" + string(agentClient), false},
	} {
		if got := members(t, w.get(t, tc.host, tc.url).Body)["access_token"]; (got == original) != tc.same {
			t.Errorf("%s: same token %v, want %v", tc.name, got == original, tc.same)
		}
	}
}

func TestTheCacheCanBeBypassedAndForgotten(t *testing.T) {
	w := newWorld(t)
	ask := func(url string) string { return members(t, w.get(t, "vm1", url).Body)["access_token"] }
	first := ask(fresh)
	second := ask(fresh + "&bypass_cache=true")
	if second == first {
		t.Error("bypass_cache=true gave the cached token")
	}
	if got := ask(fresh); got != second {
		t.Error("the token of bypass_cache=true is not the cached one afterwards")
	}
	w.ForgetTokens()
	if got := ask(fresh); got == second {
		t.Error("ForgetTokens left the token in the cache")
	}
}

func TestSimultaneousFirstRequestsGetOneToken(t *testing.T) {
	w := newWorld(t)
	got := make([]string, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = members(t, w.get(t, "vm1", fresh).Body)["access_token"] })
	}
	wg.Wait()
	for _, tok := range got {
		if tok != got[0] {
			t.Fatalf("%d tokens were minted for one identity and resource, want 1", len(w.issuer.minted))
		}
	}
}

func TestARequestThatComesSecondTakesTheTokenOfTheFirst(t *testing.T) {
	var c tokenCache
	c.clear()
	key := tokenKey{"vm1", agentClient, "x"}
	for i, tc := range []struct {
		fresh bool
		want  string
	}{{false, "token0"}, {false, "token0"}, {true, "token2"}} {
		a, err := c.replace(key, epoch, tc.fresh, func() (Grant, error) {
			return Grant{Token: "token" + strconv.Itoa(i), Issued: epoch, Expires: epoch.Add(time.Hour)}, nil
		})
		if err != nil || a.token != tc.want {
			t.Errorf("request %d got %s, %v; want %s", i, a.token, err, tc.want)
		}
	}
}

func TestOtherLifetimesKeepTheArithmetic(t *testing.T) {
	w := newWorld(t)
	w.issuer.lifetime = time.Hour
	got := members(t, w.get(t, "vm1", fresh).Body)
	delete(got, "access_token")
	want := map[string]string{
		"client_id": string(agentClient), "expires_in": "3600", "expires_on": "1800003600", "ext_expires_in": "3599",
		"not_before": "1799999700", "resource": "api://AzureADTokenExchange", "token_type": "Bearer",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

func TestTheResourceIsEchoedAsTheClientWroteIt(t *testing.T) {
	w := newWorld(t)
	for _, resource := range []string{"https://storage.azure.com/", "HTTPS://Storage.Azure.COM", "e406a681-f3d4-42a8-90b6-c2b029497af1"} {
		got := members(t, w.get(t, "vm1", tokenURL+"?api-version=2018-02-01&resource="+resource).Body)["resource"]
		if got != resource {
			t.Errorf("resource %q, want %q", got, resource)
		}
	}
}

func TestPathsAreTakenAsClientsWriteThem(t *testing.T) {
	w := newWorld(t)
	query := "?api-version=2018-02-01&resource=" + exchange
	for _, url := range []string{
		"http://169.254.169.254/metadata/identity/oauth2/token/" + query,
		"http://169.254.169.254//metadata/identity/oauth2/token" + query,
		"http://169.254.169.254//metadata/identity/oauth2/token/" + query,
		"http://169.254.169.254/Metadata/Identity/OAuth2/Token" + query,
		"http://localhost:8080/metadata/identity/oauth2/token" + query,
	} {
		if resp := w.get(t, "vm1", url); resp.Status != 200 || w.last().Op != "imds.token" {
			t.Errorf("%s: %s %d, want imds.token 200", url, w.last().Op, resp.Status)
		}
	}
}

func TestOddRequestsThatAreLetPassAreNoted(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		name, url, metadata, want string
	}{
		{"capital True", fresh, "True", "metadata=True build-agent resource=api://AzureADTokenExchange"},
		{"mi_res_id", fresh + "&mi_res_id=" + strings.ToUpper(string(agentResource)), "true", "build-agent resource=api://AzureADTokenExchange undocumented=mi_res_id"},
		{"principal_id", fresh + "&principal_id=" + string(agentPrincipal), "true", "build-agent resource=api://AzureADTokenExchange ignored=principal_id"},
		{"unknown parameters", fresh + "&xms_cc=cp1&token_sha256_to_refresh=00", "true", "build-agent resource=api://AzureADTokenExchange"},
		{"later version", strings.Replace(fresh, "2018-02-01", "2019-08-01", 1), "true", "build-agent resource=api://AzureADTokenExchange"},
	} {
		resp := w.get(t, "vm1", tc.url, "Metadata", tc.metadata)
		if _, facts, _ := strings.Cut(w.last().String(), " vm1 "); resp.Status != 200 || facts != tc.want {
			t.Errorf("%s: %d with %q, want 200 with %q", tc.name, resp.Status, facts, tc.want)
		}
	}
}

func TestVersionsNeedNoVersion(t *testing.T) {
	w := newWorld(t)
	resp := w.get(t, "vm1", "http://169.254.169.254/metadata/versions")
	if body := string(resp.Body); resp.Status != 200 || !strings.HasPrefix(body, `{"apiVersions":["2017-03-01","2017-04-02",`) || !strings.HasSuffix(body, `"2025-04-07"]}`) {
		t.Fatalf("%d %s", resp.Status, body)
	}
}

func TestIdentityInfoNamesTheTenant(t *testing.T) {
	w := newWorld(t)
	resp := w.get(t, "vm1", "http://169.254.169.254/metadata/identity/info?api-version=2018-02-01")
	if got, want := string(resp.Body), `{"tenantId":"11111111-aaaa-4bbb-8ccc-000000000001"}`; resp.Status != 200 || got != want {
		t.Fatalf("%d %s, want %s", resp.Status, got, want)
	}
}

func TestAHostWithoutATenantIsInThatOfItsIdentities(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddHost(Host{Name: "bare", Source: IMDS}))
	must(t, w.Assign("bare", agentClient))
	resp := w.get(t, "bare", "http://169.254.169.254/metadata/identity/info?api-version=2018-02-01")
	if got, want := string(resp.Body), `{"tenantId":"11111111-aaaa-4bbb-8ccc-000000000001"}`; resp.Status != 200 || got != want {
		t.Fatalf("%d %s, want %s", resp.Status, got, want)
	}
}

func TestARefusalOfTheTokenServiceIsPassedOn(t *testing.T) {
	w := newWorld(t)
	resp := w.get(t, "vm1", tokenURL+"?api-version=2018-02-01&resource=api://AzureADTokenExchange/.default")
	if got, want := string(resp.Body), `{"error":"invalid_resource","error_description":"AADSTS500011"}`; resp.Status != 400 || got != want || resp.Header.Get("Server") != server {
		t.Fatalf("%d %s from %s; want 400 %s", resp.Status, got, resp.Header.Get("Server"), want)
	}
	if got, want := w.last().String(), "1 imds.token 400 vm1 build-agent resource=api://AzureADTokenExchange/.default refused AADSTS500011: the resource is unknown"; got != want {
		t.Fatalf("transcript %q, want %q", got, want)
	}
	if w.get(t, "vm1", tokenURL+"?api-version=2018-02-01&resource=api://AzureADTokenExchange/.default"); len(w.issuer.minted) != 2 {
		t.Fatal("the refusal was cached")
	}
}
