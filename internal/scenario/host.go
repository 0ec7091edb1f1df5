package scenario

import (
	"slices"
	"time"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

func (b *builder) host(v *value) Host {
	h := Host{Name: v.name, Line: v.line, Source: v.string("source", SourceNone), Tenant: b.onlyTenant}
	identities := b.assigned(v)
	for _, e := range identities {
		h.Identities = append(h.Identities, e.name)
	}
	if len(identities) > 0 {
		h.Tenant = identities[0].tenant
		if !HandsOut(h.Source) && !v.broken {
			b.found.add(v.get("identities").spot, "%s has identities and source: %s, which hands out no tokens; expected source: imds, or no identities", v.name, h.Source)
		}
	}
	if spelled := v.get("tenant"); spelled != nil {
		if e := b.find(spelled.text, spelled.spot, kindTenant); e != nil {
			h.Tenant = e.name
		}
	}
	b.workload(&h, v)
	for _, e := range identities {
		if e.tenant != h.Tenant {
			b.found.add(v.get("identities").spot, "%s is in the tenant %s and %s in %s, and Azure assigns identities within a tenant only; expected identities of one tenant", h.Name, h.Tenant, e.name, e.tenant)
		}
	}
	if h.Source == SourceCloudShell && len(identities) > 1 {
		b.found.add(v.get("identities").spot, "%s has %d identities, and a session of Cloud Shell has one user; expected the one that stands for them", h.Name, len(identities))
	}
	h.OS, h.OlderAgent = v.string("os", ""), v.flag("older-agent", false)
	b.particular(v, "os", SourceAppService, SourceFunctions)
	b.particular(v, "older-agent", SourceArc)
	h.ResourceID = b.hostResource(h, v)
	h.Machine, h.Events = b.machine(v), b.scheduledEvents(v)
	b.attach(h, v, identities)
	return h
}

// particular reports a key that means nothing at the source of a host.
func (b *builder) particular(v *value, key string, sources ...string) {
	if said := v.get(key); said != nil && !v.broken && !slices.Contains(sources, v.string("source", SourceNone)) {
		b.found.add(said.spot, "%s is said of a host where it changes nothing; expected source: %s", key, anyOf(sources))
	}
}

// machine returns what instance metadata tells of a host, and reports what can
// never be seen because no metadata service answers there.
func (b *builder) machine(v *value) Machine {
	for _, key := range []string{"machine", "rate-limits", "imdsv2", "scheduled-events"} {
		if said := v.get(key); said != nil && !v.broken && !metadataAnswers(v.string("source", SourceNone)) {
			b.found.add(said.spot, "%s is said of a host where no metadata service answers; expected source: %s", key, anyOf([]string{SourceIMDS, SourceServiceFabric, SourceAKS}))
		}
	}
	m := v.get("machine")
	out := Machine{
		Location: m.string("location", ""), Size: m.string("size", ""), OS: m.string("os", ""), Zone: m.string("zone", ""),
		UserData: m.string("user-data", ""), PublicIP: m.string("public-ip", ""), RateLimits: v.flag("rate-limits", false), IMDSv2: v.flag("imdsv2", false),
	}
	for _, tag := range m.all("tags") {
		out.Tags = append(out.Tags, Tag{tag.name, tag.text})
	}
	return out
}

// metadataAnswers reports whether a host is a virtual machine, or runs on one.
func metadataAnswers(source string) bool {
	return source == SourceIMDS || source == SourceServiceFabric || source == SourceAKS
}

func (b *builder) scheduledEvents(v *value) []ScheduledEvent {
	var out []ScheduledEvent
	for _, e := range v.all("scheduled-events") {
		out = append(out, ScheduledEvent{
			Type: e.string("type", ""), In: e.duration("in", 0), Description: e.string("description", ""),
			Source: e.string("source", ""), Seconds: int(e.duration("duration", -time.Second) / time.Second),
		})
	}
	return out
}

// assigned returns the managed identities of a host.
func (b *builder) assigned(v *value) []*entity {
	var out []*entity
	items := v.all("identities")
	b.repeated(items)
	for _, item := range items {
		if item.void {
			continue
		}
		if e := b.find(item.text, item.spot, kindIdentity); e != nil {
			out = append(out, e)
		}
	}
	return out
}

// hostResource returns the resource ID of a host. A laptop has none, and
// neither has a machine that no tenant is known to own.
func (b *builder) hostResource(h Host, v *value) directory.ResourceID {
	var id string
	switch spelled := v.get("resource-id"); {
	case spelled != nil:
		id = b.expand(spelled)
	case h.Tenant != "":
		id = string(HostResourceID(h.Source, b.out.Seed, h.Tenant, h.Name))
	}
	if e := b.one(kindHost, h.Name); e != nil && id != "" {
		e.properties["resource-id"] = id
	}
	return directory.ResourceID(id)
}

// attach reports when a system-assigned identity is shared, or a host has two:
// such an identity lives and dies with its one host.
func (b *builder) attach(h Host, v *value, identities []*entity) {
	own := ""
	for _, e := range identities {
		if !systemAssigned(e.from) || e.name == own {
			continue
		}
		at := v.get("identities").spot
		if other, taken := b.attached[e.name]; taken {
			b.found.add(at, "%s is system-assigned and belongs to %s (line %d) already; expected a user-assigned managed identity, which hosts can share", e.name, other.Name, other.Line)
			continue
		}
		if own != "" {
			b.found.add(at, "%s has two system-assigned identities, %s and %s; expected one at most", h.Name, own, e.name)
		}
		own = e.name
		b.attached[e.name] = h
	}
}
