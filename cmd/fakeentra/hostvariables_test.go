package main

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVariablesOfHostsLeadIntoSandboxes(t *testing.T) {
	for _, tc := range []struct {
		given, door, want string
		ports             []int
	}{
		{"IDENTITY_ENDPOINT=http://127.0.0.1:4000/msi/token", "127.0.0.1:4000", "IDENTITY_ENDPOINT=http://127.0.0.1:4000/msi/token", []int{4000}},
		{"IDENTITY_ENDPOINT=http://10.0.0.5:4000/msi/token", "10.0.0.5:4000", "IDENTITY_ENDPOINT=http://127.0.0.1:4000/msi/token", []int{4000}},
		{"IDENTITY_ENDPOINT=https://0.0.0.0:4000/msi/token", "cloud.test:4000", "IDENTITY_ENDPOINT=https://127.0.0.1:4000/msi/token", []int{4000}},
		{"AZURE_KUBERNETES_TOKEN_PROXY=https://127.0.0.1:5000", "127.0.0.1:4000", "AZURE_KUBERNETES_TOKEN_PROXY=https://127.0.0.1:5000", []int{5000}},
		{"SYSTEM_OIDCREQUESTURI=https://dev.azure.com:4000/contoso", "127.0.0.1:4000", "SYSTEM_OIDCREQUESTURI=https://dev.azure.com:4000/contoso", nil},
		{"AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", "127.0.0.1:4000", "AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", nil},
		{"AZURE_FEDERATED_TOKEN_FILE=/tmp/token", "127.0.0.1:4000", "AZURE_FEDERATED_TOKEN_FILE=/tmp/token", nil},
		{"SYSTEM_ACCESSTOKEN=%%", "127.0.0.1:4000", "SYSTEM_ACCESSTOKEN=%%", nil},
	} {
		got, endpoints := hostVariables{tc.given}.inSandbox(tc.door)
		var ports []int
		for _, e := range endpoints {
			ports = append(ports, e.Port)
		}
		if diff := cmp.Diff([]string{tc.want}, got) + cmp.Diff(tc.ports, ports); diff != "" {
			t.Errorf("%s, door %s (-want +got):\n%s", tc.given, tc.door, diff)
		}
	}
}

func TestVariablesLeadToTheListenersOfTheCloud(t *testing.T) {
	for given, want := range map[string]string{
		"http://127.0.0.1:4000/": "cloud.test:4000", "http://localhost:4000/": "cloud.test:4000", "http://127.0.0.1:5000/": "127.0.0.1:5000",
		"http://cloud.test:4000/": "cloud.test:4000", "http://cloud.test:5000/": "", "https://login.microsoftonline.com/": "",
	} {
		u, err := url.Parse(given)
		if err != nil {
			t.Fatal(err)
		}
		if got := destination(u, "cloud.test:4000"); got != want {
			t.Errorf("%s leads to %q, want %q", given, got, want)
		}
	}
}
