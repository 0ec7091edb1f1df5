package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/directory"
)

// A Fixture says what there is in the cloud of a lab. What it leaves out is as in
// the announcement: a virtual machine with two user-assigned identities and the
// system-assigned one, an application that trusts them all, and a storage account
// that it may read.
type Fixture struct {
	Seed        string
	Noise       string                // the seed of what disturbs answers that no rule acts on; none if empty
	Source      fakeentra.Source      // IMDS if empty
	Environment fakeentra.Environment // public if empty
	Tenants     int                   // further tenants that consented to the application
	Options     []fakeentra.HostOption

	// How long tokens live; zero stands for what is usual.
	ManagedIdentityLife, ApplicationLife time.Duration
}

// The names of what is in every cloud.
const (
	containerName = "reports"
	secretAccount = "contosodata"
)

// A World is the cloud of a lab, by its parts.
type World struct {
	Cloud       *fakeentra.Cloud
	Environment fakeentra.Environment
	Tenant      *fakeentra.Tenant   // where everything is
	Tenants     []*fakeentra.Tenant // the others
	App         *fakeentra.Application
	// The identities of the host. Agent is the one that clients are configured
	// with.
	Agent, Second, System *fakeentra.ManagedIdentity
	Account               *fakeentra.StorageAccount
	Accounts              []*fakeentra.StorageAccount // of the other tenants
	Host                  *fakeentra.Host
	Blobs                 []string // in the container
}

// Container returns the URL of the container that clients list.
func (w *World) Container() string { return w.Account.Endpoint() + "/" + containerName }

func (f Fixture) build() (*World, error) {
	if f.Source == "" {
		f.Source = fakeentra.IMDS
	}
	options := []fakeentra.Option{
		fakeentra.WithSeed(f.Seed), fakeentra.WithTokenLifetimes(f.ManagedIdentityLife, f.ApplicationLife),
		fakeentra.WithJournalLimits(20000, 32<<20),
	}
	if f.Environment.Name == "" {
		f.Environment = fakeentra.AzurePublic
	}
	options = append(options, fakeentra.WithEnvironment(f.Environment))
	cloud, err := fakeentra.New(options...)
	if err != nil {
		return nil, err
	}
	w := &World{Cloud: cloud, Environment: f.Environment, Blobs: []string{"q1.csv", "q2.csv", "q3.csv"}}
	w.Tenant = cloud.AddTenant("contoso")
	w.Agent, w.Second = w.Tenant.AddManagedIdentity("build-agent"), w.Tenant.AddManagedIdentity("other-agent")
	w.System = w.Tenant.AddSystemAssignedIdentity("vm-identity")
	w.App = w.Tenant.AddApplication("exporter").Trust(w.Agent).Trust(w.Second).Trust(w.System).MultiTenant()
	w.Account = w.account(secretAccount, w.Tenant)
	for i := range f.Tenants {
		t := cloud.AddTenant(fmt.Sprintf("fabrikam%d", i+1))
		t.Consent(w.App)
		w.Tenants, w.Accounts = append(w.Tenants, t), append(w.Accounts, w.account(fmt.Sprintf("fabrikam%ddata", i+1), t))
	}
	w.Host = cloud.AddHost("host", f.Source, f.Options...)
	switch {
	case f.Source == fakeentra.CloudShell:
		w.Host.Assign(w.Agent) // stands for the user, of whom there is one
	case f.Source.HandsOut():
		w.Host.Assign(w.Agent, w.Second, w.System)
	}
	return w, nil
}

func (w *World) account(name string, t *fakeentra.Tenant) *fakeentra.StorageAccount {
	a := w.Cloud.AddStorageAccount(name, t)
	for _, blob := range w.Blobs {
		a.PutBlob(containerName, blob, []byte(blob+" of "+name))
	}
	return a.Grant(w.App, fakeentra.StorageBlobDataReader)
}

// Identity returns a managed identity of the world by its principal ID, or nil.
func (w *World) Identity(principal string) *fakeentra.ManagedIdentity {
	all := []*fakeentra.ManagedIdentity{w.Agent, w.Second, w.System}
	i := slices.IndexFunc(all, func(m *fakeentra.ManagedIdentity) bool {
		return m.ObjectID == directory.ObjectID(strings.ToLower(principal))
	})
	if i < 0 {
		return nil
	}
	return all[i]
}
