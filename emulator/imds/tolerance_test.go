package imds

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// What clients do that no page asks of a server, and what they cannot do
// without. Each line names who needs it.
var tolerances = []struct {
	who     string
	source  Source
	method  string
	url     string
	headers []string
}{
	{"msal-node with AZURE_POD_IDENTITY_AUTHORITY_HOST: a slash at the end", IMDS, "GET", tokenURL + "/?api-version=2018-02-01&resource=" + exchange, []string{"Metadata", "true"}},
	{"azure-identity for Java of 2024: two slashes at the beginning", IMDS, "GET", "http://169.254.169.254//metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + exchange, []string{"Metadata", "true"}},
	{"azure-workload-identity's proxy: letter case", IMDS, "GET", "http://169.254.169.254/METADATA/identity/oauth2/token?api-version=2018-02-01&resource=" + exchange, []string{"Metadata", "true"}},
	{"the Azure MCP server: Metadata: True", IMDS, "GET", fresh, []string{"Metadata", "True"}},
	{"msal-node: xms_cc at every source, Content-Type of a GET", IMDS, "GET", fresh + "&xms_cc=cp1", []string{"Metadata", "true", "Content-Type", "application/x-www-form-urlencoded;charset=utf-8"}},
	{"azure_identity for Rust: X-IDENTITY-HEADER at IMDS", IMDS, "GET", strings.Replace(fresh, "2018-02-01", "2019-08-01", 1), []string{"Metadata", "true", "X-Identity-Header", "x"}},
	{"msal-node: xms_cc at every source", AppService, "GET", appURL + "&xms_cc=cp1", []string{"X-Identity-Header", "{secret}", "Content-Type", "application/x-www-form-urlencoded;charset=utf-8"}},
	{"MSAL for Python: Metadata at App Service", AppService, "GET", appURL, []string{"X-Identity-Header", "{secret}", "Metadata", "true"}},
	{"MSAL Go: object_id at App Service", AppService, "GET", appURL + "&object_id=" + string(agentPrincipal), []string{"X-Identity-Header", "{secret}"}},
	{"azure-identity for C++: principal_id at App Service", AppService, "GET", appURL + "&principal_id=" + string(agentPrincipal), []string{"X-Identity-Header", "{secret}"}},
	{"azure-identity for C++: the older protocol", AppService, "GET", oldURL, []string{"Secret", "{secret}"}},
	{"a slash at the end of MSI_ENDPOINT", Functions, "GET", strings.Replace(appURL, "/msi/token", "/MSI/token/", 1), []string{"X-Identity-Header", "{secret}"}},
	{"MSAL.NET: principalId, xms_cc and token_sha256_to_refresh at Service Fabric", ServiceFabric, "GET", strings.Replace(fabricURL, "2019-07-01-preview", "2020-05-01", 1) + "&principalId=x&xms_cc=cp1&token_sha256_to_refresh=00", []string{"Secret", "{secret}"}},
	{"MSAL Go: an empty clientid at Azure ML", AzureML, "GET", mlURL + "&clientid=", []string{"Secret", "{secret}"}},
	{"msal-node and MSAL.NET: Metadata at Azure ML", AzureML, "GET", mlURL, []string{"Secret", "{secret}", "Metadata", "true"}},
	{"MSAL4J of 2024: GET at Cloud Shell", CloudShell, "GET", shellURL + "?resource=https://management.azure.com/", []string{"Metadata", "true"}},
	{"MSAL.NET: a header named ContentType at Cloud Shell", CloudShell, "GET", shellURL + "?resource=https://management.azure.com/", []string{"Metadata", "true", "Contenttype", "application/x-www-form-urlencoded"}},
	{"Azure CLI: the path of IMDS at Cloud Shell", CloudShell, "GET", "http://localhost:50342/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/", []string{"Metadata", "true"}},
}

func TestClientsAreToleratedAsTheyAre(t *testing.T) {
	for _, tc := range tolerances {
		w := newPlace(t, tc.source, ownClient, agentClient)
		resp := w.ask(t, tc.method, tc.url, tc.headers...)
		if resp.Status != 200 {
			t.Errorf("%s: %d %s, %+v", tc.who, resp.Status, resp.Body, w.last().Decision)
		}
	}
}

// Cloud Shell documents a form.
func TestCloudShellTakesAForm(t *testing.T) {
	w := newPlace(t, CloudShell, ownClient)
	resp := w.post(t, "box", shellURL, "resource=https%3A%2F%2Fmanagement.azure.com%2F")
	if resp.Status != 200 || members(t, resp.Body)["resource"] != "https://management.azure.com/" {
		t.Errorf("MSAL Go: %d %s", resp.Status, resp.Body)
	}
}

// What parsers of SDKs demand of a body (by reading them, or by trying).
func TestBodiesSatisfyTheParsersOfSDKs(t *testing.T) {
	for source, get := range map[Source]func(*world) []byte{
		IMDS:          func(w *world) []byte { return w.ask(t, "GET", fresh, "Metadata", "true").Body },
		AppService:    func(w *world) []byte { return w.ask(t, "GET", appURL, "X-Identity-Header", "{secret}").Body },
		ContainerApps: func(w *world) []byte { return w.ask(t, "GET", appURL, "X-Identity-Header", "{secret}").Body },
		Arc:           func(w *world) []byte { return w.shown(t, arcURL).Body },
		ServiceFabric: func(w *world) []byte { return w.ask(t, "GET", fabricURL, "Secret", "{secret}").Body },
		AzureML:       func(w *world) []byte { return w.ask(t, "GET", mlURL, "Secret", "{secret}").Body },
		CloudShell: func(w *world) []byte {
			return w.ask(t, "GET", shellURL+"?resource=https://vault.azure.net", "Metadata", "true").Body
		},
	} {
		body := get(newPlace(t, source, ownClient))
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %s", source, body)
		}
		if got["token_type"] != "Bearer" || got["resource"] == "" {
			t.Errorf("azure_identity for Rust and MSAL for Python need token_type and resource; %s has %s", source, body)
		}
		_, text := got["expires_on"].(string)
		if rust := source == IMDS || source == AppService || source == ContainerApps || source == Arc; rust && !text {
			t.Errorf("azure_identity for Rust needs expires_on to be a string; %s has %v", source, got["expires_on"])
		}
		relative, absolute := bytes.Index(body, []byte(`"expires_in"`)), bytes.Index(body, []byte(`"expires_on"`))
		if absolute < relative {
			t.Errorf("MSAL.NET takes the lifetime that comes last for the time of expiry; %s has %s", source, body)
		}
		if relative < 0 && (source == IMDS || source == Arc) {
			t.Errorf("MSAL for Python and Terraform need expires_in; %s has %s", source, body)
		}
	}
}

