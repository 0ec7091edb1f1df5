package imds

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/environment"
	"github.com/fakeentra/fakeentra/internal/ident"
)

// A Machine is what the Instance Metadata Service tells of a virtual machine
// besides its name and its resource ID. Everything has a default; what has none
// is empty, as IMDS has it for what does not apply.
type Machine struct {
	Location string // a region; westeurope, usgovvirginia or chinaeast2, by the cloud, if empty
	Size     string // Standard_D2s_v5 if empty
	OS       string // Linux if empty, or Windows
	Zone     string // availability zone, such as 1
	Tags     []Tag  // in the order in which IMDS shall list them
	UserData string // base64
	PublicIP string // of Standard SKU, so that it shows in load balancer metadata only

	// RateLimits makes IMDS refuse requests with 429 that are more than it
	// documents: 5 a second, and of tokens 20 a second and 5 at the same time.
	RateLimits bool
	// IMDSv2 lets clients get a certificate, to which tokens are bound that the
	// token service hands out over mutual TLS.
	IMDSv2 bool
}

// A Tag is a tag of a virtual machine.
type Tag struct{ Name, Value string }

// check returns what is wrong with a description.
func (m Machine) check() error {
	if m.OS != "" && m.OS != "Linux" && m.OS != "Windows" {
		return fmt.Errorf("the operating system %q; expected Linux or Windows", m.OS)
	}
	if _, err := base64.StdEncoding.DecodeString(m.UserData); err != nil {
		return fmt.Errorf("the user data is not base64 (%w); expected what Azure Resource Manager takes", err)
	}
	if _, err := netip.ParseAddr(m.PublicIP); err != nil && m.PublicIP != "" {
		return fmt.Errorf("the public address %q; expected an IP address such as 203.0.113.4", m.PublicIP)
	}
	return nil
}

// regions are the values of azEnvironment (imds), and a region that each of the
// clouds has.
var regions = map[string]struct{ environment, location string }{
	environment.Public.Name:       {"AzurePublicCloud", "westeurope"},
	environment.USGovernment.Name: {"AzureUSGovernmentCloud", "usgovvirginia"},
	environment.China.Name:        {"AzureChinaCloud", "chinaeast2"},
}

// azEnvironment is the name that IMDS has for the host's national cloud.
func (h Host) azEnvironment() string {
	return regions[cmp.Or(h.Environment.Name, environment.Public.Name)].environment
}

// location is the region of the host.
func (h Host) location() string {
	return cmp.Or(h.Machine.Location, regions[cmp.Or(h.Environment.Name, environment.Public.Name)].location)
}

// vmID is derived from the resource ID, so that it is the same in every run.
func (h Host) vmID() string {
	return ident.GUID("vmId", strings.ToLower(string(h.ResourceID)), h.Name)
}

// privateIP is the first address that Azure gives away in a network.
const privateIP = "10.0.0.4"

// macAddress has the prefix of Azure's network adapters; the rest is derived.
func (h Host) macAddress() string {
	return "000D3A" + strings.ToUpper(h.vmID()[:6])
}

// segmentAfter returns the segment of a resource ID that follows the one called
// name, or "".
func segmentAfter(id, name string) string {
	segments := strings.Split(id, "/")
	for i, s := range segments[:len(segments)-1] {
		if strings.EqualFold(s, name) {
			return segments[i+1]
		}
	}
	return ""
}

func (h Host) subscription() string { return segmentAfter(string(h.ResourceID), "subscriptions") }

// joinedTags is the value of tags (imds): semicolons in tags are not escaped.
func (h Host) joinedTags() string {
	all := make([]string, len(h.Machine.Tags))
	for i, t := range h.Machine.Tags {
		all[i] = t.Name + ":" + t.Value
	}
	return strings.Join(all, ";")
}
