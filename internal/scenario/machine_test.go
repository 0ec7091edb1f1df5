package scenario

import (
	"testing"
	"time"
)

func TestMachinesAndTheirEventsArriveInTheScenario(t *testing.T) {
	s := parsed(t, `fakeentra: 1
hosts:
  web:
    source: imds
    machine: {location: northeurope, size: Standard_A3, os: Windows, zone: 3, tags: {Department: IT, Number: 12}, user-data: Zm9vYmFy, public-ip: 203.0.113.4}
    rate-limits: true
    imdsv2: true
    scheduled-events:
      - {type: Reboot, in: 20m, description: Host server is undergoing maintenance., source: User, duration: 9s}
      - {type: Freeze}
      - {type: Redeploy, duration: 0s}
  node: {source: aks, machine: {location: westus}}
`)
	equal(t, "the machine", s.Hosts[0].Machine, Machine{
		Location: "northeurope", Size: "Standard_A3", OS: "Windows", Zone: "3", Tags: []Tag{{"Department", "IT"}, {"Number", "12"}},
		UserData: "Zm9vYmFy", PublicIP: "203.0.113.4", RateLimits: true, IMDSv2: true,
	})
	equal(t, "the events", s.Hosts[0].Events, []ScheduledEvent{
		{Type: "Reboot", In: 20 * time.Minute, Description: "Host server is undergoing maintenance.", Source: "User", Seconds: 9},
		{Type: "Freeze", Seconds: -1},
		{Type: "Redeploy"},
	})
	equal(t, "the node", s.Hosts[1].Machine, Machine{Location: "westus"})
}

func TestProblemsWithMachines(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"not a region":          {"fakeentra: 1\nhosts:\n  web: {source: imds, machine: {location: West Europe}}", `f.yaml:3: location is "West Europe"; expected a region such as westeurope`},
		"no operating system":   {"fakeentra: 1\nhosts:\n  web: {source: imds, machine: {os: linux}}", `f.yaml:3: os is "linux"; expected Linux or Windows`},
		"not base64":            {"fakeentra: 1\nhosts:\n  web: {source: imds, machine: {user-data: '#!/bin/sh'}}", `f.yaml:3: user-data is "#!/bin/sh"; expected base64`},
		"not an address":        {"fakeentra: 1\nhosts:\n  web: {source: imds, machine: {public-ip: 203.0.113}}", `f.yaml:3: public-ip is "203.0.113"; expected an IP address such as 203.0.113.4`},
		"no type":               {"fakeentra: 1\nhosts:\n  web: {source: imds, scheduled-events: [{in: 1m}]}", `f.yaml:3: scheduled-events[0] has no "type"; expected Freeze, Reboot, Redeploy, Preempt or Terminate`},
		"a laptop's rate":       {"fakeentra: 1\nhosts:\n  web: {source: none, rate-limits: true}", `f.yaml:3: rate-limits is said of a host where no metadata service answers; expected source: imds, servicefabric or aks`},
		"a web app's machine":   {"fakeentra: 1\nhosts:\n  web: {source: appservice, machine: {zone: 1}}", `f.yaml:3: machine is said of a host where no metadata service answers; expected source: imds, servicefabric or aks`},
		"a runner's event":      {"fakeentra: 1\nhosts:\n  web: {source: github, scheduled-events: []}", `f.yaml:3: scheduled-events is said of a host where no metadata service answers; expected source: imds, servicefabric or aks`},
		"a key that is unknown": {"fakeentra: 1\nhosts:\n  web: {source: imds, machine: {region: westus}}", `f.yaml:3: unknown key "region"; expected one of: location, size, os, zone, tags, user-data, public-ip`},
	} {
		t.Run(name, func(t *testing.T) { refused(t, tc.in, tc.want) })
	}
}
