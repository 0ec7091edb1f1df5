package fakeentra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/emulator/control"
	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/emulator/token"
)

func (s *serving) control(l net.Listener) (func(context.Context) error, error) {
	server := &http.Server{Handler: http.HandlerFunc(s.manage), ReadHeaderTimeout: grace}
	return func(ctx context.Context) error {
		err := until(ctx, func() error { return server.Serve(l) }, server.Shutdown)
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}, nil
}

// manage serves the control plane of the latest Cloud.
func (s *serving) manage(w http.ResponseWriter, r *http.Request) {
	control.Handler(manager{s.cloud.line.latest.Load(), s}).ServeHTTP(w, r)
}

// A manager is the Cloud as the control plane sees it.
type manager struct {
	*Cloud
	serving *serving
}

var _ control.Cloud = manager{}

func (m manager) ClearJournal()                    { m.journal.Reset() }
func (m manager) Inject(rules ...fault.Rule) error { return m.inject(rules...) }
func (m manager) Faults() []fault.Status           { return m.faults.Status() }
func (m manager) ClearFaults()                     { m.faults.Reset() }
func (m manager) CA() []byte                       { return m.CAPEM() }

var errOwnClock = errors.New("this cloud was given a clock of its own, which cannot be moved from here")

func (m manager) SetTime(t time.Time) error {
	if m.adjustable == nil {
		return errOwnClock
	}
	m.adjustable.Set(t)
	m.clockMoved()
	return nil
}

func (m manager) Advance(d time.Duration) error {
	if m.adjustable == nil {
		return errOwnClock
	}
	m.adjustable.Advance(d)
	m.clockMoved()
	return nil
}

func (m manager) RotateKeys(name string) error {
	ring, err := m.ringOf(name)
	if err != nil {
		return err
	}
	return ring.Rotate()
}

func (m manager) RetireKeys(name string) error {
	ring, err := m.ringOf(name)
	if err != nil {
		return err
	}
	ring.Retire()
	return nil
}

// ringOf returns the keys of an issuer; those of all tenants are the same.
func (m manager) ringOf(name string) (*token.Ring, error) {
	m.mu.Lock()
	_, tenant := m.tenants[name]
	m.mu.Unlock()
	if name == "" || tenant {
		return m.ring, nil
	}
	var known []string
	for _, t := range m.directory.Tenants() {
		known = append(known, t.Name)
	}
	for _, i := range m.issuers.Issuers() {
		if i.Name == name {
			return i.Ring, nil
		}
		known = append(known, i.Name)
	}
	return nil, fmt.Errorf("there is no tenant or issuer %q; there are: %s", name, strings.Join(known, ", "))
}

// Version returns the version of this module, as the program that it is built
// into knows it, or "(devel)".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == "github.com/fakeentra/fakeentra" && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}

// Info lists what the cloud is made of.
func (m manager) Info() control.Info {
	info := control.Info{Version: Version(), Environment: m.environment.Name, Doors: m.serving.doors.byName(),
		Host: m.serving.host, Names: m.Names(), Requests: m.journal.Opened()}
	if m.scenario != nil {
		info.Scenario = m.scenario.Name
	}
	for _, t := range m.directory.Tenants() {
		info.Tenants = append(info.Tenants, control.Tenant{Name: t.Name, ID: t.ID, Domains: t.Domains})
	}
	for _, a := range m.directory.Applications() {
		info.Applications = append(info.Applications, m.describe(a))
	}
	for _, i := range m.directory.ManagedIdentities() {
		info.ManagedIdentities = append(info.ManagedIdentities, control.ManagedIdentity{Name: i.Name, Tenant: m.tenantName(i.Tenant),
			Kind: kinds[i.Kind], ClientID: i.ClientID, PrincipalID: i.ObjectID, ResourceID: i.ResourceID})
	}
	for _, i := range m.issuers.Issuers() {
		info.Issuers = append(info.Issuers, control.Issuer{Name: i.Name, URL: i.URL})
	}
	for _, name := range m.Hosts() {
		info.Hosts = append(info.Hosts, m.describeHost(name))
	}
	for _, a := range m.blob.Accounts() {
		info.StorageAccounts = append(info.StorageAccounts, control.StorageAccount{Name: a.Name, Tenant: m.tenantName(a.Tenant),
			ResourceID: a.ResourceID, BlobEndpoint: m.StorageAccount(a.Name).Endpoint()})
	}
	return info
}

// kinds are the kinds of managed identities as scenario files call them.
var kinds = map[directory.ManagedIdentityKind]string{directory.UserAssigned: "user-assigned", directory.SystemAssigned: "system-assigned"}

func (c *Cloud) tenantName(id directory.TenantID) string {
	t, _ := c.directory.Tenant(string(id))
	return t.Name
}

func (c *Cloud) describe(a directory.Application) control.Application {
	out := control.Application{Name: a.Name, Tenant: c.tenantName(a.Tenant), ClientID: a.ClientID, ObjectID: a.ObjectID}
	for _, p := range c.directory.ServicePrincipals(a.ClientID) {
		out.ServicePrincipals = append(out.ServicePrincipals, control.ServicePrincipal{Tenant: c.tenantName(p.Tenant), PrincipalID: p.ObjectID})
	}
	return out
}

func (c *Cloud) describeHost(name string) control.Host {
	h, _ := c.imds.Host(name)
	out := control.Host{Name: h.Name, Source: string(h.Source), ResourceID: h.ResourceID}
	for _, m := range c.imds.Assigned(name) {
		out.Identities = append(out.Identities, m.Name)
	}
	return out
}

// byName returns the doors that are open.
func (d Doors) byName() map[string]string {
	out := map[string]string{}
	for name, url := range map[string]string{"https": d.HTTPS, "imds": d.IMDS, "proxy": d.Proxy, "control": d.Control} {
		if url != "" {
			out[name] = url
		}
	}
	return out
}
