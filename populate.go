package fakeentra

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/fakeentra/fakeentra/emulator/blob"
	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/imds"
	"github.com/fakeentra/fakeentra/emulator/issuer"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// populate loads the scenario file. The file was checked when it was read, but
// for the refusals that faults name: anything else that fails here is a mistake of
// this module.
func (c *Cloud) populate() error {
	s := c.scenario
	if s == nil {
		return nil
	}
	for _, step := range []func(*scenario.Scenario) error{c.loadTenants, c.loadServicePrincipals, c.loadIssuers, c.loadHosts, c.loadStorage, c.loadFaults} {
		err := step(s)
		if _, ok := errors.AsType[*scenario.Error](err); ok {
			return err
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// setClock sets the clock to what the scenario file says.
func (c *Cloud) setClock() {
	if s := c.scenario; s != nil && !s.Clock.IsZero() && c.adjustable != nil {
		c.adjustable.Set(s.Clock)
	}
}

func (c *Cloud) loadTenants(s *scenario.Scenario) error {
	for _, t := range s.Tenants {
		if err := c.addTenant(t.Name, directory.Tenant{ID: t.ID, Name: t.DisplayName, Domains: t.Domains, Policies: t.Policies}); err != nil {
			return err
		}
		for _, m := range t.ManagedIdentities {
			if err := c.addIdentity(directory.ManagedIdentity{Name: m.Name, Tenant: t.ID, ClientID: m.ClientID, ObjectID: m.PrincipalID,
				ResourceID: m.ResourceID, Kind: m.Kind, Federated: c.credentials(m.Federated)}); err != nil {
				return err
			}
		}
		for _, a := range t.Applications {
			if err := c.addApplication(directory.Application{Name: a.Name, Tenant: t.ID, ClientID: a.ClientID, ObjectID: a.ObjectID,
				MultiTenant: a.MultiTenant, Public: a.Public, Federated: c.credentials(a.Federated), Secrets: a.Secrets, Certificates: a.Certificates,
				IdentifierURIs: a.IdentifierURIs, TokenVersion: a.TokenVersion, AssignmentNeeded: a.AssignmentNeeded}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cloud) credentials(in []scenario.FederatedIdentityCredential) []directory.FederatedIdentityCredential {
	out := make([]directory.FederatedIdentityCredential, 0, len(in))
	for _, f := range in {
		out = append(out, f.Directory(c.Now()))
	}
	return out
}

func (c *Cloud) loadServicePrincipals(s *scenario.Scenario) error {
	for _, t := range s.Tenants {
		for _, a := range t.Applications {
			if a.ServicePrincipal != nil {
				c.putServicePrincipal(t.ID, *a.ServicePrincipal)
			}
		}
		for _, p := range t.ServicePrincipals {
			c.putServicePrincipal(t.ID, p)
		}
	}
	return nil
}

func (c *Cloud) putServicePrincipal(tenant directory.TenantID, p scenario.ServicePrincipal) {
	c.directory.PutServicePrincipal(directory.ServicePrincipal{Name: p.Application, Tenant: tenant, ClientID: p.ClientID,
		ObjectID: p.PrincipalID, Disabled: p.Disabled, Blocked: p.Blocked, AppRoles: p.AppRoles})
}

func (c *Cloud) loadIssuers(s *scenario.Scenario) error {
	for _, i := range s.Issuers {
		if err := c.issuers.Add(&issuer.Issuer{Name: i.Name, URL: i.URL, Ring: c.issuerRing(i.Name)}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cloud) loadHosts(s *scenario.Scenario) error {
	for _, h := range s.Hosts {
		var tenant directory.TenantID
		if h.Tenant != "" {
			tenant = c.Tenant(h.Tenant).ID
		}
		machine := machineOf(h.Machine)
		machine.OS = cmp.Or(machine.OS, h.OS)
		if err := c.addHost(imds.Host{Name: h.Name, Source: imds.Source(h.Source), ResourceID: h.ResourceID, Tenant: tenant, Environment: c.environment, Machine: machine, IgnoresSelectors: h.OlderAgent}); err != nil {
			return err
		}
		if err := c.loadEvents(h); err != nil {
			return err
		}
		for _, name := range h.Identities {
			if err := c.imds.Assign(h.Name, directory.ClientID(c.clientID(name))); err != nil {
				return err
			}
		}
		if err := c.loadWorkload(h); err != nil {
			return err
		}
	}
	return nil
}

func machineOf(m scenario.Machine) Machine {
	out := Machine{Location: m.Location, Size: m.Size, OS: m.OS, Zone: m.Zone, UserData: m.UserData, PublicIP: m.PublicIP, RateLimits: m.RateLimits, IMDSv2: m.IMDSv2}
	for _, t := range m.Tags {
		out.Tags = append(out.Tags, Tag(t))
	}
	return out
}

func (c *Cloud) loadEvents(h scenario.Host) error {
	for _, e := range h.Events {
		event := ScheduledEvent{Type: EventType(e.Type), Description: e.Description, Source: e.Source, DurationInSeconds: e.Seconds}
		if e.In > 0 {
			event.NotBefore = c.Now().Add(e.In)
		}
		if _, err := c.imds.Schedule(h.Name, event, c.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cloud) loadStorage(s *scenario.Scenario) error {
	for _, a := range s.StorageAccounts {
		account := blob.Account{Name: a.Name, Tenant: c.Tenant(a.Tenant).ID, ResourceID: a.ResourceID, PublicAccess: a.AllowBlobPublicAccess}
		if err := c.addStorageAccount(account); err != nil {
			return err
		}
		for _, container := range a.Containers {
			if err := c.loadContainer(a.Name, container); err != nil {
				return err
			}
		}
		for _, r := range a.Roles {
			c.directory.Assign(directory.RoleAssignment{Principal: r.PrincipalID, Role: r.Role, Scope: r.Scope})
		}
	}
	return nil
}

func (c *Cloud) loadContainer(account string, container scenario.Container) error {
	if err := c.blob.CreateContainer(account, container.Name, c.Now()); err != nil {
		return err
	}
	for _, b := range container.Blobs {
		if err := c.blob.PutBlob(account, container.Name, b.Name, b.Content, b.ContentType, c.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cloud) loadFaults(s *scenario.Scenario) error {
	wrong := &scenario.Error{Name: s.Name}
	for _, f := range s.Faults {
		if err := c.inject(f.Rule); err != nil {
			wrong.Problems = append(wrong.Problems, scenario.Problem{Line: f.Line, Path: "faults", Message: err.Error()})
		}
	}
	if len(wrong.Problems) > 0 {
		return wrong
	}
	return nil
}
