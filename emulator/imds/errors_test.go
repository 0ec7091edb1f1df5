package imds

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/edge"
)

const envelope = `{"error":"invalid_request","error_description":"`

// provocations are the requests that bring rows about by themselves, and what
// a client sees then.
var provocations = []struct {
	row, host, method, url string
	headers                []string
	status                 int
	body, why              string
}{
	{"metadata-header", "vm1", "GET", fresh, []string{"Metadata", ""}, 400, envelope + `Required metadata header not specified"}`, "the header Metadata: true is missing"},
	{"metadata-header", "vm1", "GET", fresh, []string{"Metadata", "yes"}, 400, envelope + `Required metadata header not specified"}`, `the header Metadata is "yes"`},
	{"metadata-header", "vm1", "POST", "http://169.254.169.254/metadata/nothing", []string{"Metadata", ""}, 400, `{ "error": "Bad request. Required metadata header not specified" }`, "missing"},
	{"forwarded-for", "vm1", "GET", fresh, []string{"X-Forwarded-For", "10.0.0.1"}, 400, envelope + `Requests with the X-Forwarded-For header are not allowed"}`, "X-Forwarded-For: 10.0.0.1"},
	{"malformed-query", "vm1", "GET", tokenURL + "?resource=%zz", nil, 400, envelope + `The query string is malformed"}`, `invalid URL escape "%zz"`},
	{"duplicate-parameter", "vm1", "GET", fresh + "&resource=x", nil, 400, envelope + `Duplicate query parameter names are not allowed"}`, "more than once"},
	{"duplicate-parameter", "vm1", "GET", "http://169.254.169.254/metadata/identity/info?a=1&a=2", nil, 400, envelope + `Duplicate query parameter names are not allowed"}`, "a=1&a=2"},
	{"duplicate-parameter", "vm1", "GET", "http://169.254.169.254/metadata/instance?a=1&a=2", nil, 400, `{ "error": "Duplicate query parameter names are not allowed" }`, "a=1&a=2"},
	{"api-version", "vm1", "GET", tokenURL + "?resource=x", nil, 400, newestVersions, "api-version is missing"},
	{"api-version", "vm1", "GET", tokenURL + "?resource=x&api-version=2020-01-01", nil, 400, newestVersions, "api-version=2020-01-01 does not exist here"},
	{"api-version", "vm1", "GET", tokenURL + "?resource=x&api-version=2017-12-01", nil, 400, newestVersions, "documented are 2018-02-01 to 2025-04-07"},
	{"api-version", "vm1", "GET", "http://169.254.169.254/metadata/instance", nil, 400, newestVersions, "api-version is missing"},
	{"api-version", "vm1", "GET", "http://169.254.169.254/metadata/identity/info?api-version=1", nil, 400, newestVersions, "api-version=1 does not exist"},
	{"resource-missing", "vm1", "GET", tokenURL + "?api-version=2018-02-01", nil, 400, envelope + `Required query variable 'resource' is missing"}`, "add resource=api://AzureADTokenExchange"},
	{"two-selectors", "vm1", "GET", fresh + "&client_id=a&object_id=b", nil, 400, envelope + `Only one of client_id, object_id and msi_res_id can be specified"}`, "client_id and object_id"},
	{"bypass-cache", "vm1", "GET", fresh + "&bypass_cache=1", nil, 400, envelope + `The value of 'bypass_cache' is invalid"}`, `bypass_cache is "1"`},
	{"identity-not-found", "empty", "GET", fresh, nil, 400, envelope + `Identity not found"}`, "empty has no managed identity"},
	{"multiple-identities", "crowded", "GET", fresh, nil, 400, envelope + `Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"}`,
		"crowded has build-agent (client_id 33333333-3333-3333-3333-333333333333), deployer (client_id 44444444-aaaa-4bbb-8ccc-000000000004); send the client_id of one of them"},
	{"imdsv2-off", "vm1", "GET", "http://169.254.169.254/metadata/identity/getplatformmetadata?cred-api-version=2.0", nil, 400, envelope + `Identity not supported"}`, "IMDSv2"},
	{"imdsv2-off", "vm1", "POST", "http://169.254.169.254/metadata/identity/issuecredential?cred-api-version=2.0", nil, 400, envelope + `Identity not supported"}`, "IMDSv2"},
	{"metadata-header", "vm1", "GET", "http://169.254.169.254/metadata/identity/getplatformmetadata?cred-api-version=2.0", []string{"Metadata", ""}, 400, envelope + `Required metadata header not specified"}`, "probes"},
	{"not-found", "vm1", "GET", "http://169.254.169.254/metadata/identity", nil, 404, `{"error":"not_found","error_description":"The requested element does not exist"}`, "nothing at /metadata/identity"},
	{"not-found", "vm1", "GET", "http://169.254.169.254/metadata/attestation", nil, 404, `{ "error": "Not found. The requested element does not exist" }`, "nothing at /metadata/attestation"},
	{"not-found", "vm1", "GET", instanceURL + "/compute/vmSizes?api-version=2021-02-01&format=text", nil, 404, `{ "error": "Not found. The requested element does not exist" }`, `no "compute/vmSizes" in version 2021-02-01`},
	{"not-found", "vm1", "GET", instanceURL + "/network/interface/1?api-version=2021-02-01", nil, 404, `{ "error": "Not found. The requested element does not exist" }`, "network/interface/1"},
	{"not-found", "vm1", "GET", instanceURL + "/compute/vmId/x?api-version=2021-02-01", nil, 404, `{ "error": "Not found. The requested element does not exist" }`, "compute/vmId/x"},
	{"nonce", "vm1", "GET", attestedURL + "?api-version=2018-10-01&nonce=", nil, 400, `{ "error": "Bad request. The nonce is invalid" }`, "up to 32 letters and digits"},
	{"nonce", "vm1", "GET", attestedURL + "?api-version=2018-10-01&nonce=" + strings.Repeat("1", 33), nil, 400, `{ "error": "Bad request. The nonce is invalid" }`, "up to 32 letters and digits"},
	{"api-version", "vm1", "GET", attestedURL + "?api-version=2018-04-02", nil, 400, newestVersions, "documented are 2018-10-01 to 2025-04-07"},
	{"no-load-balancer", "vm1", "GET", "http://169.254.169.254/metadata/loadbalancer?api-version=2020-10-01", nil, 404, `{ "error": "No load balancer metadata is found. Check if your virtual machine is using any nonbasic SKU load balancer and retry later." }`, "vm1 has no public address"},
	{"api-version", "vm1", "GET", "http://169.254.169.254/metadata/loadbalancer?api-version=2020-09-01", nil, 400, newestVersions, "documented are 2020-10-01 to 2025-04-07"},
	{"api-version", "vm1", "GET", "http://169.254.169.254/metadata/scheduledevents?api-version=2021-02-01", nil, 400, newestVersions, "documented are 2017-08-01 to 2020-07-01"},
	{"api-version", "vm1", "POST", "http://169.254.169.254/metadata/scheduledevents", nil, 400, newestVersions, "api-version is missing"},
	{"method-not-allowed", "vm1", "DELETE", eventsURL, nil, 405, `{ "error": "The method is not allowed" }`, "DELETE is not a method of /metadata/scheduledevents"},
	{"format", "vm1", "GET", instanceURL + "?api-version=2021-02-01&format=xml", nil, 400, `{ "error": "Bad request. The format is not supported" }`, "expected json or text"},
	{"leaf-format", "vm1", "GET", instanceURL + "/compute/vmId?api-version=2021-02-01", nil, 400, `{ "error": "Bad request. format=text is required for a leaf node" }`, "add format=text"},
	{"leaf-format", "vm1", "GET", instanceURL + "/compute/vmId?api-version=2021-02-01&format=json", nil, 400, `{ "error": "Bad request. format=text is required for a leaf node" }`, "a single value"},
	{"metadata-header", "vm1", "GET", instanceURL + "?api-version=2021-02-01", []string{"Metadata", ""}, 400, `{ "error": "Bad request. Required metadata header not specified" }`, "Metadata: true is missing"},
	{"duplicate-parameter", "vm1", "GET", instanceURL + "?api-version=2021-02-01&api-version=2021-02-01", nil, 400, `{ "error": "Duplicate query parameter names are not allowed" }`, "more than once"},
	{"method-not-allowed", "vm1", "POST", instanceURL + "?api-version=2021-02-01", nil, 405, `{ "error": "The method is not allowed" }`, "POST is not a method of /metadata/instance"},
	{"method-not-allowed", "vm1", "POST", fresh, nil, 405, `{"error":"method_not_allowed","error_description":"The method is not allowed"}`, "POST is not a method of /metadata/identity/oauth2/token"},
	{"no-source", "", "GET", fresh, nil, 404, `{"error":"not_found","error_description":"This host has no managed identity endpoint"}`, `the host "", which does not exist`},
}

