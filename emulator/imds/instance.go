package imds

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// instance is the document that instance metadata is. Members, versions and
// order are those of imds; a recorded answer in
// hashicorp/terraform-azurerm-consul#38 confirms them for 2017-08-01. What
// depends on an image from the gallery is empty, as for a custom image.
func (h Host) instance() object {
	return object{
		{"compute", "", h.compute()},
		{"network", "", object{{"interface", "", list{h.networkInterface()}}}},
	}
}

func (h Host) compute() object {
	return object{
		{"additionalCapabilities", "2021-11-01", object{{"hibernationEnabled", "", "false"}}},
		{"azEnvironment", "2018-10-01", h.azEnvironment()},
		{"customData", "2019-02-01", ""}, // disabled (imds)
		{"evictionPolicy", "2020-12-01", ""},
		{"extendedLocation", "2021-03-01", object{{"name", "", ""}, {"type", "", ""}}},
		{"host", "2021-11-15", object{{"id", "", ""}}},
		{"hostGroup", "2021-11-15", object{{"id", "", ""}}},
		{"isHostCompatibilityLayerVm", "2020-06-01", "false"},
		{"licenseType", "2020-09-01", ""},
		{"location", "", h.location()},
		{"name", "", h.Name},
		{"offer", "", ""},
		{"osProfile", "2020-07-15", h.osProfile()},
		{"osType", "", h.os()},
		{"physicalZone", "2023-11-15", ""},
		{"placementGroupId", "2017-08-01", ""},
		{"plan", "2018-04-02", plan()},
		{"platformFaultDomain", "", "0"},
		{"platformSubFaultDomain", "2021-10-01", ""},
		{"platformUpdateDomain", "", "0"},
		{"priority", "2020-12-01", ""},
		{"provider", "2018-10-01", "Microsoft.Compute"},
		{"publicKeys", "2018-04-02", list{}},
		{"publisher", "", ""},
		{"resourceGroupName", "2017-08-01", segmentAfter(string(h.ResourceID), "resourceGroups")},
		{"resourceId", "2019-03-11", string(h.ResourceID)},
		{"securityProfile", "2020-06-01", securityProfile()},
		{"sku", "", ""},
		{"storageProfile", "2019-06-01", h.storageProfile()},
		{"subscriptionId", "2017-08-01", h.subscription()},
		{"tags", "2017-08-01", h.joinedTags()},
		{"tagsList", "2019-06-04", h.tagsList()},
		{"userData", "2021-01-01", h.Machine.UserData},
		{"version", "", ""},
		{"virtualMachineScaleSet", "2021-03-01", object{{"id", "", ""}}},
		{"vmId", "", h.vmID()},
		{"vmScaleSetName", "2017-12-01", ""},
		{"vmSize", "", cmp.Or(h.Machine.Size, "Standard_D2s_v5")},
		{"zone", "2017-12-01", h.Machine.Zone},
	}
}

func (h Host) os() string { return cmp.Or(h.Machine.OS, "Linux") }

// osProfile has an account name that Azure's own samples use.
func (h Host) osProfile() object {
	keysOnly := "true"
	if h.os() == "Windows" {
		keysOnly = "" // for Linux only (swagger)
	}
	return object{
		{"adminUsername", "", "azureuser"},
		{"computerName", "", h.Name},
		{"disablePasswordAuthentication", "2020-10-01", keysOnly},
	}
}

func plan() object {
	return object{{"name", "", ""}, {"product", "", ""}, {"publisher", "", ""}}
}

func securityProfile() object {
	return object{
		{"encryptionAtHost", "2021-11-01", "false"},
		{"secureBootEnabled", "", "false"},
		{"securityType", "2021-12-13", ""},
		{"virtualTpmEnabled", "", "false"},
	}
}

