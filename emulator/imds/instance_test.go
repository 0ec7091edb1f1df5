package imds

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/ident"
	"github.com/google/go-cmp/cmp"
)

const (
	instanceURL = "http://169.254.169.254/metadata/instance"
	vm1Resource = "/subscriptions/77777777-aaaa-4bbb-8ccc-000000000007/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/vm1"
)

// described is a host about which everything that can be said is said.
var described = Host{
	Name: "web", Source: IMDS, ResourceID: "/subscriptions/s1/resourcegroups/RG2/providers/Microsoft.Compute/virtualMachines/web",
	Machine: Machine{Location: "northeurope", Size: "Standard_A3", OS: "Windows", Zone: "3", UserData: "Zm9vYmFy", PublicIP: "203.0.113.4",
		Tags: []Tag{{"Department", "IT"}, {"ReferenceNumber", "123456"}}},
}

// The answer recorded in hashicorp/terraform-azurerm-consul#38 has these members
// in this order; the values are those of another machine.
func TestInstanceMetadataReadsAsRecorded(t *testing.T) {
	w := newWorld(t)
	vmID := ident.GUID("vmId", strings.ToLower(vm1Resource), "vm1")
	want := `{"compute":{"location":"westeurope","name":"vm1","offer":"","osType":"Linux","placementGroupId":"","platformFaultDomain":"0","platformUpdateDomain":"0",` +
		`"publisher":"","resourceGroupName":"rg1","sku":"","subscriptionId":"77777777-aaaa-4bbb-8ccc-000000000007","tags":"","version":"","vmId":"` + vmID + `","vmSize":"Standard_D2s_v5"},` +
		`"network":{"interface":[{"ipv4":{"ipAddress":[{"privateIpAddress":"10.0.0.4","publicIpAddress":""}],"subnet":[{"address":"10.0.0.0","prefix":"24"}]},` +
		`"ipv6":{"ipAddress":[]},"macAddress":"000D3A` + strings.ToUpper(vmID[:6]) + `"}]}}`
	resp := w.get(t, "vm1", instanceURL+"?api-version=2017-08-01")
	if diff := cmp.Diff(want, string(resp.Body)); diff != "" || resp.Status != 200 {
		t.Errorf("%d (-want +got):\n%s", resp.Status, diff)
	}
}

func TestInstanceMetadataTellsWhatWasSaidOfTheHost(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddHost(described))
	for path, want := range map[string]string{
		"/compute/location":                                "northeurope",
		"/compute/vmSize":                                  "Standard_A3",
		"/compute/osType":                                  "Windows",
		"/compute/zone":                                    "3",
		"/compute/userData":                                "Zm9vYmFy",
		"/compute/tags":                                    "Department:IT;ReferenceNumber:123456",
		"/compute/tagsList/1/value":                        "123456",
		"/compute/resourceGroupName":                       "RG2",
		"/compute/subscriptionId":                          "s1",
		"/compute/osProfile/computerName":                  "web",
		"/compute/osProfile/disablePasswordAuthentication": "",
		"/Compute/VMID/":                                   ident.GUID("vmId", strings.ToLower(string(described.ResourceID)), "web"),
		"/network/interface/0/ipv4/ipAddress/0/privateIpAddress":    "10.0.0.4",
		"/network/interface/0/ipv4/ipAddress/0/publicIpAddress":     "",
		"/compute/storageProfile/osDisk/encryptionSettings/enabled": "false",
	} {
		resp := w.get(t, "web", instanceURL+path+"?api-version=2025-04-07&format=text")
		if got := string(resp.Body); resp.Status != 200 || got != want || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %d %q %v, want %q as text", path, resp.Status, got, resp.Header["Content-Type"], want)
		}
	}
}