const newestVersions = `{"error":"Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds","newest-versions":["2025-04-07","2024-07-17","2024-03-15"]}`

func TestEveryRefusalIsProvokedByItsRequest(t *testing.T) {
	w := newWorld(t)
	for _, tc := range provocations {
		resp := w.send(t, tc.host, tc.method, tc.url, tc.headers...)
		got := w.last().Decision
		if resp.Status != tc.status || string(resp.Body) != tc.body || got.Code != tc.row || !strings.Contains(got.Why, tc.why) {
			t.Errorf("%s %s at %q:\ngot  %d %s %s: %s\nwant %d %s %s: %s", tc.method, tc.url, tc.host, resp.Status, resp.Body, got.Code, got.Why, tc.status, tc.body, tc.row, tc.why)
		}
	}
}

// On a laptop nothing answers at all, and the journal says why.
func TestALaptopAnswersNothing(t *testing.T) {
	w := newWorld(t)
	in := httptest.NewRequestWithContext(t.Context(), "GET", fresh, nil)
	if _, err := w.edge.Serve(w.Service, edge.Caller{Host: "laptop"}, in); !errors.Is(err, edge.ErrHangup) {
		t.Fatalf("error %v, want a closed connection", err)
	}
	if got := w.last().String(); got != "1 imds.unknown closed laptop refused no-source: the host laptop has the source none, so nothing answers at 169.254.169.254; give it the source imds" {
		t.Errorf("journal: %s", got)
	}
}

