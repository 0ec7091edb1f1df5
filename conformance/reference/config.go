package reference

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// A national cloud, as far as the client knows it.
type nationalCloud struct{ login, audience string }

var clouds = map[string]nationalCloud{
	"public": {"https://login.microsoftonline.com", "api://AzureADTokenExchange"},
	"usgov":  {"https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"},
	"china":  {"https://login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"},
}

// authority returns the login host of the cloud, unless the configuration names
// another one.
func (c *client) authority() string {
	if c.Endpoints.Authority != "" {
		return strings.TrimSuffix(c.Endpoints.Authority, "/")
	}
	return clouds[c.Cloud].login
}

// A tenant is named by its identifier or by a domain.
var tenantName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
})

// check refuses a configuration that cannot work before anything is sent.
func (c *client) check() error {
	if c.SkipChecks {
		return nil
	}
	for what, value := range map[string]string{"tenant": c.Tenant, "client ID of the application": c.AppClientID, "audience": c.Audience} {
		if value == "" && (what != "audience" || !c.AnyAudience) {
			return failed(driver.Misconfig, "the %s is empty", what)
		}
	}
	u, err := url.Parse(c.authority())
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return failed(driver.Misconfig, "the authority %q is no https URL", c.authority())
	}
	return c.checkTenant(c.Tenant)
}

func (c *client) checkTenant(tenant string) error {
	if c.TenantIsReference {
		return nil
	}
	if _, err := netip.ParseAddr(tenant); err == nil || !tenantName().MatchString(tenant) || strings.Contains(tenant, "..") {
		return failed(driver.Misconfig, "%q is no tenant: expected an identifier or a domain", tenant)
	}
	if slices.Contains([]string{"common", "organizations", "consumers"}, strings.ToLower(tenant)) {
		return failed(driver.Misconfig, "an application cannot sign in to %q: name a tenant", tenant)
	}
	return nil
}

// tenantFor returns the tenant of a request.
func (c *client) tenantFor(tenant string) (string, error) {
	if tenant == "" || c.sameTenant(tenant, c.Tenant) {
		return c.Tenant, nil
	}
	if c.SkipChecks {
		return tenant, nil
	}
	if err := c.checkTenant(tenant); err != nil {
		return "", err
	}
	allowed := func(t string) bool { return t == "*" || c.sameTenant(t, tenant) }
	if !c.AnyTenant && !slices.ContainsFunc(c.AllowedTenants, allowed) {
		return "", failed(driver.Misconfig, "the client is not configured for the tenant %s", tenant)
	}
	return tenant, nil
}

// sameTenant compares two names of tenants, in which letter case does not matter.
func (c *client) sameTenant(a, b string) bool {
	return a == b || strings.EqualFold(a, b) && !c.ExactTenants
}

// authorityOf returns the URL of a tenant.
func (c *client) authorityOf(tenant string) string {
	if base, err := url.Parse(c.authority() + "/"); err == nil && c.TenantIsReference {
		if u, err := base.Parse(tenant); err == nil {
			return u.String()
		}
	}
	return c.authority() + "/" + tenant
}

func checkScopes(scopes []string) error {
	if len(scopes) != 1 || !strings.HasSuffix(scopes[0], "/.default") {
		return failed(driver.Misconfig, "the scopes are %q; expected one that ends with /.default", scopes)
	}
	return nil
}
