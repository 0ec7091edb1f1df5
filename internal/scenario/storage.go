package scenario

import (
	"encoding/base64"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

func (b *builder) account(v *value) StorageAccount {
	a := StorageAccount{Name: v.name, Line: v.line, Tenant: b.onlyTenant, AllowBlobPublicAccess: v.flag("allow-blob-public-access", false)}
	switch spelled := v.get("tenant"); {
	case spelled != nil:
		a.Tenant = ""
		if e := b.find(spelled.text, spelled.spot, kindTenant); e != nil {
			a.Tenant = e.name
		}
	case a.Tenant == "" && !v.broken:
		b.found.add(v.spot, "%s has no tenant; expected tenant: %s", v.name, anyOf(b.names(kindTenant)))
	}
	a.ResourceID = StorageAccountResourceID(b.out.Seed, a.Tenant, a.Name)
	if spelled := v.get("resource-id"); spelled != nil {
		a.ResourceID = directory.ResourceID(b.expand(spelled))
	}
	if e := b.one(kindAccount, v.name); e != nil {
		e.properties["resource-id"] = string(a.ResourceID)
	}
	for _, c := range v.all("containers") {
		a.Containers = append(a.Containers, b.container(c))
	}
	a.Roles = append(b.grants(a, "", a.ResourceID, v.all("roles")), b.containerGrants(a, v)...)
	return a
}

func (b *builder) container(v *value) Container {
	c := Container{Name: v.name, Line: v.line}
	if !strings.HasPrefix(v.name, "$") && (len(v.name) < 3 || len(v.name) > 63) {
		b.found.add(v.spot, "the container name %s has %d characters; expected 3 to 63", quoted(v.name), len(v.name))
	}
	for _, m := range v.inside {
		if n := len([]rune(m.name)); n < 1 || n > 1024 || strings.Count(m.name, "/") > 253 {
			b.found.add(m.spot, "the blob name %s has %d characters and %d segments; expected 1 to 1024 characters and 254 segments at most", quoted(m.name), n, strings.Count(m.name, "/")+1)
		}
		c.Blobs = append(c.Blobs, b.blob(m))
	}
	return c
}

func (b *builder) blob(v *value) Blob {
	out := Blob{Name: v.name, Line: v.line, Content: []byte(v.text), ContentType: v.string("content-type", "")}
	encoded := v.get("content-base64")
	switch {
	case encoded != nil && v.get("content") != nil:
		b.found.add(encoded.spot, "%s has content and content-base64; expected one of the two", v.name)
	case encoded != nil:
		content, err := base64.StdEncoding.DecodeString(encoded.text)
		if err != nil {
			b.found.add(encoded.spot, "content-base64 is not base64 (%v); expected RFC 4648 base64 with padding", err)
		}
		out.Content = content
	case v.get("content") != nil:
		out.Content = []byte(v.string("content", ""))
	case v.inside != nil && !v.broken:
		b.found.add(v.spot, "%s has no content; expected content or content-base64", v.name)
	}
	return out
}

func (b *builder) containerGrants(a StorageAccount, v *value) []RoleAssignment {
	var out []RoleAssignment
	known := make([]string, len(a.Containers))
	there := map[string]bool{}
	for i, c := range a.Containers {
		known[i], there[c.Name] = c.Name, true
	}
	for _, of := range v.all("container-roles") {
		if !there[of.name] {
			b.unknown(of.spot, "container "+quoted(of.name)+" in "+a.Name, of.name, known)
			continue
		}
		out = append(out, b.grants(a, of.name, ContainerScope(a.ResourceID, of.name), of.inside)...)
	}
	return out
}

// grants returns the role assignments on an account or one of its containers.
func (b *builder) grants(a StorageAccount, container string, scope directory.ResourceID, all []*value) []RoleAssignment {
	var out []RoleAssignment
	for _, v := range all {
		principal, ok := b.principal(v, a.Tenant)
		if !ok {
			continue
		}
		b.repeated(v.inside)
		for _, r := range v.listed() {
			role, known := directory.RoleNamed(r.text)
			if !known {
				b.unknown(r.spot, "role "+quoted(r.text), r.text, roleNames())
				continue
			}
			out = append(out, RoleAssignment{Principal: v.name, Line: v.line, PrincipalID: principal, Role: role, Container: container, Scope: scope})
		}
	}
	return out
}

func roleNames() []string {
	var names []string
	for _, r := range directory.Roles() {
		names = append(names, r.Name)
	}
	return names
}

// principal returns what a role is granted to. Azure grants roles to the
// principals of the tenant that the resource is in, and to no others.
func (b *builder) principal(v *value, tenant string) (directory.ObjectID, bool) {
	e := b.find(v.name, v.spot, kindApplication, kindIdentity)
	if e == nil || tenant == "" {
		return "", false
	}
	if e.kind == kindIdentity {
		if e.tenant != tenant {
			b.found.add(v.spot, "the managed identity %s is of the tenant %s and the account is of %s; expected a principal of %s", e.name, e.tenant, tenant, tenant)
		}
		return directory.ObjectID(e.properties["principal-id"]), e.tenant == tenant
	}
	id, present := b.presences[presence{tenant, e.name}]
	if !present && e.tenant == tenant {
		b.found.add(v.spot, "%s has no service principal; expected its service-principal to be true", e.name)
	} else if !present {
		b.found.add(v.spot, "%s has no service principal in %s, the tenant of the account; expected it in tenants.%s.service-principals", e.name, tenant, tenant)
	}
	return id, present
}