// storageProfile is that of one disk of 30 GB, and of no temporary one.
func (h Host) storageProfile() object {
	return object{
		{"dataDisks", "", list{}},
		{"imageReference", "", object{
			{"communityGalleryImageId", "2023-07-01", ""}, {"exactVersion", "2023-07-01", ""},
			{"id", "", ""}, {"offer", "", ""}, {"publisher", "", ""},
			{"sharedGalleryImageId", "2023-07-01", ""}, {"sku", "", ""}, {"version", "", ""},
		}},
		{"osDisk", "", object{
			{"caching", "", "ReadWrite"},
			{"createOption", "", "FromImage"},
			{"diffDiskSettings", "", object{{"option", "", ""}}},
			{"diskSizeGB", "", "30"},
			{"encryptionSettings", "", encryptionSettings()},
			{"image", "", object{{"uri", "", ""}}},
			{"managedDisk", "", object{{"id", "", ""}, {"storageAccountType", "", ""}}},
			{"name", "", h.Name + "_OsDisk_1"},
			{"osType", "", h.os()},
			{"vhd", "", object{{"uri", "", ""}}},
			{"writeAcceleratorEnabled", "", "false"},
		}},
		{"resourceDisk", "2021-02-01", object{{"size", "", "0"}}},
	}
}

func encryptionSettings() object {
	vault := object{{"id", "", ""}}
	return object{
		{"diskEncryptionKey", "2021-11-01", object{{"secretUrl", "", ""}, {"sourceVault", "", vault}}},
		{"enabled", "", "false"},
		{"keyEncryptionKey", "2021-11-01", object{{"keyUrl", "", ""}, {"sourceVault", "", vault}}},
	}
}

func (h Host) tagsList() list {
	out := make(list, 0, len(h.Machine.Tags))
	for _, t := range h.Machine.Tags {
		out = append(out, object{{"name", "", t.Name}, {"value", "", t.Value}})
	}
	return out
}

// networkInterface has no public address: those of Standard SKU show in load
// balancer metadata instead (imds).
func (h Host) networkInterface() object {
	return object{
		{"ipv4", "", object{
			{"ipAddress", "", list{object{{"privateIpAddress", "", privateIP}, {"publicIpAddress", "", ""}}}},
			{"subnet", "", list{object{{"address", "", "10.0.0.0"}, {"prefix", "", "24"}}}},
		}},
		{"ipv6", "", object{{"ipAddress", "", list{}}}},
		{"macAddress", "", h.macAddress()},
	}
}

// instance answers with instance metadata, or with the part of it that the path
// leads to.
func (s *Service) instance(r *edge.Request) (edge.Response, *refusal) {
	query, no := versioned(r, since(instanceSince))
	if no != nil {
		return edge.Response{}, no
	}
	host, _ := s.Host(r.Caller.Host)
	version := query.Get("api-version")
	part, ok := find(host.instance(), segments(r.Vars["path"]), version)
	if !ok {
		return edge.Response{}, because("not-found", "instance metadata of %s has no %q in version %s; list what there is by leaving out the end of the path, with format=text", host.Name, r.Vars["path"], version)
	}
	return show(r, part, query)
}

func segments(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// show renders a part of a document in the format that the query asks for.
// Leaves have none but text (MicrosoftDocs/azure-docs#15283).
func show(r *edge.Request, part any, query url.Values) (edge.Response, *refusal) {
	version := query.Get("api-version")
	_, leaf := part.(string)
	switch format := strings.ToLower(query.Get("format")); {
	case format == "text":
		resp := edge.Response{Status: http.StatusOK, Header: headers(r), Body: []byte(asText(part, version))}
		resp.Header.Set("Content-Type", "text/plain; charset=utf-8")
		return resp, nil
	case format != "json" && format != "":
		return edge.Response{}, because("format", "format is %q; expected json or text", format)
	case leaf:
		return edge.Response{}, because("leaf-format", "%s is a single value, which has no JSON form; add format=text", r.URL.Path)
	}
	return answerJSON(r, appendJSON(nil, part, version)), nil
}
