package imds

import (
	"testing"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/ident"
)

func TestInstanceMetadataDescribesTheHost(t *testing.T) {
	w := newWorld(t)
	const id = "/subscriptions/77777777-aaaa-4bbb-8ccc-000000000007/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/vm1"
	vmID := ident.GUID("vmId", "/subscriptions/77777777-aaaa-4bbb-8ccc-000000000007/resourcegroups/rg1/providers/microsoft.compute/virtualmachines/vm1", "vm1")
	compute := `{"azEnvironment":"AzurePublicCloud","location":"westeurope","name":"vm1","provider":"Microsoft.Compute","resourceGroupName":"rg1","resourceId":"` + id +
		`","subscriptionId":"77777777-aaaa-4bbb-8ccc-000000000007","vmId":"` + vmID + `"}`
	for path, want := range map[string]string{
		"/metadata/instance/compute?api-version=2017-08-01&format=json": compute,
		"/metadata/instance?api-version=2021-02-01":                     `{"compute":` + compute + `,"network":{"interface":[]}}`,
	} {
		if resp := w.get(t, "vm1", "http://169.254.169.254"+path); resp.Status != 200 || string(resp.Body) != want {
			t.Errorf("%s: %d %s\nwant %s", path, resp.Status, resp.Body, want)
		}
	}
}

func TestAHostOutsideAzureHasNoSubscription(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddHost(Host{Name: "bare", Source: IMDS}))
	got := members(t, w.get(t, "bare", "http://169.254.169.254/metadata/instance/compute?api-version=2021-02-01").Body)
	if got["subscriptionId"] != "" || got["resourceGroupName"] != "" || got["resourceId"] != "" || !ident.IsGUID(got["vmId"]) {
		t.Fatalf("got %v", got)
	}
}

func TestInstanceMetadataNamesTheNationalCloud(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		cloud environment.Environment
		want  string
	}{
		{environment.Public, "AzurePublicCloud"},
		{environment.USGovernment, "AzureUSGovernmentCloud"},
		{environment.China, "AzureChinaCloud"},
	} {
		must(t, w.AddHost(Host{Name: tc.cloud.Name, Source: IMDS, Environment: tc.cloud, ResourceID: "/subscriptions/s1/resourcegroups/RG2/providers"}))
		resp := w.get(t, tc.cloud.Name, "http://169.254.169.254/metadata/instance/compute?api-version=2021-02-01")
		if got := members(t, resp.Body); got["azEnvironment"] != tc.want || got["subscriptionId"] != "s1" || got["resourceGroupName"] != "RG2" {
			t.Errorf("%s: %s, want azEnvironment %s, subscription s1 and resource group RG2", tc.cloud.Name, resp.Body, tc.want)
		}
	}
}
