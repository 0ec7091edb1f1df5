package fakeentra_test

import (
	"crypto/sha1"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/fixtures"
)

// names returns the names of variables, in order.
func names(env []string) string {
	var out []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func TestAHostHasTheVariablesOfItsSource(t *testing.T) {
	w := fakeentra.Start(t)
	for _, tc := range []struct {
		source          fakeentra.Source
		endpoint, names string
	}{
		{fakeentra.IMDS, "", ""},
		{fakeentra.AppService, "127.0.0.1:41741", "IDENTITY_ENDPOINT IDENTITY_HEADER MSI_ENDPOINT MSI_SECRET"},
		{fakeentra.Functions, "127.0.0.1:41741", "IDENTITY_ENDPOINT IDENTITY_HEADER MSI_ENDPOINT MSI_SECRET"},
		{fakeentra.ContainerApps, "localhost:42356", "IDENTITY_ENDPOINT IDENTITY_HEADER MSI_ENDPOINT MSI_SECRET"},
		{fakeentra.Arc, "localhost:40342", "IDENTITY_ENDPOINT IMDS_ENDPOINT"},
		{fakeentra.ServiceFabric, "localhost:2377", "IDENTITY_ENDPOINT IDENTITY_HEADER IDENTITY_API_VERSION IDENTITY_SERVER_THUMBPRINT"},
		{fakeentra.CloudShell, "localhost:50342", "MSI_ENDPOINT"},
		{fakeentra.AzureML, "127.0.0.1:46808", "MSI_ENDPOINT MSI_SECRET"},
		{fakeentra.NoSource, "", ""},
	} {
		h := w.AddHost("on-"+string(tc.source), tc.source)
		if got := names(h.Variables()); h.Endpoint() != tc.endpoint || got != tc.names {
			t.Errorf("%s: endpoint %q with %q, want %q with %q", tc.source, h.Endpoint(), got, tc.endpoint, tc.names)
		}
	}
}

func TestVariablesNameTheListenerThatTheyAreAskedFor(t *testing.T) {
	h := fakeentra.Start(t).AddHost("box", fakeentra.Arc)
	want := []string{"IDENTITY_ENDPOINT=http://127.0.0.1:8080/metadata/identity/oauth2/token", "IMDS_ENDPOINT=http://127.0.0.1:8080"}
	if diff := cmp.Diff(want, h.VariablesAt("http://0.0.0.0:8080")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Node.js does not pin certificates by their thumbprint.
func TestClientsCanTrustTheEndpointAtServiceFabric(t *testing.T) {
	w := fakeentra.Start(t)
	w.AddHost("vm1", fakeentra.IMDS)
	if got := strings.Count(string(w.CAPEM()), "BEGIN CERTIFICATE"); got != 1 {
		t.Errorf("%d certificates without Service Fabric, want 1", got)
	}
	h := w.AddHost("fabric", fakeentra.ServiceFabric)
	_, rest := pem.Decode(w.CAPEM())
	own, _ := pem.Decode(rest)
	if own == nil {
		t.Fatal("the certificate of the endpoint is missing")
	}
	want := fmt.Sprintf("IDENTITY_SERVER_THUMBPRINT=%X", sha1.Sum(own.Bytes))
	if got := h.Variables(); got[len(got)-1] != want {
		t.Errorf("variables %v, want %s", got, want)
	}
}

// What the scenario says of a host shows at its endpoint.
func TestAScenarioSaysWhatAnEndpointIsLike(t *testing.T) {
	file, err := fixtures.Scenarios.ReadFile("scenarios/every-source.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := fakeentra.Start(t, fakeentra.WithScenario(append(file, "\nclock: 2030-01-02T03:04:05Z\n"...)))
	for name, want := range map[string]string{"web": `"expires_on":"01/03/2030 03:04:`, "old-web": `"expires_on":"1/3/2030 3:04:`} {
		h := w.Host(name)
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:41741/msi/token?api-version=2017-09-01&resource=api://AzureADTokenExchange&clientid=44444444-4444-4444-4444-444444444444", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, secret, _ := strings.Cut(h.Variables()[3], "=") // MSI_SECRET
		req.Header.Set("Secret", secret)
		resp, err := h.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if _ = resp.Body.Close(); err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s (%v), want %s", name, body, err, want)
		}
	}
}