func TestTheRecordedRefusalsHaveTheirRecordedLength(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		host, url, metadata string
		want                int
	}{
		{"vm1", fresh, "", 88},
		{"vm1", tokenURL + "?api-version=2018-02-01", "true", 95},
		{"empty", fresh, "true", 68},
	} {
		if got := len(w.get(t, tc.host, tc.url, "Metadata", tc.metadata).Body); got != tc.want {
			t.Errorf("%s: %d bytes, want %d", tc.url, got, tc.want)
		}
	}
}

func TestABrokenTokenServiceIsAnInternalError(t *testing.T) {
	w := newWorld(t)
	w.issuer.broken = true
	resp := w.get(t, "vm1", fresh)
	if got := w.last().Decision; resp.Status != 500 || members(t, resp.Body)["error"] != "unknown" || got.Code != "entra-failed" || got.Why != "the token service failed: the key ring is empty" {
		t.Fatalf("%d %s, %+v", resp.Status, resp.Body, got)
	}
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t)
	resp := w.get(t, "vm1", fresh, "X-Long", strings.Repeat("x", edge.MaxHeaders))
	if resp.Status != 413 || members(t, resp.Body)["error"] != "bad_request" {
		t.Fatalf("%d %s", resp.Status, resp.Body)
	}
}

