package imds

import (
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

func TestHostsAreListedByName(t *testing.T) {
	var got []string
	for _, h := range newWorld(t).Hosts() {
		got = append(got, h.Name)
	}
	if want := "crowded empty laptop system vm1"; strings.Join(got, " ") != want {
		t.Fatalf("hosts %v, want %s", got, want)
	}
}

func TestHostsThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		host Host
		want string
	}{
		{Host{Name: "vm1", Source: IMDS}, "belongs to another host"},
		{Host{Source: IMDS}, "empty"},
		{Host{Name: "web", Source: "appservise"}, `no source "appservise"`},
	} {
		if err := w.AddHost(tc.host); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("AddHost(%+v) = %v, want an error about %q", tc.host, err, tc.want)
		}
	}
}

func TestAssignmentsThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t)
	const stranger, second = "99999999-aaaa-4bbb-8ccc-000000000009", "99999999-aaaa-4bbb-8ccc-00000000000a"
	must(t, w.directory.AddManagedIdentity(directory.ManagedIdentity{Name: "stranger", Tenant: "99999999-aaaa-4bbb-8ccc-0000000000ff", ClientID: stranger, ObjectID: "s"}))
	must(t, w.directory.AddManagedIdentity(directory.ManagedIdentity{Name: "second", Tenant: contoso, ClientID: second, ObjectID: "o", Kind: directory.SystemAssigned}))
	must(t, w.AddHost(Host{Name: "shell", Source: CloudShell}))
	must(t, w.Assign("shell", deployerClient))
	for _, tc := range []struct {
		host string
		id   directory.ClientID
		want string
	}{
		{"vm2", agentClient, `no host "vm2"`},
		{"vm1", "00000000-0000-0000-0000-000000000000", "no managed identity with the client ID"},
		{"vm1", stranger, "within a tenant only"},
		{"vm1", systemClient, `system-assigned identity of the host "system"`},
		{"shell", agentClient, "which has one user"},
		{"system", second, `has the system-assigned identity "system-vm" already`},
	} {
		if err := w.Assign(tc.host, tc.id); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Assign(%s, %s) = %v, want an error about %q", tc.host, tc.id, err, tc.want)
		}
	}
}

func TestAssigningTwiceChangesNothing(t *testing.T) {
	w := newWorld(t)
	must(t, w.Assign("vm1", directory.ClientID(strings.ToUpper(string(agentClient)))))
	if got := w.Assigned("vm1"); len(got) != 1 || got[0].Name != "build-agent" {
		t.Fatalf("assigned: %+v, want build-agent once", got)
	}
}

func TestResetForgetsHostsAndTokens(t *testing.T) {
	w := newWorld(t)
	before := members(t, w.get(t, "vm1", fresh).Body)["access_token"]
	w.Reset()
	if resp := w.get(t, "vm1", fresh); len(w.Hosts()) != 0 || resp.Status != 404 {
		t.Fatalf("after Reset: %d hosts, status %d; want 0, 404", len(w.Hosts()), resp.Status)
	}
	w.populate(t)
	if after := members(t, w.get(t, "vm1", fresh).Body)["access_token"]; after == before {
		t.Fatal("a token survived Reset")
	}
}
