package imds

import "testing"

func TestLoadBalancerMetadataShowsThePublicAddress(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddHost(described))
	resp := w.get(t, "web", "http://169.254.169.254/metadata/loadbalancer?api-version=2020-10-01")
	want := `{"loadbalancer":{"publicIpAddresses":[{"frontendIpAddress":"203.0.113.4","privateIpAddress":"10.0.0.4"}],"inboundRules":[],"outboundRules":[]}}`
	if got := string(resp.Body); resp.Status != 200 || got != want {
		t.Errorf("%d %s\nwant %s", resp.Status, got, want)
	}
}