// Azure Arc: older SDKs send other versions, and take the challenge apart.
func TestAzureArcForOlderSDKs(t *testing.T) {
	for who, version := range map[string]string{"azure-identity for C++, MSAL4J of 2024": "2019-11-01", "most": "2020-06-01", "azure_identity for Rust": "2021-02-01"} {
		w := newPlace(t, Arc, ownClient)
		resp := w.ask(t, "GET", strings.Replace(arcURL, "2020-06-01", version, 1), "Metadata", "true")
		challenge := resp.Header.Get("WWW-Authenticate")
		if resp.Status != 401 || strings.Count(challenge, "=") != 1 || !strings.HasSuffix(challenge, ".key") {
			t.Errorf("%s: %d %q; C++ and .NET split it at its only equals sign", who, resp.Status, challenge)
		}
	}
}

// A probe of MSAL.NET takes IMDS for there if the answer is 400, with a Server
// header of IMDS.
func TestProbesOfMSALNET(t *testing.T) {
	w := newPlace(t, IMDS, ownClient)
	for _, url := range []string{fresh, "http://169.254.169.254/metadata/identity/getplatformmetadata?cred-api-version=2.0"} {
		if resp := w.ask(t, "GET", url); resp.Status != 400 || !strings.Contains(resp.Header.Get("Server"), "IMDS") {
			t.Errorf("%s: %d %v", url, resp.Status, resp.Header)
		}
	}
}

// MSAL.NET looks for its region in a version that may be gone, and then in the
// first of those that the refusal lists.
func TestRegionDiscoveryOfMSALNETTakesTheNewestVersion(t *testing.T) {
	w := newPlace(t, IMDS, ownClient)
	resp := w.ask(t, "GET", instanceURL+"/compute?api-version=2020-06-02", "Metadata", "true")
	var refusal struct {
		Newest []string `json:"newest-versions"`
	}
	if err := json.Unmarshal(resp.Body, &refusal); err != nil || resp.Status != 400 || len(refusal.Newest) != 3 {
		t.Fatalf("%d %s, %v", resp.Status, resp.Body, err)
	}
	resp = w.ask(t, "GET", instanceURL+"/compute/location?format=text&api-version="+refusal.Newest[0], "Metadata", "true")
	if resp.Status != 200 || string(resp.Body) != "westeurope" {
		t.Errorf("in version %s: %d %s", refusal.Newest[0], resp.Status, resp.Body)
	}
}
