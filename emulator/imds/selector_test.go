package imds

import (
	"strings"
	"testing"
)

func TestAnIdentityIsSelectedByAnyOfItsIdentifiers(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct{ host, query, want string }{
		{"crowded", "client_id=" + string(agentClient), "build-agent"},
		{"crowded", "client_id=" + strings.ToUpper(string(deployerClient)), "deployer"},
		{"crowded", "object_id=" + strings.ToUpper(string(agentPrincipal)), "build-agent"},
		{"crowded", "msi_res_id=" + strings.ToUpper(string(agentResource)), "build-agent"},
		{"system", "client_id=" + string(systemClient), "system-vm"},
		{"system", "client_id=" + string(agentClient), "build-agent"},
		{"system", "", "system-vm"},
		{"vm1", "", "build-agent"},
	} {
		resp := w.get(t, tc.host, fresh+"&"+tc.query)
		if got := w.last().Facts[0].Value; resp.Status != 200 || got != tc.want {
			t.Errorf("%s?%s: %d %s, want 200 %s", tc.host, tc.query, resp.Status, got, tc.want)
		}
	}
}

func TestTheJournalSaysWhyNoIdentityWasFound(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct{ name, host, query, want string }{
		{"not assigned", "vm1", "client_id=" + string(deployerClient),
			"client_id=44444444-aaaa-4bbb-8ccc-000000000004 is the client ID of deployer, which is not assigned to vm1; assign it, or select another one; vm1 has build-agent (client_id 33333333-3333-3333-3333-333333333333)"},
		{"principal ID as client_id", "vm1", "client_id=" + string(agentPrincipal),
			"client_id=33333333-aaaa-4bbb-8ccc-000000000003 is the principal ID of build-agent, not its client ID; send it as object_id; vm1 has build-agent (client_id 33333333-3333-3333-3333-333333333333)"},
		{"client ID as object_id", "vm1", "object_id=" + string(agentClient),
			"object_id=33333333-3333-3333-3333-333333333333 is the client ID of build-agent, not its principal ID; send it as client_id; vm1 has build-agent (client_id 33333333-3333-3333-3333-333333333333)"},
		{"tenant ID", "empty", "client_id=" + string(contoso),
			"client_id=11111111-aaaa-4bbb-8ccc-000000000001 is the tenant ID of contoso, which is not assigned to empty; assign it, or select another one; empty has no managed identity"},
		{"unknown", "vm1", "msi_res_id=/subscriptions/x",
			"msi_res_id=/subscriptions/x stands for nothing that the directory knows or that is assigned to vm1; vm1 has build-agent (client_id 33333333-3333-3333-3333-333333333333)"},
		{"empty selector", "vm1", "client_id=",
			"client_id is empty; leave it out to ask for the default identity; vm1 has build-agent (client_id 33333333-3333-3333-3333-333333333333)"},
		{"empty resource ID", "crowded", "msi_res_id=",
			"msi_res_id is empty; leave it out to ask for the default identity; crowded has build-agent (client_id 33333333-3333-3333-3333-333333333333), deployer (client_id 44444444-aaaa-4bbb-8ccc-000000000004)"},
		{"no identity", "empty", "", "empty has no managed identity; assign one to it"},
	} {
		resp := w.get(t, tc.host, fresh+"&"+tc.query)
		if got := w.last().Decision; resp.Status != 400 || got.Code != "identity-not-found" || got.Why != tc.want {
			t.Errorf("%s: %d %s: %s\nwant %s", tc.name, resp.Status, got.Code, got.Why, tc.want)
		}
	}
}
