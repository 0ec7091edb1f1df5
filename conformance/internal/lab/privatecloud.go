package lab

import (
	"context"
	"net/url"
	"slices"

	"github.com/fakeentra/fakeentra"
)

// PrivateHost is a login host that no client knows, as in a private cloud. It
// answers as the login host of the lab does, under its own name.
const PrivateHost = "login.private.test"

// environments are all that a client could take this cloud for.
var environments = []fakeentra.Environment{fakeentra.AzurePublic, fakeentra.AzureUSGovernment, fakeentra.AzureChina}

// anyLoginHost reports whether a host is a login host of any cloud. Those of
// other clouds than the lab's are traps.
func anyLoginHost(name string) bool {
	return slices.ContainsFunc(environments, func(e fakeentra.Environment) bool { return slices.Contains(e.LoginAliases, name) })
}

// namedAddress returns the URL that the answer has to name in place of the login
// host's, or nothing: clients refuse a document of one host that is about another.
func (x *Exchange) namedAddress() string {
	switch documents := []Op{InstanceDiscovery, OpenIDConfig}; {
	case x.address != "" && slices.Contains(documents, x.Op):
		return x.address
	case hostname(x.URL.Host) == PrivateHost:
		return "https://" + PrivateHost
	}
	return ""
}

// askAs has the emulated cloud answer for a host that stands for its login host.
func (l *Lab) askAs(ctx context.Context, u *url.URL, x *Exchange) *Answer {
	if hostname(u.Host) == PrivateHost {
		u.Host = l.Environment.LoginHost
	}
	return l.ask(ctx, u, x)
}
