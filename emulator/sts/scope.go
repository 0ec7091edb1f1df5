package sts

import (
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/emulator/directory"
)

// resourceParameter is where a request names what the token is for.
func (g *grant) resourceParameter() string {
	if g.version == 1 {
		return "resource"
	}
	return "scope"
}

// requested returns the identifier of the resource that the client asks a token
// for.
func (g *grant) requested() (string, *Error) {
	if g.version == 1 {
		if resource := g.form.Get("resource"); resource != "" {
			return resource, nil
		}
		return "", missing("resource", "the v1.0 endpoint takes a resource; the form has none")
	}
	if g.form.Has("resource") {
		return "", errResourceParameter.because(nil, "the v2.0 endpoint takes scope=%s/.default instead of resource", g.form.Get("resource"))
	}
	scope := g.form.Get("scope")
	if scope == "" {
		return "", missing("scope", "the v2.0 endpoint takes a scope; the form has none")
	}
	return resourceOf(scope)
}

// resourceOf reads a scope of the client_credentials grant: one resource with
// /.default after it. MSAL Go puts openid, profile and offline_access beside
// it, which Entra accepts and ignores. The suffix is taken off once: two
// slashes before .default name a resource that ends in a slash.
func resourceOf(scope string) (string, *Error) {
	var resources []string
	for part := range strings.FieldsSeq(scope) {
		switch part {
		case "openid", "profile", "offline_access", "email":
			continue
		}
		resource, ok := strings.CutSuffix(part, "/.default")
		if !ok || resource == "" {
			return "", errScopeSuffix.because(values{"scope": scope}, "the scope %q does not end in /.default; ask for %s/.default", part, strings.TrimSuffix(part, "/"))
		}
		if !slices.Contains(resources, resource) {
			resources = append(resources, resource)
		}
	}
	switch len(resources) {
	case 0:
		return "", errScopeSuffix.because(values{"scope": scope}, "the scope %q names no resource; ask for <resource>/.default", scope)
	case 1:
		return resources[0], nil
	}
	return "", errScope.because(values{"scope": scope}, "the scope names %d resources (%s); a token is for one", len(resources), strings.Join(resources, ", "))
}

func (s *Service) resource(t directory.Tenant, identifier string) (directory.Resource, *Error) {
	if r, ok := s.Directory.Resource(t.ID, identifier); ok {
		return r, nil
	}
	return directory.Resource{}, errResource.because(values{"resource": identifier, "tenant": t.Name},
		"no resource of %s is named %q (it is the %s); add it as an identifier URI of an application, or check the spelling", t.Name, identifier, s.whatIs(identifier))
}
