package directory

import (
	"cmp"
	"maps"
	"slices"
)

// Tenants returns all tenants, sorted by name.
func (d *Directory) Tenants() []Tenant {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return sorted(d.tenants, func(t Tenant) string { return t.Name })
}

// Applications returns all applications, sorted by name.
func (d *Directory) Applications() []Application {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return sorted(d.applications, func(a Application) string { return a.Name })
}

// ManagedIdentities returns all managed identities, sorted by name.
func (d *Directory) ManagedIdentities() []ManagedIdentity {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return sorted(d.identities, func(m ManagedIdentity) string { return m.Name })
}

// ServicePrincipals returns the service principals of an application, sorted by
// tenant.
func (d *Directory) ServicePrincipals(client ClientID) []ServicePrincipal {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := sorted(d.principals, func(s ServicePrincipal) string { return string(s.Tenant) })
	return slices.DeleteFunc(all, func(s ServicePrincipal) bool { return s.ClientID != client })
}

// sorted returns the values of m in the order of a name.
func sorted[K comparable, V any](m map[K]V, name func(V) string) []V {
	return slices.SortedFunc(maps.Values(m), func(a, b V) int { return cmp.Compare(name(a), name(b)) })
}
