package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fakeentra/fakeentra/internal/scenario"
)

// An identified is a thing of a scenario, and what clients call it.
type identified struct {
	Kind       string     `json:"kind"` // tenant, managed-identity, application, service-principal, issuer, host or storage-account
	Name       string     `json:"name"`
	Properties properties `json:"properties"`
}

// A property is called as in a scenario.
type property struct{ name, value string }

// The properties of a thing are in the order in which people look for them.
type properties []property

// MarshalJSON returns an object.
func (ps properties) MarshalJSON() ([]byte, error) {
	out := map[string]string{}
	for _, p := range ps {
		out[p.name] = p.value
	}
	return json.Marshal(out)
}

// identify lists the identifiers that a scenario yields.
func identify(s *scenario.Scenario) []identified {
	env := s.Environment()
	var out []identified
	add := func(kind, name string, properties ...property) {
		out = append(out, identified{kind, name, properties})
	}
	for _, t := range s.Tenants {
		add("tenant", t.Name, property{"tenant-id", string(t.ID)}, property{"authority", env.Authority(string(t.ID))}, property{"issuer", env.IssuerV2(string(t.ID))})
		for _, m := range t.ManagedIdentities {
			add("managed-identity", m.Name, property{"client-id", string(m.ClientID)}, property{"principal-id", string(m.PrincipalID)}, property{"resource-id", string(m.ResourceID)})
		}
		for _, a := range t.Applications {
			ids := properties{{"client-id", string(a.ClientID)}, {"object-id", string(a.ObjectID)}}
			if a.ServicePrincipal != nil {
				ids = append(ids, property{"principal-id", string(a.ServicePrincipal.PrincipalID)})
			}
			add("application", a.Name, ids...)
		}
		for _, p := range t.ServicePrincipals {
			add("service-principal", p.Application, property{"tenant", t.Name}, property{"principal-id", string(p.PrincipalID)})
		}
	}
	for _, i := range s.Issuers {
		add("issuer", i.Name, property{"url", i.URL})
	}
	for _, h := range s.Hosts {
		if w := h.Workload; w.Subject != "" {
			add("host", h.Name, property{"issuer", w.IssuerURL}, property{"subject", w.Subject})
			continue
		}
		if !scenario.HandsOut(h.Source) {
			add("host", h.Name, property{"identities", "none: it has no managed identity endpoint"})
			continue
		}
		about := properties{{"identities", strings.Join(h.Identities, ", ")}}
		if h.ResourceID != "" { // Cloud Shell has none
			about = append(about, property{"resource-id", string(h.ResourceID)})
		}
		add("host", h.Name, about...)
	}
	for _, a := range s.StorageAccounts {
		add("storage-account", a.Name, property{"endpoint", "https://" + a.Name + "." + env.BlobSuffix}, property{"resource-id", string(a.ResourceID)})
	}
	return out
}

// table lays identifiers out for people.
func table(all []identified) string {
	var b strings.Builder
	for _, thing := range all {
		fmt.Fprintf(&b, "\n%s %s\n", strings.ReplaceAll(thing.Kind, "-", " "), thing.Name)
		for _, p := range thing.Properties {
			fmt.Fprintf(&b, "  %-13s %s\n", p.name, p.value)
		}
	}
	return b.String()
}
