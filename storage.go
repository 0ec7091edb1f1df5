package fakeentra

import (
	"fmt"

	"github.com/fakeentra/fakeentra/emulator/blob"
	"github.com/fakeentra/fakeentra/emulator/directory"
	"github.com/fakeentra/fakeentra/internal/scenario"
)

// A StorageAccount is an account of the Blob service.
type StorageAccount struct {
	blob.Account
	cloud *Cloud
}

// AddStorageAccount adds a storage account that trusts tokens of t.
func (c *Cloud) AddStorageAccount(name string, t *Tenant) *StorageAccount {
	a := blob.Account{Name: name, Tenant: t.ID, ResourceID: scenario.StorageAccountResourceID(c.seed, t.key, name)}
	must(c.addStorageAccount(a))
	return &StorageAccount{a, c}
}

// addStorageAccount also makes the account's own endpoint something that tokens
// can be asked for, besides https://storage.azure.com.
func (c *Cloud) addStorageAccount(a blob.Account) error {
	if err := c.blob.AddAccount(a); err != nil {
		return err
	}
	c.directory.AddResource(directory.Resource{
		Name: "Azure Storage", AppID: directory.StorageApp, TokenVersion: 1,
		Identifiers: []string{"https://" + a.Name + "." + c.environment.BlobSuffix},
	})
	return nil
}

// blobHosts lists the endpoints of all accounts, for messages.
func (c *Cloud) blobHosts() []string {
	var hosts []string
	for _, a := range c.blob.Accounts() {
		hosts = append(hosts, a.Name+"."+c.environment.BlobSuffix)
	}
	return hosts
}

// StorageAccount returns the storage account with a name. It panics if there is
// none.
func (c *Cloud) StorageAccount(name string) *StorageAccount {
	a, ok := c.blob.Account(name)
	if !ok {
		must(fmt.Errorf("there is no storage account %q", name))
	}
	return &StorageAccount{a, c}
}

// Endpoint returns the URL of the account's Blob endpoint, without a trailing
// slash.
func (a *StorageAccount) Endpoint() string {
	return "https://" + a.Name + "." + a.cloud.environment.BlobSuffix
}

// PutBlob stores a blob, creating the container if need be.
func (a *StorageAccount) PutBlob(container, name string, content []byte) *StorageAccount {
	must(a.cloud.blob.PutBlob(a.Name, container, name, append([]byte(nil), content...), "", a.cloud.Now()))
	return a
}

// AddContainer creates an empty container.
func (a *StorageAccount) AddContainer(name string) *StorageAccount {
	must(a.cloud.blob.CreateContainer(a.Name, name, a.cloud.Now()))
	return a
}

// A Role is an Azure role, by its display name.
type Role string

// The roles that give access to blobs.
const (
	StorageBlobDataReader      Role = "Storage Blob Data Reader"
	StorageBlobDataContributor Role = "Storage Blob Data Contributor"
	StorageBlobDataOwner       Role = "Storage Blob Data Owner"
)

// Grant gives p a role on the account. An application is granted it through its
// service principal in the account's tenant, and has to be present there.
func (a *StorageAccount) Grant(p directory.Principal, r Role) *StorageAccount {
	return a.grant(p, r, a.ResourceID)
}

// GrantOn gives p a role on one container of the account.
func (a *StorageAccount) GrantOn(container string, p directory.Principal, r Role) *StorageAccount {
	return a.grant(p, r, scenario.ContainerScope(a.ResourceID, container))
}

func (a *StorageAccount) grant(p directory.Principal, r Role, scope directory.ResourceID) *StorageAccount {
	role, ok := directory.RoleNamed(string(r))
	if !ok {
		must(fmt.Errorf("there is no role %q; expected one such as %q", r, StorageBlobDataReader))
	}
	principal := p.PrincipalID()
	if app, isApp := p.(*Application); isApp {
		sp, present := a.cloud.directory.ServicePrincipal(a.Tenant, app.ClientID)
		if !present {
			must(fmt.Errorf("%s has no service principal in the tenant of storage account %s; call Consent on that tenant", app.Name, a.Name))
		}
		principal = sp.ObjectID
	}
	a.cloud.directory.Assign(directory.RoleAssignment{Principal: principal, Role: role, Scope: scope})
	return a
}