func TestPartsOfInstanceMetadataHaveTheirOwnPaths(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddHost(described))
	for _, tc := range []struct{ path, want string }{
		{"/compute/tagsList?api-version=2019-06-04", `[{"name":"Department","value":"IT"},{"name":"ReferenceNumber","value":"123456"}]`},
		{"/compute/tagsList/0?api-version=2019-06-04&format=json", `{"name":"Department","value":"IT"}`},
		{"/compute/plan?api-version=2018-04-02", `{"name":"","product":"","publisher":""}`},
		{"/compute/osProfile?api-version=2020-07-15", `{"adminUsername":"azureuser","computerName":"web"}`},
		{"/network/interface/0/ipv6?api-version=2017-04-02", `{"ipAddress":[]}`},
		{"?api-version=2017-03-01&format=text", "compute/\nnetwork/"},
		{"/compute/tagsList?api-version=2025-04-07&format=text", "0/\n1/"},
		{"/network/interface/0?api-version=2025-04-07&format=Text", "ipv4/\nipv6/\nmacAddress"},
		{"/compute/publicKeys?api-version=2025-04-07&format=text", ""},
	} {
		if resp := w.get(t, "web", instanceURL+tc.path); resp.Status != 200 || string(resp.Body) != tc.want {
			t.Errorf("%s: %d %s\nwant %s", tc.path, resp.Status, resp.Body, tc.want)
		}
	}
}

// The table of imds says which version introduced what.
func TestMembersComeWithTheirVersion(t *testing.T) {
	w := newWorld(t)
	for path, first := range map[string]string{
		"/compute/azEnvironment":                                      "2018-10-01",
		"/compute/provider":                                           "2018-10-01",
		"/compute/resourceId":                                         "2019-03-11",
		"/compute/storageProfile/imageReference/id":                   "2019-06-01",
		"/compute/securityProfile/secureBootEnabled":                  "2020-06-01",
		"/compute/osProfile/disablePasswordAuthentication":            "2020-10-01",
		"/compute/userData":                                           "2021-01-01",
		"/compute/storageProfile/resourceDisk/size":                   "2021-02-01",
		"/compute/extendedLocation/name":                              "2021-03-01",
		"/compute/platformSubFaultDomain":                             "2021-10-01",
		"/compute/additionalCapabilities/hibernationEnabled":          "2021-11-01",
		"/compute/hostGroup/id":                                       "2021-11-15",
		"/compute/securityProfile/securityType":                       "2021-12-13",
		"/compute/storageProfile/imageReference/sharedGalleryImageId": "2023-07-01",
		"/compute/physicalZone":                                       "2023-11-15",
	} {
		before := versions[slices.Index(versions, first)-1]
		if got := w.get(t, "vm1", instanceURL+path+"?format=text&api-version="+before).Status; got != 404 {
			t.Errorf("%s in version %s: %d, want 404", path, before, got)
		}
		if got := w.get(t, "vm1", instanceURL+path+"?format=text&api-version="+first).Status; got != 200 {
			t.Errorf("%s in version %s: %d, want 200", path, first, got)
		}
	}
}

// MSAL Go 1.10 and MSAL.NET 4.87 find their region so.
func TestRegionDiscoveryFindsTheRegion(t *testing.T) {
	w := newWorld(t)
	resp := w.get(t, "vm1", instanceURL+"/compute?api-version=2021-02-01")
	var got struct {
		Location      string `json:"location"`
		AzEnvironment string `json:"azEnvironment"`
	}
	if err := json.Unmarshal(resp.Body, &got); err != nil || resp.Status != http.StatusOK || got.Location != "westeurope" || got.AzEnvironment != "AzurePublicCloud" {
		t.Fatalf("%d %+v, %v", resp.Status, got, err)
	}
}

func TestInstanceMetadataNamesTheNationalCloud(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		cloud      environment.Environment
		name, home string
	}{
		{environment.Public, "AzurePublicCloud", "westeurope"},
		{environment.USGovernment, "AzureUSGovernmentCloud", "usgovvirginia"},
		{environment.China, "AzureChinaCloud", "chinaeast2"},
	} {
		must(t, w.AddHost(Host{Name: tc.cloud.Name, Source: IMDS, Environment: tc.cloud}))
		for path, want := range map[string]string{"azEnvironment": tc.name, "location": tc.home, "subscriptionId": "", "resourceId": ""} {
			if got := string(w.get(t, tc.cloud.Name, instanceURL+"/compute/"+path+"?api-version=2021-02-01&format=text").Body); got != want {
				t.Errorf("%s: %s is %q, want %q", tc.cloud.Name, path, got, want)
			}
		}
	}
}

func TestMachinesThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t)
	for want, m := range map[string]Machine{
		"expected Linux or Windows": {OS: "linux"},
		"is not base64":             {UserData: "#!/bin/sh"},
		"expected an IP address":    {PublicIP: "203.0.113"},
	} {
		if err := w.AddHost(Host{Name: "odd", Source: IMDS, Machine: m}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %q", m, err, want)
		}
	}
}
