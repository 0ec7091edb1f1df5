package lab

import (
	"bytes"
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

// askPrivately has the emulated cloud answer as a private one.
func (l *Lab) askPrivately(ctx context.Context, u *url.URL, x *Exchange) *Answer {
	public := *u
	public.Host = l.Environment.LoginHost
	a := l.ask(ctx, &public, x)
	a.Body = bytes.ReplaceAll(a.Body, []byte("https://"+l.Environment.LoginHost+"/"), []byte("https://"+PrivateHost+"/"))
	return a
}
