package imds

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// shown sends a request to Azure Arc twice: the second time with the key.
func (w *world) shown(t testing.TB, url string) edge.Response {
	t.Helper()
	first := w.ask(t, "GET", url, "Metadata", "true")
	path := strings.TrimPrefix(first.Header.Get("WWW-Authenticate"), "Basic realm=")
	return w.ask(t, "GET", url, "Metadata", "true", "Authorization", "Basic "+w.keys.(*shelf).files[path])
}

func TestAKeyOfAzureArcIsGoodForOneRequest(t *testing.T) {
	w := newPlace(t, Arc, ownClient)
	files := w.keys.(*shelf).files
	challenge := w.ask(t, "GET", arcURL, "Metadata", "true").Header.Get("WWW-Authenticate")
	path := "/var/opt/azcmagent/tokens/" + ident.GUID("test", "arc-key-file", "box", "1") + ".key"
	if challenge != "Basic realm="+path || len(files[path]) != 64 {
		t.Fatalf("challenge %q with %v", challenge, files)
	}
	key := "Basic " + files[path]
	if resp := w.ask(t, "GET", arcURL, "Metadata", "true", "Authorization", key); resp.Status != 200 || len(files) != 0 {
		t.Fatalf("with the key: %d %s; %d files are left", resp.Status, resp.Body, len(files))
	}
	if resp := w.ask(t, "GET", arcURL, "Metadata", "true", "Authorization", key); resp.Status != 401 || resp.Header.Get("WWW-Authenticate") == challenge {
		t.Fatalf("with the key again: %d %v", resp.Status, resp.Header)
	}
}

// azure-identity for Python sends a request again that was answered with 500. It
// has to learn why, and not that the key is used up.
func TestAKeyOfAzureArcIsGoodUntilThereIsAToken(t *testing.T) {
	w := newPlace(t, Arc, ownClient)
	files := w.keys.(*shelf).files
	path := strings.TrimPrefix(w.ask(t, "GET", arcURL, "Metadata", "true").Header.Get("WWW-Authenticate"), "Basic realm=")
	key := "Basic " + files[path]
	for _, query := range []string{"&client_id=nobody", "&client_id=nobody", ""} {
		resp := w.ask(t, "GET", arcURL+query, "Metadata", "true", "Authorization", key)
		if got := w.last().Decision.Code; (resp.Status == 200) != (query == "") || query != "" && got != "arc-identity-not-found" {
			t.Errorf("%q: %d, %s", query, resp.Status, got)
		}
	}
	if len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
}

func TestAzureArcKeepsFewKeysAndLeavesNone(t *testing.T) {
	w := newPlace(t, Arc, ownClient)
	for range maxChallenges + 3 {
		w.ask(t, "GET", arcURL, "Metadata", "true")
	}
	files := w.keys.(*shelf).files
	if len(files) != maxChallenges {
		t.Fatalf("%d files, want %d", len(files), maxChallenges)
	}
	w.Reset()
	if len(files) != 0 {
		t.Fatalf("%d files after Reset", len(files))
	}
}

// MSAL of 2026 refuses an answer that does not repeat the selector.
func TestAzureArcRepeatsTheSelector(t *testing.T) {
	for _, tc := range []struct {
		query, echo string
		older       bool
	}{
		{"", "", false},
		{"&client_id=" + strings.ToUpper(string(agentClient)), `"client_id":"` + string(agentClient) + `",`, false},
		{"&object_id=" + string(agentPrincipal), `"object_id":"` + string(agentPrincipal) + `",`, false},
		{"&msi_res_id=" + string(agentResource), `"msi_res_id":"` + string(agentResource) + `",`, false},
		{"&client_id=" + string(agentClient), "", true},
		{"&client_id=a&object_id=b", "", true},
	} {
		w := newPlace(t, Arc, agentClient, ownClient)
		h := w.hosts["box"]
		h.IgnoresSelectors = tc.older
		w.hosts["box"] = h
		resp := w.shown(t, arcURL+tc.query)
		token := members(t, resp.Body)["access_token"]
		want := fmt.Sprintf(`{"access_token":"%s",%s"refresh_token":"","expires_in":"86400","expires_on":"1800086400","not_before":"1799999700","resource":"api://AzureADTokenExchange","token_type":"Bearer"}`, token, tc.echo)
		if diff := cmp.Diff(want, string(resp.Body)); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", tc.query, diff)
		}
		if who := w.last().Facts[0].Value; (who == "box-own") != (tc.older || tc.query == "") {
			t.Errorf("%s: the token is that of %s", tc.query, who)
		}
	}
}