// faulted are the rows that only a fault rule provokes.
var faulted = []struct {
	row                       string
	status                    int
	contentType, server, body string
}{
	{"updating-404", 404, "application/json; charset=utf-8", server, `{"error":"not_found","error_description":"IMDS is updating"}`},
	{"updating-410", 410, "application/json; charset=utf-8", server, `{"error":"not_found","error_description":"IMDS is going through updates"}`},
	{"throttled", 429, "application/json; charset=utf-8", server, `{"error":"too_many_requests","error_description":"Temporarily throttled, too many requests"}`},
	{"unavailable", 503, "application/json; charset=utf-8", server, `{"error":"service_unavailable","error_description":"The service is unavailable"}`},
	{"restarting", 500, "text/plain", "Microsoft-IIS/10.0", "The service is restarting."},
	{"unknown-source", 401, "application/json; charset=utf-8", server, `{"error":"unknown_source","error_description":"Unknown Source http://169.254.169.254/metadata/identity/oauth2/token"}`},
	{"bad-request-102", 400, "application/json; charset=utf-8", server, `{"error":"bad_request_102","error_description":"Required metadata header not specified"}`},
	{"docker-desktop", 403, "text/plain", "", "connecting to 169.254.169.254:80: connecting to 169.254.169.254:80: dial tcp 169.254.169.254:80: connectex: A socket operation was attempted to an unreachable network."},
	{"pod-identity", 500, "text/plain", "", "pod list is empty"},
	{"captive-portal", 200, "text/html", "", "<html><body><h1>Sign in to the network</h1></body></html>"},
	{"bad-gateway", 502, "text/html", "", "<html><body><h1>502 Bad Gateway</h1></body></html>"},
	{"gateway-timeout", 504, "text/html", "", "<html><body><h1>504 Gateway Timeout</h1></body></html>"},
}

func TestFaultRulesProvokeTheOtherRefusals(t *testing.T) {
	for _, tc := range faulted {
		w := newWorld(t)
		w.edge.Faults.Add(fault.Rule{Op: "imds.token", Times: 1, Do: fault.Refuse(tc.row)})
		resp := w.get(t, "vm1", fresh)
		if resp.Status != tc.status || resp.Header.Get("Content-Type") != tc.contentType || resp.Header.Get("Server") != tc.server || string(resp.Body) != tc.body {
			t.Errorf("%s: got %d %v %s", tc.row, resp.Status, resp.Header, resp.Body)
		}
		if got := w.last().Decision; got.Code != tc.row || !strings.HasPrefix(got.Why, "a fault rule asked for this refusal") {
			t.Errorf("%s: journal says %+v", tc.row, got)
		}
		if after := w.get(t, "vm1", fresh); after.Status != 200 {
			t.Errorf("%s: the request after the fault got %d, want 200", tc.row, after.Status)
		}
	}
}

func TestAFaultCanAskForAnyRow(t *testing.T) {
	for _, row := range rows {
		w := newWorld(t)
		w.edge.Faults.Add(fault.Rule{Op: "imds.token", Do: fault.Refuse(row.name)})
		if resp := w.get(t, "vm1", fresh); resp.Status != row.status {
			t.Errorf("%s: %d, want %d", row.name, resp.Status, row.status)
		}
	}
	if _, ok := newWorld(t).Refuse(&edge.Request{}, "no-such-row"); ok {
		t.Error("Refuse claims to have a row that does not exist")
	}
}

func TestEveryRowHasATestASourceAndAGrade(t *testing.T) {
	tested := map[string]int{"entra-failed": 1, "too-large": 1, "signing-failed": 1, "start-requests": 1, "event-unknown": 1,
		"cred-api-version": 1, "attestation-missing": 1, "csr": 1, "credential-failed": 1} // by the tests of their names above
	for _, tc := range provocations {
		tested[tc.row]++
	}
	for _, tc := range faulted {
		tested[tc.row]++
	}
	seen := map[string]bool{}
	for _, row := range rows {
		if tested[row.name] == 0 || row.source == "" || row.fidelity == "" || seen[row.name] {
			t.Errorf("row %q: %d tests, source %q, fidelity %q, seen before: %v", row.name, tested[row.name], row.source, row.fidelity, seen[row.name])
		}
		if row.body == "" && (row.code == "" || row.text == "") {
			t.Errorf("row %q has neither a body nor a code and a text", row.name)
		}
		if row.body != "" && row.contentType == "" && !json.Valid([]byte(row.body)) {
			t.Errorf("row %q: the body is not JSON", row.name)
		}
		seen[row.name] = true
		delete(tested, row.name)
	}
	if len(tested) > 0 {
		t.Errorf("tests for rows that do not exist: %v", tested)
	}
}
