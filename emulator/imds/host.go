package imds

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/environment"
)

// A Host is an Azure compute resource, or a laptop, on which code pretends to
// run.
type Host struct {
	Name       string // unique within the cloud
	Source     Source
	ResourceID directory.ResourceID // of the compute resource
	Tenant     directory.TenantID   // of the subscription the resource is in
	// Environment is the national cloud that instance metadata names; the zero
	// value stands for the public cloud.
	Environment environment.Environment
	Machine     Machine // what else instance metadata tells
	// IgnoresSelectors makes an agent of Azure Arc one of before 2026, which
	// hands out the token of the system-assigned identity whatever is asked for.
	IgnoresSelectors bool
}

// AddHost adds a host without identities. It fails when the name is empty or
// taken, or when the source does not exist.
func (s *Service) AddHost(h Host) error {
	if _, known := h.Source.place(); !known {
		return fmt.Errorf("host %q: there is no source %q; expected one of %v", h.Name, h.Source, Sources())
	}
	if err := h.Machine.check(); err != nil {
		return fmt.Errorf("host %q: %w", h.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.hosts[h.Name]; taken || h.Name == "" {
		return fmt.Errorf("host %q: the name is empty or belongs to another host", h.Name)
	}
	s.hosts[h.Name] = h
	return nil
}

// Assign attaches a managed identity to a host; a second time changes nothing.
// It fails when either does not exist, when they belong to different tenants,
// and when it would give a host a second system-assigned identity or share one
// between hosts. A session of Cloud Shell takes one, which stands for its user.
func (s *Service) Assign(host string, id directory.ClientID) error {
	m, ok := s.directory.ManagedIdentity(string(id))
	if !ok {
		return fmt.Errorf("host %q: there is no managed identity with the client ID %s", host, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.hosts[host]
	if !ok {
		return fmt.Errorf("managed identity %q: there is no host %q to assign it to", m.Name, host)
	}
	if slices.Contains(s.assigned[host], m.ClientID) {
		return nil
	}
	if h.Tenant != "" && h.Tenant != m.Tenant {
		return fmt.Errorf("host %q is in the tenant %s, and the managed identity %q in %s; Azure assigns identities within a tenant only", host, h.Tenant, m.Name, m.Tenant)
	}
	if h.Source == CloudShell && len(s.assigned[host]) > 0 {
		return fmt.Errorf("host %q is a session of Cloud Shell, which has one user; %q cannot stand for a second one", host, m.Name)
	}
	if err := s.systemAssignable(host, m); err != nil {
		return err
	}
	s.assigned[host] = append(s.assigned[host], m.ClientID)
	return nil
}

// systemAssignable keeps a system-assigned identity and its host one to one.
func (s *Service) systemAssignable(host string, m directory.ManagedIdentity) error {
	if m.Kind != directory.SystemAssigned {
		return nil
	}
	for other, ids := range s.assigned {
		if slices.Contains(ids, m.ClientID) {
			return fmt.Errorf("host %q: %q is the system-assigned identity of the host %q", host, m.Name, other)
		}
	}
	for _, id := range s.assigned[host] {
		if old, _ := s.directory.ManagedIdentity(string(id)); old.Kind == directory.SystemAssigned {
			return fmt.Errorf("host %q has the system-assigned identity %q already", host, old.Name)
		}
	}
	return nil
}

// Hosts returns all hosts in the order of their names.
func (s *Service) Hosts() []Host {
	s.mu.RLock()
	defer s.mu.RUnlock()
	hosts := make([]Host, 0, len(s.hosts))
	for _, name := range slices.Sorted(maps.Keys(s.hosts)) {
		hosts = append(hosts, s.hosts[name])
	}
	return hosts
}

// Host returns the host with a name.
func (s *Service) Host(name string) (Host, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h, ok := s.hosts[name]
	return h, ok
}

// Assigned returns the identities of a host as the directory has them now, in
// the order in which they were assigned.
func (s *Service) Assigned(host string) []directory.ManagedIdentity {
	s.mu.RLock()
	defer s.mu.RUnlock()
	identities := make([]directory.ManagedIdentity, 0, len(s.assigned[host]))
	for _, id := range s.assigned[host] {
		if m, ok := s.directory.ManagedIdentity(string(id)); ok {
			identities = append(identities, m)
		}
	}
	return identities
}

// Reset forgets hosts, what was assigned to and scheduled for them, and tokens.
func (s *Service) Reset() {
	s.mu.Lock()
	s.hosts, s.assigned = map[string]Host{}, map[string][]directory.ClientID{}
	s.mu.Unlock()
	s.calendar.clear()
	s.limiter.clear()
	s.ForgetTokens()
	s.forgetChallenges()
}

// ForgetTokens empties the endpoints' token caches, so that every next answer
// carries a new token.
func (s *Service) ForgetTokens() { s.tokens.clear() }
