package fakeentra_test

import (
	"crypto/sha1"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
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
